//! What one dataset is exported with, drawn at random.

use rand::RngExt;
use rand::rngs::StdRng;

use super::TABLES;

/// How the rows are gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Key,
    Time,
    Ctid,
    Incremental,
}

/// What becomes of infinite times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Odd {
    LeftOut,
    Exceptions,
    Text,
}

#[derive(Debug)]
pub(super) struct Draw {
    pub(super) kind: Kind,
    pub(super) odd: Odd,
    pub(super) on_disk: bool,
    pub(super) kept_snapshot: bool,
    pub(super) tables: Vec<&'static str>,
    /// Completions wanted: more than one only of incremental runs.
    pub(super) runs: usize,
    require_consistent: bool,
    options: Vec<String>,
}

impl Draw {
    pub(super) fn new(rng: &mut StdRng) -> Self {
        let kind = match rng.random_range(0..10) {
            0..=4 => Kind::Key,
            5..=6 => Kind::Time,
            7 => Kind::Ctid,
            _ => Kind::Incremental,
        };
        let incremental = kind == Kind::Incremental;
        let tables = match incremental {
            true => vec!["grown"],
            false => TABLES[..[1, 1, 2, 3][rng.random_range(0..4)]].to_vec(),
        };
        // The two that name a column take a single table.
        let odd = match rng.random_range(0..3) {
            0 if tables.len() == 1 => Odd::LeftOut,
            1 if tables.len() == 1 => Odd::Text,
            _ => Odd::Exceptions,
        };
        let kept_snapshot = !incremental && rng.random_bool(0.4);
        // Of several tables, one that is complete would refuse another snapshot for the rest.
        let may_refuse = !incremental && (kept_snapshot || tables.len() == 1);
        Self {
            kind,
            odd,
            on_disk: rng.random_bool(0.5),
            kept_snapshot,
            tables,
            runs: if incremental {
                rng.random_range(2..4)
            } else {
                1
            },
            require_consistent: may_refuse && rng.random_bool(0.2),
            options: options(rng, kind),
        }
    }

    /// Whether chunks that are committed may be given up after a kill: folders of times too, when
    /// rows that came since would have none.
    pub(super) fn may_start_over(&self) -> bool {
        let in_folders = self.options.iter().any(|option| option == "--hive");
        !self.kept_snapshot && (self.never_mixes() || in_folders)
    }

    /// Whether one dataset holds rows of one snapshot only.
    pub(super) fn never_mixes(&self) -> bool {
        self.kind == Kind::Ctid || self.require_consistent || self.kept_snapshot
    }

    pub(super) fn flags(&self, dsn: &str, snapshot: Option<&str>) -> Vec<String> {
        let mut flags: Vec<&str> = vec!["export", "--from", dsn];
        for table in &self.tables {
            flags.extend(["--table", table]);
        }
        flags.extend(match self.kind {
            Kind::Key => ["--chunk-by", "key:id"],
            Kind::Time => ["--chunk-by", "time:at:6 hours"],
            Kind::Ctid => ["--chunk-by", "ctid"],
            Kind::Incremental => ["--incremental", "id"],
        });
        flags.extend(match self.odd {
            Odd::LeftOut => ["--exclude-columns", "odd"],
            Odd::Exceptions => ["--on-unrepresentable", "exceptions"],
            Odd::Text => ["--map", "odd=text"],
        });
        if let Some(snapshot) = snapshot {
            flags.extend(["--snapshot", snapshot]);
        }
        if self.require_consistent {
            flags.push("--require-consistent");
        }
        flags.extend(["--lease-interval", "100ms", "--output", "json", "--quiet"]);
        flags.extend(self.options.iter().map(String::as_str));
        flags.into_iter().map(str::to_owned).collect()
    }
}

/// Sizes and counts, small enough that one run has many objects and groups.
fn options(rng: &mut StdRng, kind: Kind) -> Vec<String> {
    let mut options = vec![format!("--workers={}", rng.random_range(1..5))];
    if kind != Kind::Time {
        options.push(format!("--chunk-rows={}", rng.random_range(60..600)));
    } else if rng.random_bool(0.5) {
        options.push("--hive".to_owned());
    }
    if kind == Kind::Ctid {
        options.push("--chunk-bytes=64KiB".to_owned());
    }
    if rng.random_bool(0.3) {
        options.push("--target-object-size=64KiB".to_owned());
    }
    if rng.random_bool(0.3) {
        options.push("--row-group-bytes=64KiB".to_owned());
    }
    if rng.random_bool(0.3) {
        options.push("--batch-rows=100".to_owned());
    }
    if rng.random_bool(0.3) {
        options.push("--pause-between-chunks=20ms".to_owned());
    }
    options
}
