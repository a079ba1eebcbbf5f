//! The direction of imports, checked by reading the sources: the layer table of ARCHITECTURE.md
//! as data, and a scanner that finds every path from one top-level module into another.
//!
//! Function length is clippy's (`too_many_lines`, with the limit in clippy.toml).

mod scan;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use scan::{Import, imports, words};

/// No source file is longer.
const MAX_FILE_LINES: usize = 500;

/// The top-level modules of the library, lowest layer first.
const LAYERS: &[(&str, &[&str])] = &[
    (
        "vocabulary",
        &[
            "chunk", "error", "lsn", "options", "pg_type", "sabotage", "snapshot", "table",
        ],
    ),
    ("codecs", &["mapping", "copy", "file"]),
    // What steps of a run are called, for the adapters and all above; it kills and stops in tests.
    ("crash points", &["crash_point"]),
    ("adapters", &["pg", "store"]),
    ("domain", &["manifest", "plan"]),
    (
        "use cases",
        &[
            "export", "gc", "handoff", "prune", "restore", "status", "verify",
        ],
    ),
];

/// Public modules that hold a part of the export list and nothing else. None is imported.
const FACADES: &[&str] = &["codec", "fuzzing"];

/// Imports inside one layer. Adapters do not know each other, nor do use cases.
const BESIDE: &[(&str, &str)] = &[
    // COPY bytes are decoded as the mapping says.
    ("copy", "mapping"),
    // What is still to do is the plan minus the manifest.
    ("plan", "manifest"),
];

/// What only the binary may use.
const BINARY_ONLY: &[&str] = &[
    "anyhow",
    "clap",
    "clap_complete",
    "console",
    "indicatif",
    "tracing_subscriber",
];

/// What the vocabulary and the codecs may not use: they do no I/O and are not async.
const IMPURE: &[&str] = &[
    "async",
    "await",
    "tokio",
    "tokio_postgres",
    "object_store",
    "futures",
    "TcpStream",
    "File",
];

/// Pure files of higher layers: they may not use [`IMPURE`] either.
const PURE_FILES: &[&str] = &[
    "src/manifest/change.rs",
    "src/manifest/model.rs",
    "src/manifest/seal.rs",
    "src/pg/sql.rs",
    "src/plan/resume.rs",
    "src/plan/split.rs",
    "src/store/layout.rs",
];

/// Files that know less than their layer: the committer sees neither PostgreSQL nor Arrow.
const UNSEEN: &[(&str, &[&str])] = &[(
    "src/export/committer.rs",
    &["pg", "copy", "mapping", "file"],
)];

/// What the library may not call: it never prints.
const PRINTING: &[&str] = &["println", "print", "eprintln", "eprint", "dbg"];

