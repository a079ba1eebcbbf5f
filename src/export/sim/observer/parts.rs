//! The data objects: what is committed stands unchanged, and what is not goes away.

use std::collections::{BTreeMap, BTreeSet};

use object_store::memory::InMemory;
use sha2::{Digest, Sha256};

use super::{Checked, read};
use crate::manifest::{ChunkEntry, Dataset};
use crate::store::hex;

#[derive(Debug, Default)]
pub(super) struct Parts {
    /// What lies there, and since which operation, by which process.
    here: BTreeMap<String, (u64, usize)>,
    /// SHA-256 of the committed ones.
    committed: BTreeMap<String, String>,
    processes: BTreeMap<usize, Known>,
}

/// What is known of a process.
#[derive(Debug, Default)]
struct Known {
    /// It died or gave a landing up: what it left may stay.
    is_excused: bool,
    /// Objects whose own requests went wrong.
    faulted: BTreeSet<String>,
    /// The operation before which its last fault came.
    last_fault: Option<u64>,
    /// The first listing behind its last log entry.
    first_list: Option<u64>,
}

impl Parts {
    pub(super) fn enter(&mut self, process: usize) {
        self.processes.insert(process, Known::default());
    }

    fn known(&mut self, process: usize) -> &mut Known {
        self.processes.entry(process).or_default()
    }

    pub(super) fn excuse(&mut self, process: usize) {
        self.known(process).is_excused = true;
    }

    pub(super) fn faulted(&mut self, process: usize, key: &str, at: u64) {
        let known = self.known(process);
        known.last_fault = Some(at);
        if key.starts_with("part-") {
            known.faulted.insert(key.to_owned());
        }
    }

    pub(super) fn listed(&mut self, process: usize, at: u64) {
        self.known(process).first_list.get_or_insert(at);
    }

    pub(super) fn first_list(&self, process: usize) -> Option<u64> {
        self.processes.get(&process)?.first_list
    }

    pub(super) fn entry_by(&mut self, process: usize) {
        self.known(process).first_list = None;
    }

    pub(super) fn landed(
        &mut self,
        store: &InMemory,
        process: usize,
        key: &str,
        at: u64,
    ) -> Checked {
        if let Some(sha256) = self.committed.get(key) {
            check_bytes(store, key, sha256)?;
        }
        self.here.insert(key.to_owned(), (at, process));
        Ok(())
    }

    pub(super) fn deleted(&mut self, key: &str) -> Checked {
        self.here.remove(key);
        match self.committed.contains_key(key) {
            true => Err(format!("{key} is deleted, and committed")),
            false => Ok(()),
        }
    }

    /// Every committed object stands, with the bytes that its entry names.
    pub(super) fn commit(&mut self, store: &InMemory, chunk: &ChunkEntry) -> Checked {
        for object in chunk.all_objects() {
            check_bytes(store, &object.key, &object.sha256)?;
            let sha256 = object.sha256.clone();
            self.committed.insert(object.key.clone(), sha256);
        }
        Ok(())
    }

    pub(super) fn set_committed(&mut self, dataset: &Dataset) {
        let objects = dataset.committed.values().flat_map(ChunkEntry::all_objects);
        self.committed = objects
            .map(|object| (object.key.clone(), object.sha256.clone()))
            .collect();
    }

    /// What no chunk names, and came before the completing writer looked for it, is gone.
    pub(super) fn check_complete(&self, listed: Option<u64>) -> Checked {
        let listed = listed.ok_or("a dataset is completed without a look for orphans")?;
        let orphan = self.strays().find(|(_, at, _)| *at < listed);
        orphan.map_or(Ok(()), |(key, _, process)| {
            Err(format!("the orphan {key} of process {process} stays"))
        })
    }

    /// Writers that live take away what they brought too late.
    pub(super) fn check_strays(&self) -> Checked {
        let stray = self.strays().find(|(key, at, process)| {
            let Some(known) = self.processes.get(process) else {
                return true;
            };
            let may_stay = known.is_excused
                || known.faulted.contains(*key)
                || known.last_fault.is_some_and(|fault| fault >= *at);
            !may_stay
        });
        stray.map_or(Ok(()), |(key, _, process)| {
            Err(format!(
                "{key} of process {process} stays beside the dataset"
            ))
        })
    }

    fn strays(&self) -> impl Iterator<Item = (&String, u64, usize)> {
        let here = self
            .here
            .iter()
            .map(|(key, (at, process))| (key, *at, *process));
        here.filter(|(key, ..)| !self.committed.contains_key(*key))
    }
}

fn check_bytes(store: &InMemory, key: &str, sha256: &str) -> Checked {
    let bytes = read(store, key).ok_or_else(|| format!("{key} is committed and not there"))?;
    if hex(&Sha256::digest(&bytes)) == sha256 {
        Ok(())
    } else {
        Err(format!("{key} holds other bytes than were committed"))
    }
}
