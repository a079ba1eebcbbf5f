//! Which run comes to which point, and how: the whole matrix.
//!
//! Every point of the list has a case; one that no case reaches fails the test, and so does a case
//! whose run did not die or lose its reply there.

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    KillBefore,
    KillAfter,
    LoseReply,
}

impl What {
    pub(super) const ALL: [Self; 3] = [Self::KillBefore, Self::KillAfter, Self::LoseReply];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::KillBefore => "kill-before",
            Self::KillAfter => "kill-after",
            Self::LoseReply => "lose-reply",
        }
    }
}

/// A way to come to a point.
#[derive(Debug)]
pub(super) struct Scenario {
    /// The tables that it exports.
    pub(super) tables: &'static [&'static str],
    /// The flags of every run.
    pub(super) flags: &'static [&'static str],
    /// Flags of the run that comes to the point, beside those.
    pub(super) flags_once: &'static [&'static str],
    /// Points that make the run come there.
    pub(super) led_by: &'static str,
    pub(super) before: Before,
    /// The points, and at which time each is meant.
    pub(super) points: &'static [(&'static str, u32)],
}

/// What lies at the root when the run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    Nothing,
    /// A run that died at this point.
    Dead(&'static str),
    /// A run that paused after two chunks.
    Paused,
    /// A completed run over the first rows of a growing table.
    Completed,
}

pub(crate) const SMALL: &[&str] = &[
    "--table",
    "t",
    "--chunk-by",
    "key:id",
    "--chunk-rows",
    "60",
    "--workers",
    "1",
];
pub(super) const GROWING: &[&str] = &[
    "--table",
    "grown",
    "--incremental",
    "id",
    "--chunk-rows",
    "60",
    "--workers",
    "1",
];
const WIDE: &[&str] = &[
    "--table",
    "wide",
    "--chunk-by",
    "none",
    "--compression",
    "none",
    "--part-bytes",
    "5MiB",
    "--row-group-bytes",
    "1MiB",
];
const PAIR: &[&str] = &[
    "--table",
    "public.pair_*",
    "--chunk-by",
    "key:id",
    "--chunk-rows",
    "60",
    "--workers",
    "1",
];

const FRESH: Scenario = Scenario {
    tables: &["t"],
    flags: SMALL,
    flags_once: &[],
    led_by: "",
    before: Before::Nothing,
    points: &[],
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        points: &[
            ("probe", 1),
            ("probe-delete", 1),
            // Keeper, locker, worker, the last look at the catalog.
            ("connect", 1),
            ("connect", 2),
            ("connect", 3),
            ("connect", 4),
            ("lock-table", 1),
            ("take-snapshot", 1),
            ("load-log", 1),
            ("open-entry", 1),
            ("lease", 1),
            ("join-snapshot", 1),
            ("join-snapshot", 4),
            ("lock-chunk", 1),
            ("copy-begin", 1),
            ("copy-frame", 100),
            ("copy-end", 2),
            ("read-commit", 3),
            ("fence-before", 1),
            ("put-object", 1),
            ("put-object", 5),
            ("fence-after", 2),
            ("read-footer", 2),
            ("commit-entry", 1),
            ("commit-entry", 2),
            ("check-end", 1),
            ("release", 1),
            ("list-orphans", 1),
            ("fence-orphans", 1),
            ("check-objects", 1),
            ("complete-entry", 1),
            ("manifest-file", 1),
            ("success-file", 1),
        ],
        ..FRESH
    },
    // A dead writer's objects lie there, and are nobody's.
    Scenario {
        before: Before::Dead("put-object:kill-after:4"),
        points: &[
            ("open-entry", 1),
            ("put-object", 1),
            ("commit-entry", 1),
            ("delete-orphans", 1),
            ("complete-entry", 1),
        ],
        ..FRESH
    },
    Scenario {
        before: Before::Dead("plan-entry:kill-after:1"),
        points: &[("open-entry", 1), ("plan-entry", 1)],
        ..FRESH
    },
    // The dead one left nothing to do but the end.
    Scenario {
        before: Before::Dead("complete-entry:kill-after"),
        points: &[("manifest-file", 1), ("success-file", 1)],
        ..FRESH
    },
    Scenario {
        points: &[("plan-entry", 1), ("plan-entry", 2)],
        ..FRESH
    },
    Scenario {
        flags_once: &["--max-chunks", "2"],
        points: &[("pause-entry", 1)],
        ..FRESH
    },
    Scenario {
        before: Before::Paused,
        points: &[("open-entry", 1), ("commit-entry", 1)],
        ..FRESH
    },
    // One try a chunk, and that one fails.
    Scenario {
        flags_once: &["--attempts", "1"],
        led_by: "copy-end:lose-reply:3",
        points: &[("fail-entry", 1)],
        ..FRESH
    },
    Scenario {
        tables: &["grown"],
        flags: GROWING,
        before: Before::Completed,
        points: &[
            ("open-entry", 1),
            ("plan-entry", 1),
            ("withdraw-success", 1),
            ("commit-entry", 1),
            ("complete-entry", 1),
            ("manifest-file", 1),
            ("success-file", 1),
        ],
        ..FRESH
    },
    Scenario {
        tables: &["pair_a", "pair_b"],
        flags: PAIR,
        points: &[
            ("record-begin", 1),
            ("open-entry", 2),
            ("let-go", 1),
            ("record-end", 1),
        ],
        ..FRESH
    },
    Scenario {
        tables: &["wide"],
        flags: WIDE,
        points: &[
            ("begin-upload", 1),
            ("upload-part", 1),
            ("upload-part", 2),
            ("complete-upload", 1),
        ],
        ..FRESH
    },
    // A part that failed makes the upload be given up.
    Scenario {
        tables: &["wide"],
        flags: WIDE,
        led_by: "upload-part:lose-reply:2",
        points: &[("abort-upload", 1)],
        ..FRESH
    },
];
