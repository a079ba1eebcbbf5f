//! How chunks are numbered and what they are thought to hold.

use super::*;
use crate::table::TableName;

#[test]
fn chunks_are_numbered_across_relations_and_share_the_estimates() {
    let mut plan = Plan::default();
    let size = Size {
        rows: 100,
        bytes: 1000,
    };
    for _ in 0..2 {
        let (lower, upper) = (None, None);
        let ranges = vec![Range::Key { lower, upper }, Range::NullKey];
        let cut = Cut {
            relation: PlannedRelation::whole(TableName::new("s", "t"), 1, ""),
            size,
            pieces: Piece::even(ranges, 0.1),
        };
        push_cut(&mut plan, cut).unwrap();
    }
    let ids: Vec<u32> = plan.chunks.iter().map(|chunk| chunk.id.0).collect();
    assert_eq!(ids, [0, 1, 2, 3]);
    assert_eq!(plan.chunks[2].relation, 1);
    assert_eq!(
        (plan.chunks[0].estimated_rows, plan.chunks[1].estimated_rows),
        (90, 10)
    );
}
