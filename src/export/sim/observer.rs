//! Looks at the store after each effect on it: the invariants of the manifest protocol.
//!
//! Owns what must always hold, what must hold in the end, and the trace of a seed. It reads the
//! store itself, past all faults, and folds the log as any reader does.

mod coverage;
mod files;
mod parts;
mod trace;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use futures::FutureExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

pub(super) use self::coverage::Coverage;
use self::files::{Completed, Files};
use self::parts::Parts;
use self::trace::Trace;
use super::Told;
use super::process::ROOT;
use super::source::Table;
use crate::chunk::ChunkId;
use crate::error::{Error, ErrorKind};
use crate::manifest::{Change, Dataset, Entry, State, apply};
use crate::plan::Decision;
use crate::store::layout::{LEASE, MANIFEST, SUCCESS, log_key};
use crate::store::testing::{Call, Fault, Op};

/// What is wrong, in one sentence.
type Checked = Result<(), String>;

#[derive(Debug)]
pub(super) struct Observer {
    store: Arc<InMemory>,
    seen: Mutex<Seen>,
}

/// All that is known so far.
#[derive(Debug, Default)]
struct Seen {
    violation: Option<String>,
    trace: Trace,
    coverage: Coverage,
    table: Option<Arc<Table>>,
    dataset: Option<Dataset>,
    /// The writer's token of each epoch.
    tokens: BTreeMap<u64, String>,
    completed: Vec<Completed>,
    files: Files,
    parts: Parts,
}

impl Observer {
    pub(super) fn new(store: Arc<InMemory>) -> Self {
        Self {
            store,
            seen: Mutex::default(),
        }
    }

    pub(super) fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store) as Arc<dyn ObjectStore>
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    pub(super) fn set_table(&self, table: Arc<Table>) {
        self.lock().table = Some(table);
    }

    pub(super) fn enter(&self, process: usize) {
        self.lock().parts.enter(process);
    }

    pub(super) fn died(&self, process: usize) {
        let mut seen = self.lock();
        seen.coverage.deaths += 1;
        seen.parts.excuse(process);
        seen.trace.note(process, "dies");
    }

    /// A landing was given up midway, after its grace.
    pub(super) fn abandoned(&self, process: usize) {
        self.lock().parts.excuse(process);
    }

    pub(super) fn decided(&self, decision: &Decision) {
        let mut seen = self.lock();
        match decision {
            Decision::Start { .. } => seen.coverage.starts += 1,
            Decision::Continue { mixed, .. } => {
                seen.coverage.resumes += 1;
                seen.coverage.mixed += u64::from(*mixed);
            }
            Decision::Extend { .. } => seen.coverage.extends += 1,
            Decision::Complete => {}
        }
    }

    /// A process ended by itself. Errors that tell of a broken protocol are violations.
    pub(super) fn ended(&self, process: usize, ended: &Result<(), Error>) {
        let mut seen = self.lock();
        let Err(error) = ended else {
            seen.trace.note(process, "completes");
            return;
        };
        let told = crate::export::worker::one_line(error);
        seen.trace.note(process, &told);
        match error.kind() {
            ErrorKind::Fenced => seen.coverage.fenced += 1,
            ErrorKind::Cancelled => seen.coverage.paused += 1,
            ErrorKind::Storage | ErrorKind::Source => seen.coverage.failed += 1,
            ErrorKind::Conflict
                if told.contains("is exporting to") || told.contains("opened epoch") =>
            {
                seen.coverage.refused += 1;
            }
            _ => seen.fail(format!("process {process} ends with: {told}")),
        }
    }

    pub(super) fn broken(&self, what: String) {
        self.lock().fail(what);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.lock().violation.is_some()
    }

    /// What becomes of a request was decided.
    pub(super) fn asked(&self, process: usize, call: &Call, fault: Fault) {
        if fault == Fault::None {
            return;
        }
        let mut seen = self.lock();
        seen.trace.asked(process, call, fault);
        seen.coverage.faults += 1;
        seen.coverage.lost_appends += u64::from(call.op == Op::Create && fault == Fault::LostReply);
        let at = seen.trace.operations;
        seen.parts.faulted(process, key_of(&call.key), at);
    }

    /// A request reached the store.
    pub(super) fn effect(&self, process: usize, call: &Call, done: bool) {
        let mut seen = self.lock();
        seen.trace.effect(process, call, done);
        if !done || seen.violation.is_some() {
            return;
        }
        if let Err(what) = seen.check(&self.store, process, call) {
            seen.fail(what);
        }
    }

    /// What holds once no process runs and nothing is under way.
    pub(super) fn check_settled(&self) {
        let mut seen = self.lock();
        if (seen.dataset.as_ref()).is_none_or(|of| of.state != State::Complete) {
            // Whoever completes the run that is open takes away what lies beside it.
            return;
        }
        let strays = seen.parts.check_strays();
        // Without faults, all writers came to their end, also those that stood still.
        let is_calm = seen.coverage.faults == 0 && seen.coverage.deaths == 0;
        let files = match is_calm {
            true => seen.files.check_end(&self.store, &seen.completed),
            false => Ok(()),
        };
        if let Err(what) = strays.and(files) {
            seen.fail(what);
        }
    }

    /// What holds after a healthy writer came last.
    pub(super) fn check_end(&self) {
        let mut seen = self.lock();
        if seen.violation.is_none()
            && let Err(what) = seen.check_end(&self.store)
        {
            seen.fail(what);
        }
    }

    pub(super) fn told(&self, seed: u64) -> Told {
        let seen = self.lock();
        let violation = seen.violation.as_ref();
        Told {
            trace: seen.trace.hash,
            operations: seen.trace.operations,
            coverage: seen.coverage,
            violation: violation.map(|what| format!("seed {seed}: {what}\n{}", seen.trace)),
        }
    }
}

