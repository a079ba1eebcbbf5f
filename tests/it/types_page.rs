//! docs/types.md is what the mapping says: no type changes, and no reader's answer, without it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const REGENERATE: &str = "cargo run -- types --format markdown > docs/types.md";

fn types(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgsluice"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PGSLUICE_") {
            command.env_remove(name);
        }
    }
    let output = command
        .arg("types")
        .args(args)
        .stdin(Stdio::null())
        .output();
    output.expect("the binary starts")
}

fn shown(args: &[&str]) -> String {
    let output = types(args);
    assert_eq!(output.status.code(), Some(0), "{args:?}");
    String::from_utf8(output.stdout).expect("output is UTF-8")
}

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/types.md");
    fs::read_to_string(path).expect("docs/types.md")
}

/// The first line that differs, with its number; `None` where nothing does.
fn difference(page: &str, generated: &str) -> Option<String> {
    if page == generated {
        return None;
    }
    let lines = page.lines().zip(generated.lines()).enumerate();
    let different = lines.into_iter().find(|(_, (old, new))| old != new);
    Some(match different {
        Some((at, (old, new))) => format!("line {}:\n- {old}\n+ {new}", at + 1),
        None => "one is longer than the other".to_owned(),
    })
}

#[test]
fn the_page_in_docs_is_what_the_mapping_says() {
    let generated = shown(&["--format", "markdown"]);
    if let Some(why) = difference(&page(), &generated) {
        panic!("docs/types.md is out of date: run {REGENERATE}\n{why}");
    }
}

/// The comparison must be able to fail.
#[test]
fn a_page_that_drifted_is_caught() {
    let page = page();
    let drifted = page.replacen("`INT32 (DATE)`", "`INT64 (DATE)`", 1);
    assert_ne!(page, drifted);
    assert!(difference(&drifted, &page).is_some_and(|why| why.contains("DATE")));
    assert!(difference(&page[..page.len() - 1], &page).is_some());
}

#[test]
fn types_are_shown_by_profile_and_form() {
    let table = shown(&["--profile", "native"]);
    assert!(table.contains("FIXED(16) (UUID)"), "{table}");
    assert!(!shown(&["--profile", "portable"]).contains("FIXED(16) (UUID)"));
    for args in [&["--format", "json"][..], &["--output", "json"]] {
        let document: Value = serde_json::from_str(&shown(args)).expect("one JSON document");
        assert_eq!(document["ok"], true);
        let types = document["types"].as_array().expect("a list");
        let uuid = types
            .iter()
            .find(|row| row["name"] == "uuid")
            .expect("uuid");
        assert_eq!(
            uuid["profiles"]["native"]["readers"]["spark"]["opens"],
            false
        );
        assert_eq!(
            uuid["profiles"]["portable"]["readers"]["spark"]["shows"],
            "string"
        );
        let text = types.iter().filter(|row| !row["text_reason"].is_null());
        assert!(text.count() >= 3, "every reason for text has a row");
    }
    assert_eq!(types(&["--profile", "wide"]).status.code(), Some(2));
}
