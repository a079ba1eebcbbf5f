//! The choice of a method, without a server.

use super::*;
use crate::chunk::{Key, KeyColumn};
use crate::plan::keys::Statistics;
use crate::table::TableName;

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

fn key(columns: &[&str], has_index: bool, correlation: Option<f64>) -> Candidate {
    let column = |name: &&str| KeyColumn {
        name: (*name).to_owned(),
        type_name: "pg_catalog.int8".into(),
        operators: "pg_catalog".into(),
        collation: None,
        is_nullable: false,
    };
    Candidate {
        key: Key {
            columns: columns.iter().map(column).collect(),
        },
        index: match has_index {
            true => IndexUse::Ordered,
            false => IndexUse::None,
        },
        is_unique: columns.len() > 1,
        statistics: Statistics {
            correlation,
            ..Statistics::default()
        },
    }
}

const WISH: Wish = Wish {
    size: Size {
        rows: 1_000_000,
        bytes: 1 << 30,
    },
    wanted: 100,
    is_pausable: false,
};

fn auto(has_ctid: bool, candidates: Vec<Candidate>, wish: Wish) -> (ChunkMethod, String) {
    let choice = choose_auto(&relation(has_ctid), candidates, wish);
    let key = choice.candidate.map(|key| key.key.to_string());
    (choice.method, key.unwrap_or_default())
}

#[test]
fn auto_takes_a_correlated_key_then_pages_then_the_best_key() {
    let good = key(&["good"], true, Some(-0.99));
    let poor = key(&["poor"], true, Some(0.1));
    let bare = key(&["bare"], false, Some(1.0));
    let keyed = |name: &str| (ChunkMethod::Key, name.to_owned());
    assert_eq!(auto(true, vec![poor.clone(), good], WISH), keyed("good"));
    let pages = (ChunkMethod::Ctid, String::new());
    assert_eq!(auto(true, vec![poor.clone(), bare.clone()], WISH), pages);
    assert_eq!(
        auto(false, vec![bare.clone(), poor.clone()], WISH),
        keyed("poor")
    );
    let whole = (ChunkMethod::Whole, String::new());
    assert_eq!(auto(false, vec![bare.clone()], WISH), whole);
    let paused = Wish {
        is_pausable: true,
        ..WISH
    };
    assert_eq!(auto(true, vec![poor], paused), keyed("poor"));
    assert_eq!(auto(true, vec![bare], paused), whole);
}

#[test]
fn several_columns_are_taken_where_the_first_alone_is_too_coarse() {
    let tenants = |distinct, common: Vec<(String, f64)>| {
        let mut tenant = key(&["tenant"], true, Some(1.0));
        tenant.statistics.distinct = distinct;
        tenant.statistics.common = common;
        vec![tenant, key(&["tenant", "id"], true, Some(1.0))]
    };
    let taken = |candidates| auto(true, candidates, WISH).1;
    assert_eq!(taken(tenants(20.0, Vec::new())), "tenant, id");
    assert_eq!(taken(tenants(-0.5, Vec::new())), "tenant");
    let one = vec![("x".to_owned(), 0.3)];
    assert_eq!(taken(tenants(-0.5, one)), "tenant, id");
}

#[test]
fn what_cannot_be_done_is_refused_not_replaced() {
    let by_ctid = choose_ctid(RelationKind::Table, &relation(false));
    assert_eq!(by_ctid.unwrap_err().kind(), ErrorKind::Unsupported);
    let by_key = choose_key(&relation(true), Vec::new(), WISH);
    assert_eq!(by_key.unwrap_err().kind(), ErrorKind::Config);
}
