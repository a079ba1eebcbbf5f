//! Whether a thing is garbage. Pure.
//!
//! Owns the rules, given one reading of the log. What belongs to an epoch goes by its epoch alone.
//! What belongs to none (probes, staging files of the log, the lease and the files at the end) is
//! in use for moments, and counts as left behind after an hour: were one in use even so, its
//! writer would stop with an error, and nothing would be lost or committed wrongly.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::report::{GcKind, GcVerdict, WriterState};
use crate::manifest::{ChunkEntry, Dataset, State};
use crate::store::layout::{
    EXCEPTIONS_DIR, LEASE, MANIFEST, OWN_DIR, RUNS_DIR, SUCCESS, folder_of, is_probe_key,
    parse_exceptions_key, parse_log_key, parse_object_key,
};

/// Age from which a file that belongs to no epoch counts as left behind.
pub(super) const OWN_AGE: Duration = Duration::from_secs(60 * 60);

/// One reading of a dataset's log, as far as garbage goes.
#[derive(Debug)]
pub(super) struct View {
    /// The keys that the log names.
    named: HashSet<String>,
    /// The newest epoch.
    pub(super) epoch: u64,
    /// The newest epoch that can commit no more; 0: none.
    dead: u64,
    writer: WriterState,
    /// The number of the entry that comes next.
    next_seq: u64,
    /// Files of a complete dataset may stand.
    may_be_complete: bool,
    /// Its objects lie in folders `name=value`. Without that, such a folder is somebody else's.
    has_folders: bool,
    /// Folders below it that are datasets of their own, whatever their objects are called.
    others: BTreeSet<String>,
}

/// In what form a thing stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As an object.
    Whole,
    /// As an unfinished upload.
    Upload,
    /// As a staging file.
    Staged,
    /// As an empty folder.
    Folder,
}

/// The age that garbage must have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Age {
    pub(super) now: DateTime<Utc>,
    pub(super) older_than: Duration,
}

/// What was found out about a thing; nothing of one that is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) kind: GcKind,
    pub(super) epoch: Option<u64>,
    pub(super) verdict: GcVerdict,
}

impl View {
    /// What `dataset` tells. Its writer's liveness changes words, not verdicts.
    pub(super) fn of(dataset: &Dataset, is_alive: bool) -> Self {
        let objects = dataset.committed.values().flat_map(ChunkEntry::all_objects);
        let has_ended = has_ended(dataset);
        Self {
            named: objects.map(|object| object.key.clone()).collect(),
            epoch: dataset.epoch,
            dead: match has_ended {
                true => dataset.epoch,
                false => dataset.epoch.saturating_sub(1),
            },
            writer: match (has_ended, is_alive) {
                (true, _) => WriterState::Ended,
                (false, true) => WriterState::Alive,
                (false, false) => WriterState::Silent,
            },
            next_seq: dataset.next_seq,
            may_be_complete: dataset.state == State::Complete || !dataset.runs.is_empty(),
            has_folders: dataset.config.hive.is_some(),
            others: BTreeSet::new(),
        }
    }

    /// A folder above datasets: it has no log, and no data belongs there.
    pub(super) fn of_run_folder() -> Self {
        Self {
            named: HashSet::new(),
            epoch: 0,
            dead: 0,
            writer: WriterState::Ended,
            next_seq: 1,
            may_be_complete: false,
            has_folders: false,
            others: BTreeSet::new(),
        }
    }

    /// The same, with these datasets below it.
    pub(super) fn beside(self, others: BTreeSet<String>) -> Self {
        Self { others, ..self }
    }

    /// The datasets below it.
    pub(super) fn others(&self) -> &BTreeSet<String> {
        &self.others
    }

    /// The same, with no epoch dead that was not in an earlier reading, and the same folders left
    /// alone.
    pub(super) fn no_deader_than(self, earlier: &Self) -> Self {
        Self {
            dead: self.dead.min(earlier.dead),
            others: earlier.others.clone(),
            ..self
        }
    }

    pub(super) fn writer(&self) -> WriterState {
        self.writer
    }

    /// What follows for a thing of this key; `None` when it is needed, or in its place.
    pub(super) fn judge(
        &self,
        form: Form,
        key: &str,
        modified: Option<DateTime<Utc>>,
        age: Age,
    ) -> Option<Judged> {
        if self.is_of_another(key) {
            return None;
        }
        if let Some((kind, epoch)) = self.parse_data_key(key) {
            let verdict = self.judge_data(form, key, epoch, age.of(modified, Duration::ZERO))?;
            return Some(Judged {
                kind: form.kind().unwrap_or(kind),
                epoch: Some(epoch),
                verdict,
            });
        }
        let (kind, verdict) = match form {
            Form::Folder if self.writer != WriterState::Ended => return None,
            Form::Folder if !self.has_folders && key != EXCEPTIONS_DIR => return None,
            Form::Folder => (GcKind::Folder, GcVerdict::Garbage),
            Form::Whole => self.judge_own(key, age.of(modified, OWN_AGE))?,
            Form::Staged | Form::Upload => {
                let verdict = self.judge_own_written(key, age.of(modified, OWN_AGE));
                (form.kind().unwrap_or(GcKind::Other), verdict)
            }
        };
        Some(Judged {
            kind,
            epoch: None,
            verdict,
        })
    }

