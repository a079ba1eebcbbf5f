//! docs/guarantees.md names the test that shows each promise: every one of them must be there.

use std::collections::BTreeSet;
use std::path::Path;

/// A promise without a test is none.
const LEAST_TESTS: usize = 40;

#[test]
fn every_test_that_the_page_of_guarantees_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/guarantees.md")).expect("the page");
    let named: BTreeSet<&str> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|s| is_test(s))
        .collect();
    assert!(
        named.len() >= LEAST_TESTS,
        "only {} tests are named",
        named.len()
    );
    let missing: Vec<&str> = named
        .into_iter()
        .filter(|test| !exists(root, test))
        .collect();
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}

/// `module::a_test` of tests/it, `src/folder/file.rs::a_test` of the library.
fn is_test(text: &str) -> bool {
    text.contains("::") && !text.contains(char::is_whitespace)
}

fn exists(root: &Path, test: &str) -> bool {
    let Some((place, name)) = test.rsplit_once("::") else {
        return false;
    };
    let file = match place.strip_prefix("src/") {
        Some(_) => root.join(place),
        None => root
            .join("tests/it")
            .join(place.replace("::", "/"))
            .with_extension("rs"),
    };
    let text = std::fs::read_to_string(file).unwrap_or_default();
    // Tests that a macro makes are listed by name alone.
    text.contains(&format!("fn {name}(")) || text.contains(&format!("    {name}:"))
}

#[test]
fn a_test_that_is_not_there_is_found_missing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(exists(
        root,
        "guarantees::a_test_that_is_not_there_is_found_missing"
    ));
    assert!(!exists(root, "guarantees::another"));
    assert!(!exists(root, "no_module::another"));
}
