//! Packing: small relations of one table, such as the leaves of a partitioned one, read together
//! as one chunk. Pure.
//!
//! Owns which chunks become one. A pack holds whole relations that follow each other, so that it
//! bounds the same rows under any snapshot.

use crate::chunk::{Chunk, ChunkId, Plan, Range};

/// Relations in one pack, at most: each is locked and opened by its worker.
const MAX_PACKED: u32 = 64;

/// What a pack may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackLimits {
    /// Rows that the statistics promise.
    pub(crate) rows: u64,
    /// Bytes of table.
    pub(crate) bytes: u64,
}

/// Puts neighbouring chunks that are whole relations together, as long as they fit.
pub(crate) fn pack(plan: &mut Plan, limits: PackLimits) {
    let mut packed: Vec<Chunk> = Vec::with_capacity(plan.chunks.len());
    for chunk in plan.chunks.drain(..) {
        match packed.last_mut() {
            Some(last) if fits(last, &chunk, limits) => {
                last.range = Range::Pack {
                    upper: chunk.relation + 1,
                };
                last.estimated_rows += chunk.estimated_rows;
                last.estimated_bytes += chunk.estimated_bytes;
            }
            _ => packed.push(chunk),
        }
    }
    for (chunk, id) in packed.iter_mut().zip(0..) {
        chunk.id = ChunkId(id);
    }
    plan.chunks = packed;
}

fn fits(last: &Chunk, next: &Chunk, limits: PackLimits) -> bool {
    let end = match last.range {
        Range::Whole => last.relation + 1,
        Range::Pack { upper } => upper,
        _ => return false,
    };
    let sum = |a: u64, b: u64, most: u64| a.checked_add(b).is_some_and(|sum| sum <= most);
    next.range == Range::Whole
        && next.relation == end
        && end - last.relation < MAX_PACKED
        && last.folder.is_none()
        && next.folder.is_none()
        && sum(last.estimated_rows, next.estimated_rows, limits.rows)
        && sum(last.estimated_bytes, next.estimated_bytes, limits.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::PlannedRelation;
    use crate::table::TableName;

    const LIMITS: PackLimits = PackLimits {
        rows: 100,
        bytes: 1000,
    };

    /// A plan of relations whose chunks have these ranges and bytes.
    fn plan(relations: &[&[(Range, u64)]]) -> Plan {
        let mut plan = Plan::default();
        for (number, chunks) in (0_u32..).zip(relations) {
            let name = TableName::new("s", format!("p{number}"));
            plan.relations
                .push(PlannedRelation::whole(name, number, ""));
            for (range, bytes) in *chunks {
                plan.chunks.push(Chunk {
                    id: ChunkId(plan.chunks.len() as u32),
                    relation: number,
                    range: range.clone(),
                    folder: None,
                    estimated_rows: 10,
                    estimated_bytes: *bytes,
                });
            }
        }
        plan
    }

    fn shape(plan: &Plan) -> Vec<(u32, u32, Range)> {
        let chunks = plan.chunks.iter();
        chunks
            .map(|chunk| (chunk.id.0, chunk.relation, chunk.range.clone()))
            .collect()
    }

    #[test]
    fn small_neighbours_are_packed_and_large_ones_are_left() {
        let pages = |lower, upper| (Range::Ctid { lower, upper }, 500);
        let small: &[(Range, u64)] = &[(Range::Whole, 400)];
        let large: &[(Range, u64)] = &[(Range::Whole, 1200)];
        let cut: &[(Range, u64)] = &[pages(0, Some(9)), pages(9, None)];
        let mut packed = plan(&[small, small, small, large, small, cut, small, small]);
        pack(&mut packed, LIMITS);
        let expected = [
            (0, 0, Range::Pack { upper: 2 }),
            (1, 2, Range::Whole),
            (2, 3, Range::Whole),
            (3, 4, Range::Whole),
            (4, 5, cut[0].0.clone()),
            (5, 5, cut[1].0.clone()),
            (6, 6, Range::Pack { upper: 8 }),
        ];
        assert_eq!(shape(&packed), expected);
        assert_eq!(packed.chunks[0].estimated_bytes, 800);
        assert_eq!(packed.chunks[0].estimated_rows, 20);
    }

    #[test]
    fn rows_and_relations_have_their_limits_too() {
        let empty: &[(Range, u64)] = &[(Range::Whole, 0)];
        let mut few = plan(&[empty; 12]);
        pack(&mut few, LIMITS);
        assert_eq!(shape(&few)[0].2, Range::Pack { upper: 10 });
        assert_eq!(shape(&few)[1].2, Range::Pack { upper: 12 });
        let mut many = plan(&[empty; 130]);
        let no_limit = PackLimits {
            rows: u64::MAX,
            bytes: u64::MAX,
        };
        pack(&mut many, no_limit);
        let uppers: Vec<Range> = shape(&many)
            .into_iter()
            .map(|(_, _, range)| range)
            .collect();
        let expected = [64, 128, 130].map(|upper| Range::Pack { upper });
        assert_eq!(uppers, expected);
    }

    #[test]
    fn what_lies_in_folders_or_alone_is_not_packed() {
        let small: &[(Range, u64)] = &[(Range::Whole, 1)];
        let mut alone = plan(&[small]);
        pack(&mut alone, LIMITS);
        assert_eq!(shape(&alone), [(0, 0, Range::Whole)]);
        let mut in_folders = plan(&[small, small]);
        in_folders.chunks[0].folder = Some("day=2026-11-22".into());
        pack(&mut in_folders, LIMITS);
        assert_eq!(in_folders.chunks.len(), 2);
    }
}