#[test]
fn imports_go_downward_only() {
    let mut broken = Vec::new();
    for file in library_files() {
        broken.extend(violations(&file.modules(), &file.text).map(|why| file.tell(&why)));
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_module_has_a_layer() {
    for file in library_files() {
        let Some(top) = file.modules().first().cloned() else {
            continue;
        };
        let placed = layer_of(&top).is_some() || FACADES.contains(&top.as_str());
        assert!(
            placed,
            "{}: put `{top}` into a layer of {}",
            file.name,
            file!()
        );
    }
}

#[test]
fn the_binary_sees_the_library_through_its_public_paths() {
    for file in files_below("src").into_iter().filter(SourceFile::is_binary) {
        // It could compile a private module a second time, into the binary.
        assert!(!file.text.contains("#[path"), "{}: no #[path]", file.name);
        for import in imports(&file.modules(), &file.text) {
            assert_eq!(
                import.top(),
                "cli",
                "{}: crate::{}",
                file.name,
                import.path()
            );
        }
    }
}

#[test]
fn the_library_prints_nothing_and_knows_no_command_line() {
    for file in library_files() {
        let found = words(&file.text);
        for banned in BINARY_ONLY.iter().chain(PRINTING) {
            assert!(!found.contains(*banned), "{}: {banned}", file.name);
        }
    }
}

#[test]
fn pure_layers_and_files_do_no_io() {
    for file in library_files() {
        let top = file.modules().first().cloned().unwrap_or_default();
        let low = layer_of(&top).is_some_and(|layer| layer <= 1);
        if low || PURE_FILES.contains(&file.name.as_str()) {
            let found = words(&file.text);
            for banned in IMPURE {
                assert!(!found.contains(*banned), "{}: {banned}", file.name);
            }
        }
    }
}

#[test]
fn the_committer_sees_the_manifest_alone() {
    for file in library_files() {
        let unseen = UNSEEN.iter().find(|(name, _)| *name == file.name);
        for import in imports(&file.modules(), &file.text) {
            let breaks = unseen.is_some_and(|(_, modules)| modules.contains(&import.top()));
            assert!(!breaks, "{}: crate::{}", file.name, import.path());
        }
    }
}

#[test]
fn no_source_file_is_too_long() {
    for file in ["src", "tests", "benches", "examples"]
        .into_iter()
        .flat_map(files_below)
    {
        let lines = file.text.lines().count();
        assert!(lines <= MAX_FILE_LINES, "{}: {lines} lines", file.name);
    }
}

/// The checks themselves must be able to fail: each of these breaks one rule.
#[test]
fn broken_variants_are_caught() {
    let broken: &[(&str, &str)] = &[
        ("error", "use crate::store::Root;"),
        ("copy", "use crate::pg::Session;"),
        ("pg", "use crate::store::Root;"),
        ("store", "use crate::pg::Session;"),
        ("store", "use crate::{error::Error, pg::{self, Session}};"),
        ("store", "fn f() { crate::plan::split::cut() }"),
        ("store", "use super::pg::Session;"),
        ("store", "mod tests { use super::super::pg::Session; }"),
        ("store", "use crate /* a comment */ :: manifest;"),
        ("manifest", "use crate::plan::Plan;"),
        ("plan", "use crate::export::Progress;"),
        ("verify", "use crate::export::Progress;"),
        ("status", "use crate::export::Progress;"),
        ("status", "use crate::export::report::TableReport;"),
        ("export", "use crate::status::StatusReport;"),
        ("export", "use crate::nowhere::Thing;"),
        ("export", "use crate::*;"),
        ("export", "use crate::codec::CopyDecoder;"),
    ];
    for (module, text) in broken {
        let caught = violations(&[(*module).to_owned()], text).next();
        assert!(caught.is_some(), "{module}: {text}");
    }
}

#[test]
fn sound_variants_pass() {
    let sound: &[(&str, &str)] = &[
        (
            "store",
            "use crate::error::{Error, Result};\nuse crate::chunk::ChunkId;",
        ),
        ("copy", "use crate::mapping::Codec;"),
        (
            "plan",
            "use crate::manifest::Dataset; use crate::pg::Session;",
        ),
        (
            "export",
            "use crate::{manifest::log, pg, store::{self, Root}};",
        ),
        ("status", "use crate::manifest::{self, Dataset};"),
        ("store", "use self::layout::key; use super::store::Root;"),
        ("store", "mod tests { use super::*; }"),
        (
            "store",
            "// crate::pg::Session\n/* crate::plan /* nested */ crate::plan */",
        ),
        (
            "store",
            "const A: &str = \"crate::pg\"; const B: &str = r#\"crate::pg\"#;",
        ),
        (
            "store",
            "fn f<'a>(c: &'a str) -> bool { c == '\"'.to_string() && crate::lsn::ok() }",
        ),
    ];
    for (module, text) in sound {
        let found: Vec<_> = violations(&[(*module).to_owned()], text).collect();
        assert!(found.is_empty(), "{module}: {found:?}");
    }
}

/// Why this text, as the module of this path, breaks the table: one sentence an import.
fn violations(modules: &[String], text: &str) -> impl Iterator<Item = String> {
    let from = modules.first().cloned().unwrap_or_default();
    let found: BTreeSet<Import> = imports(modules, text).into_iter().collect();
    found.into_iter().filter_map(move |import| {
        let path = import.path();
        // The export list may name everything.
        let exports = from.is_empty() || FACADES.contains(&from.as_str());
        let allowed = exports || from == import.top() || is_allowed(&from, import.top());
        (!allowed).then(|| format!("{from} may not use crate::{path}"))
    })
}

fn is_allowed(from: &str, to: &str) -> bool {
    match (layer_of(from), layer_of(to)) {
        (Some(above), Some(below)) if below < above => true,
        (Some(0), Some(0)) => true,
        _ => BESIDE.contains(&(from, to)),
    }
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS
        .iter()
        .position(|(_, modules)| modules.contains(&module))
}

/// A source file of this repository.
struct SourceFile {
    /// Its path from the repository's root.
    name: String,
    text: String,
}

impl SourceFile {
    /// Its module path below the crate's root: `src/pg/sql.rs` is `pg::sql`.
    fn modules(&self) -> Vec<String> {
        let path = self.name.trim_start_matches("src/").trim_end_matches(".rs");
        let root = |part: &&str| !["lib", "main", "mod"].contains(part);
        path.split('/').filter(root).map(str::to_owned).collect()
    }

    fn is_binary(&self) -> bool {
        self.name == "src/main.rs" || self.modules().first().is_some_and(|top| top == "cli")
    }

    fn tell(&self, why: &str) -> String {
        format!("{}: {why}", self.name)
    }
}

fn library_files() -> Vec<SourceFile> {
    let mut files = files_below("src");
    files.retain(|file| !file.is_binary());
    assert!(files.len() >= 8, "the sources are where they were");
    files
}

fn files_below(folder: &str) -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    gather(&root.join(folder), &mut paths);
    paths.sort();
    let read = |path: PathBuf| SourceFile {
        name: path
            .strip_prefix(root)
            .ok()
            .and_then(Path::to_str)
            .expect("a UTF-8 path below the root")
            .to_owned(),
        text: fs::read_to_string(&path).expect("a readable source"),
    };
    paths.into_iter().map(read).collect()
}

fn gather(folder: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.map(|entry| entry.expect("a readable folder").path()) {
        if path.is_dir() {
            gather(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}