/// The key below the dataset's root.
fn key_of(path: &Path) -> &str {
    let key = path.as_ref().strip_prefix(ROOT).unwrap_or_default();
    key.strip_prefix('/').unwrap_or_default()
}

/// An object's bytes, past all faults.
fn read(store: &InMemory, key: &str) -> Option<Bytes> {
    let path = Path::from(format!("{ROOT}/{key}"));
    let found = store.get(&path).now_or_never()?.ok()?;
    found.bytes().now_or_never()?.ok()
}

impl Seen {
    fn fail(&mut self, what: String) {
        let epoch = self.dataset.as_ref().map_or(0, |dataset| dataset.epoch);
        self.violation
            .get_or_insert_with(|| format!("{what} (epoch {epoch})"));
    }

    fn check(&mut self, store: &InMemory, process: usize, call: &Call) -> Checked {
        let key = key_of(&call.key);
        let is_write = matches!(call.op, Op::Put | Op::Create | Op::Complete);
        match (key, call.op) {
            (_, Op::ListFolder) => {
                let at = self.trace.operations;
                self.parts.listed(process, at);
                Ok(())
            }
            (SUCCESS | MANIFEST, Op::Put | Op::Create | Op::Complete | Op::Delete) => {
                self.check_files(store, key, is_write)
            }
            (LEASE, _) => Ok(()),
            _ if key.starts_with("_pgsluice/log/") => self.check_log(store, process, key, call.op),
            _ if key.starts_with("part-") && is_write => self.part_landed(store, process, key),
            _ if key.starts_with("part-") && call.op == Op::Delete => self.parts.deleted(key),
            _ if is_write || call.op == Op::Delete => Err(format!("{key} is no key of a dataset")),
            _ => Ok(()),
        }
    }