    /// Whether a key lies in a dataset below this one, or is that dataset's folder.
    fn is_of_another(&self, key: &str) -> bool {
        let mut ends = key.match_indices('/').map(|(at, _)| at);
        ends.any(|end| self.others.contains(&key[..end])) || self.others.contains(key)
    }

    /// Kind and epoch of a key that this dataset's writers may have made.
    fn parse_data_key(&self, key: &str) -> Option<(GcKind, u64)> {
        match folder_of(key) {
            Some(EXCEPTIONS_DIR) => {
                parse_exceptions_key(key).map(|(_, epoch)| (GcKind::Exceptions, epoch))
            }
            Some(_) if !self.has_folders => None,
            _ => parse_object_key(key).map(|(_, epoch)| (GcKind::Object, epoch)),
        }
    }

    /// What belongs to an epoch.
    fn judge_data(&self, form: Form, key: &str, epoch: u64, is_old: bool) -> Option<GcVerdict> {
        // An upload of a key that the log names can only put other bytes in its place.
        if form == Form::Whole && self.named.contains(key) {
            return None;
        }
        Some(match self.writer {
            _ if epoch <= self.dead && is_old => GcVerdict::Garbage,
            _ if epoch <= self.dead => GcVerdict::TooYoung,
            // Of a later epoch than the log knew when it was read: a run has begun meanwhile.
            WriterState::Alive => GcVerdict::InUse,
            WriterState::Silent | WriterState::Ended => GcVerdict::UnknownOutcome,
        })
    }

    /// An object beside the data.
    fn judge_own(&self, key: &str, is_old: bool) -> Option<(GcKind, GcVerdict)> {
        if is_probe_key(key) {
            return Some((GcKind::Probe, by_age(is_old)));
        }
        if [MANIFEST, SUCCESS].contains(&key) {
            let out_of_place = (GcKind::Other, GcVerdict::OutOfPlace);
            return (!self.may_be_complete).then_some(out_of_place);
        }
        let is_own = key == LEASE || parse_log_key(key).is_some() || is_run_record(key);
        (!is_own).then_some((GcKind::Other, GcVerdict::Foreign))
    }

    /// What would become an object beside the data.
    fn judge_own_written(&self, key: &str, is_old: bool) -> GcVerdict {
        match parse_log_key(key) {
            // It stands already: whoever still holds this file finds it taken.
            Some(seq) if seq < self.next_seq => by_age(is_old),
            Some(_) => GcVerdict::UnknownOutcome,
            None if [LEASE, MANIFEST, SUCCESS].contains(&key)
                || is_probe_key(key)
                || is_run_record(key) =>
            {
                by_age(is_old)
            }
            None => GcVerdict::Foreign,
        }
    }
}

/// Whether the newest epoch's writer can append no more.
pub(super) fn has_ended(dataset: &Dataset) -> bool {
    match dataset.state {
        State::Paused | State::Failed | State::Complete => true,
        State::Planning | State::Running => false,
    }
}

impl Form {
    fn kind(self) -> Option<GcKind> {
        match self {
            Self::Whole => None,
            Self::Upload => Some(GcKind::Upload),
            Self::Staged => Some(GcKind::Staging),
            Self::Folder => Some(GcKind::Folder),
        }
    }
}

impl Age {
    /// Whether a thing is old enough; one whose age is not known is, if no age is asked for.
    fn of(self, modified: Option<DateTime<Utc>>, least: Duration) -> bool {
        let least = self.older_than.max(least);
        if least.is_zero() {
            return true;
        }
        let age = modified.and_then(|modified| (self.now - modified).to_std().ok());
        age.is_some_and(|age| age >= least)
    }
}

/// The folders among these keys that are datasets of their own: they have a folder of pgsluice's.
pub(super) fn datasets_among<'a>(keys: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let own = format!("/{OWN_DIR}/");
    let folders = keys.filter_map(|key| Some(key.split_once(&own)?.0.to_owned()));
    folders.collect()
}

fn by_age(is_old: bool) -> GcVerdict {
    match is_old {
        true => GcVerdict::Garbage,
        false => GcVerdict::TooYoung,
    }
}

fn is_run_record(key: &str) -> bool {
    let name = key
        .strip_prefix(RUNS_DIR)
        .and_then(|name| name.strip_prefix('/'));
    name.is_some_and(|name| name.ends_with(".json") && !name.contains('/'))
}
