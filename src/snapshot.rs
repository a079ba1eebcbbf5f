//! What identifies the snapshot that rows were read under. Pure data.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::lsn::Lsn;

/// One exported transaction snapshot, and the server it came from.
///
/// It says what rows were visible; it does not keep anything alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The id that `SET TRANSACTION SNAPSHOT` takes, such as `00000003-0000001B-1`.
    pub id: String,
    /// `txid_current_snapshot()` under it: `xmin:xmax:xip_list`.
    pub visible: String,
    /// The WAL position read just before the snapshot was taken (on a standby: replayed).
    ///
    /// It dates the snapshot; it is no place to start change data capture from: a commit whose
    /// record lies before it can still be invisible (while it is synced, or waits for a standby).
    /// Unknown for a joined snapshot.
    pub lsn: Option<Lsn>,
    /// The server's timeline.
    pub timeline: u32,
    /// The cluster's system identifier. Text in JSON: it does not fit a double.
    #[serde(with = "as_text")]
    pub system_identifier: u64,
    /// When the postmaster started: an id can come again after a restart.
    pub server_started_at: DateTime<Utc>,
    /// Whether the server was a standby.
    pub in_recovery: bool,
    /// Whether something other than this run holds it (`--snapshot`).
    pub joined: bool,
    /// When it was taken or joined, by the exporter's clock. Shown to people; decides nothing.
    pub taken_at: DateTime<Utc>,
}

impl Snapshot {
    /// Whether both name the same set of visible rows: the same id, on the same start of the
    /// same server, with the same transactions in progress.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.id == other.id
            && self.visible == other.visible
            && self.timeline == other.timeline
            && self.system_identifier == other.system_identifier
            && self.server_started_at == other.server_started_at
    }
}

/// A number of 64 bits as JSON text.
pub(crate) mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(number)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// How the rows of a dataset or a run hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// Every row was read under one snapshot.
    Snapshot,
    /// A resumed run whose first snapshot was gone: chunks name the one they were read under.
    Mixed,
    /// An incremental export of several runs, each of which was read under one snapshot.
    Incremental,
}

impl Consistency {
    /// The stable name, as it stands in the manifest.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Mixed => "mixed",
            Self::Incremental => "incremental",
        }
    }
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