    /// The log is dense, never changed, and folds.
    fn check_log(&mut self, store: &InMemory, process: usize, key: &str, op: Op) -> Checked {
        if !matches!(op, Op::Put | Op::Create | Op::Delete) {
            return Ok(());
        }
        let seq = self.dataset.as_ref().map_or(1, |dataset| dataset.next_seq);
        if op == Op::Delete || key != log_key(seq) {
            return Err(format!("{op:?} of {key} where entry {seq} comes next"));
        }
        let bytes = read(store, key).ok_or("an entry is not there")?;
        let entry = Entry::from_bytes(seq, &bytes).map_err(|error| error.to_string())?;
        self.check_epoch(&entry)?;
        self.trace.entry(&entry);
        self.coverage.entry(&entry, self.dataset.as_ref());
        let before = self.parts.first_list(process);
        self.parts.entry_by(process);
        let change = entry.change.clone();
        let was_open = self.dataset.as_ref().map(|dataset| dataset.state);
        apply(&mut self.dataset, entry).map_err(|error| error.to_string())?;
        let dataset = self.dataset.as_ref().ok_or("the log folds to nothing")?;
        match change {
            Change::Open(_) => {
                self.coverage.takeovers += u64::from(was_open == Some(State::Running));
                self.parts.set_committed(dataset);
                for completed in &self.completed {
                    completed.check_kept(dataset)?;
                }
                Ok(())
            }
            Change::Commit { chunks } => {
                for chunk in &chunks {
                    self.parts.commit(store, chunk)?;
                }
                self.files.check_quiet(dataset)
            }
            Change::Complete { .. } => {
                self.parts.check_complete(before)?;
                self.completed.push(Completed::of(dataset)?);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// One winner an epoch; epochs grow by one, by open entries.
    fn check_epoch(&mut self, entry: &Entry) -> Checked {
        let newest = self.tokens.keys().next_back().copied().unwrap_or(0);
        let is_open = matches!(entry.change, Change::Open(_));
        if entry.epoch != newest + u64::from(is_open) {
            return Err(format!("entry {} is by epoch {}", entry.seq, entry.epoch));
        }
        let token = self.tokens.entry(entry.epoch);
        if *token.or_insert_with(|| entry.token.clone()) != entry.token {
            return Err(format!("epoch {} has two writers", entry.epoch));
        }
        Ok(())
    }

    fn part_landed(&mut self, store: &InMemory, process: usize, key: &str) -> Checked {
        self.files.check_beside(key, self.dataset.as_ref())?;
        let at = self.trace.operations;
        self.parts.landed(store, process, key, at)
    }

    fn check_files(&mut self, store: &InMemory, key: &str, is_write: bool) -> Checked {
        let dataset = self.dataset.as_ref().ok_or("an end without a log")?;
        let files = &mut self.files;
        files.changed(store, key, is_write, dataset, &self.completed)?;
        self.coverage.late_files += u64::from(files.is_late());
        Ok(())
    }

    fn check_end(&self, store: &InMemory) -> Checked {
        let dataset = self.dataset.as_ref().ok_or("there is no dataset")?;
        let table = self.table.as_ref().ok_or("there is no table")?;
        if dataset.state != State::Complete || !dataset.is_all_committed() {
            return Err(format!("the dataset is {:?} in the end", dataset.state));
        }
        self.files.check_end(store, &self.completed)?;
        let mut rows = 0;
        for chunk in &dataset.plan.chunks {
            rows += check_chunk(store, dataset, table, chunk.id)?;
        }
        match table.all_rows(dataset.reached()) {
            all if all == rows => Ok(()),
            all => Err(format!("{rows} rows of {all} are there")),
        }
    }
}

/// A committed chunk's objects hold its rows, as its snapshot saw them; tells how many.
fn check_chunk(
    store: &InMemory,
    dataset: &Dataset,
    table: &Table,
    id: ChunkId,
) -> Result<u64, String> {
    let chunk = &dataset.plan.chunks[id.0 as usize];
    let entry = dataset.committed.get(&id).ok_or("a chunk is missing")?;
    let snapshot = &dataset.snapshots[entry.snapshot as usize];
    let relation = dataset.plan.relation_of(chunk);
    let wanted = table.objects(relation, &chunk.range, &snapshot.id);
    if wanted.len() != entry.objects.len() {
        return Err(format!("chunk {id} has {} objects", entry.objects.len()));
    }
    for (object, wanted) in entry.objects.iter().zip(&wanted) {
        if read(store, &object.key).as_ref() != Some(&wanted.bytes) {
            return Err(format!("{} does not hold the chunk's rows", object.key));
        }
    }
    Ok(wanted.iter().map(|object| object.rows).sum())
}
