//! The choice of a method, without a server.

use super::*;

fn relation(has_ctid: bool) -> Relation {
    Relation {
        name: TableName::new("s", "t"),
        oid: 1,
        has_ctid,
        table_bytes: 1 << 30,
        heap_pages: 1 << 17,
        estimated_rows: Some(1_000_000),
    }
}

fn key(column: &str, has_index: bool, correlation: Option<f64>) -> Candidate {
    Candidate {
        stats: KeyStats {
            column: column.into(),
            ..KeyStats::default()
        },
        type_name: "pg_catalog.int8".into(),
        has_index,
        is_unique: false,
        correlation,
    }
}

fn auto(has_ctid: bool, candidates: Vec<Candidate>) -> (ChunkMethod, Option<String>) {
    let relation = relation(has_ctid);
    let choice = choose(RelationKind::Table, &relation, &ChunkBy::Auto, candidates).unwrap();
    (choice.method, choice.candidate.map(|key| key.stats.column))
}

#[test]
fn auto_takes_a_correlated_key_then_pages_then_the_best_key() {
    let good = key("good", true, Some(-0.99));
    let poor = key("poor", true, Some(0.1));
    let bare = key("bare", false, Some(1.0));
    let some = |name: &str| Some(name.to_owned());
    assert_eq!(
        auto(true, vec![poor.clone(), good]),
        (ChunkMethod::Key, some("good"))
    );
    assert_eq!(
        auto(true, vec![poor.clone(), bare.clone()]),
        (ChunkMethod::Ctid, None)
    );
    assert_eq!(
        auto(false, vec![bare.clone(), poor]),
        (ChunkMethod::Key, some("poor"))
    );
    assert_eq!(auto(false, vec![bare]), (ChunkMethod::Whole, None));
}

#[test]
fn a_named_key_may_lack_an_index_and_the_reason_says_so() {
    let by = ChunkBy::Key(vec!["k".into()]);
    let candidates = vec![key("k", false, None)];
    let choice = choose(RelationKind::Table, &relation(true), &by, candidates).unwrap();
    assert!(choice.reason.contains("every chunk reads the whole table"));
    let error = choose(
        RelationKind::Table,
        &relation(true),
        &by,
        vec![key("id", true, None)],
    );
    assert_eq!(
        error.err().unwrap().advice(),
        Some("its integer columns: \"id\"")
    );
}

#[test]
fn what_cannot_be_done_is_refused_not_replaced() {
    let by_ctid = choose(
        RelationKind::Table,
        &relation(false),
        &ChunkBy::Ctid,
        Vec::new(),
    );
    assert_eq!(by_ctid.err().unwrap().kind(), ErrorKind::Unsupported);
    let by_key = choose(
        RelationKind::Table,
        &relation(true),
        &ChunkBy::Key(Vec::new()),
        Vec::new(),
    );
    assert_eq!(by_key.err().unwrap().kind(), ErrorKind::Config);
}

#[test]
fn chunks_are_numbered_across_relations_and_share_the_estimates() {
    let mut plan = Plan::default();
    let size = Size {
        rows: 100,
        bytes: 1000,
    };
    for _ in 0..2 {
        let choice = choose(
            RelationKind::Table,
            &relation(true),
            &ChunkBy::None,
            Vec::new(),
        );
        let relation = planned(&relation(true), choice.unwrap(), &[Range::Whole], 1);
        plan.relations.push(relation);
        let ranges = vec![
            Range::Key {
                lower: None,
                upper: None,
            },
            Range::NullKey,
        ];
        push_chunks(&mut plan, ranges, size).unwrap();
    }
    let ids: Vec<u32> = plan.chunks.iter().map(|chunk| chunk.id.0).collect();
    assert_eq!(ids, [0, 1, 2, 3]);
    assert_eq!(plan.chunks[2].relation, 1);
    assert_eq!(
        (plan.chunks[0].estimated_rows, plan.chunks[1].estimated_rows),
        (100, 0)
    );
}

#[test]
fn clocks_and_dice_in_a_filter_are_found_and_columns_of_their_names_are_not() {
    for moving in [
        "at > now() - interval '1 day'",
        "at > NOW ( )",
        "d = Current_Date",
        "(random() < 0.1)",
        "pg_catalog.now() > at",
    ] {
        assert!(super::moving_word(moving).is_some(), "{moving}");
    }
    for still in [
        "kind = 'random'",
        "now > 3",
        "age > 30",
        "know() = 1",
        "żnow = 1",
    ] {
        assert_eq!(super::moving_word(still), None, "{still}");
    }
}
