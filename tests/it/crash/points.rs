//! The list of crash points, as it stands in the source: the binary has it, and its tests do not.

use std::collections::BTreeSet;

const SOURCE: &str = include_str!("../../../src/crash_point.rs");

/// The points of the store's side, or of both.
pub(super) fn names(of_store: bool) -> BTreeSet<&'static str> {
    let (_, list) = SOURCE.split_once("\ncrash_points! {").expect("the list");
    let (list, _) = list.split_once("\n}").expect("its end");
    let named = list.lines().filter_map(|line| {
        let (_, named) = line.trim().split_once(" = \"")?;
        named.trim_end_matches(',').split_once("\" on ")
    });
    let wanted = named.filter(|(_, side)| !of_store || *side == "Store");
    let names: BTreeSet<&str> = wanted.map(|(name, _)| name).collect();
    assert!(names.len() > 20, "the list is read: {names:?}");
    names
}
