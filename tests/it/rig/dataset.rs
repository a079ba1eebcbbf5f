//! A dataset as somebody sees it who knows its format and nothing of pgsluice's code.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Root, listed_objects};

/// A dataset below a root.
pub(crate) struct Dataset<'a> {
    root: &'a dyn Root,
    folder: String,
}

impl<'a> Dataset<'a> {
    /// The dataset in this folder of the root, such as `public/orders`.
    pub(crate) fn new(root: &'a dyn Root, folder: &str) -> Self {
        let folder = folder.to_owned();
        Self { root, folder }
    }

    /// The manifest log, entry by entry, as it stands in the store.
    pub(crate) fn raw_log(&self) -> BTreeMap<String, Bytes> {
        let keys = self
            .root
            .list(&format!("{}/_pgsluice/log", self.folder))
            .into_keys();
        keys.map(|key| {
            let entry = self.root.get(&key).expect("a log entry is never deleted");
            (key, entry)
        })
        .collect()
    }

    /// What each entry of the log changes, with its epoch, in order.
    pub(crate) fn changes(&self) -> Vec<(u64, Value)> {
        let entries = self.raw_log().into_values().map(|entry| {
            let entry: Value = serde_json::from_slice(&entry).expect("an entry is JSON");
            (
                entry["epoch"].as_u64().expect("an epoch"),
                entry["change"].clone(),
            )
        });
        entries.collect()
    }

    /// The chunks that the current plan has committed. Panics when one is committed twice.
    pub(crate) fn committed(&self) -> BTreeSet<u64> {
        let (mut committed, mut completed) = (BTreeSet::new(), BTreeSet::new());
        for (epoch, change) in self.changes() {
            if change["plan"]["kind"] == "new" {
                committed.clear();
            }
            // A further run that is planned anew gives up what was committed of its first plan.
            if change["plan"]["kind"] == "extend" {
                committed.clone_from(&completed);
            }
            if change["type"] == "complete" {
                completed.clone_from(&committed);
            }
            for discarded in change["plan"]["discard"].as_array().into_iter().flatten() {
                committed.remove(&discarded.as_u64().expect("a chunk id"));
            }
            if change["type"] == "commit" {
                for chunk in change["chunks"].as_array().expect("committed chunks") {
                    let id = chunk["chunk"].as_u64().expect("a chunk id");
                    assert!(
                        committed.insert(id),
                        "epoch {epoch} commits chunk {id} again"
                    );
                }
            }
        }
        committed
    }

    /// How many plans were begun.
    pub(crate) fn plans(&self) -> usize {
        let changes = self.changes();
        changes
            .iter()
            .filter(|(_, change)| change["plan"]["kind"] == "new")
            .count()
    }

    /// The epoch that began the current plan.
    pub(crate) fn epoch_of_plan(&self) -> u64 {
        let changes = self.changes();
        let newest = changes
            .iter()
            .rfind(|(_, change)| change["plan"]["kind"] == "new");
        newest.expect("a plan was begun").0
    }

    /// The consolidated manifest, checked against `_SUCCESS`, and against the data objects that
    /// a listing shows: all that are listed there and no other.
    pub(crate) fn manifest(&self) -> Value {
        let manifest = self.get("_pgsluice/manifest.json");
        let success: Value = serde_json::from_slice(&self.get("_SUCCESS")).expect("JSON");
        let digest = hex(&Sha256::digest(&manifest));
        assert_eq!(
            success["manifest_sha256"],
            digest.as_str(),
            "_SUCCESS names the manifest"
        );
        let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
        let listed: BTreeSet<_> = listed_objects(&manifest)
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        assert_eq!(
            self.parts(),
            listed,
            "objects in the store, and in the manifest"
        );
        manifest
    }

    /// The keys of the data objects that a listing shows, hive folders included.
    pub(crate) fn parts(&self) -> BTreeSet<String> {
        let keys = self.root.list(&self.folder).into_keys();
        let below = format!("{}/", self.folder);
        let keys = keys.filter_map(|key| {
            let (_, key) = key.split_once(&below)?;
            Some(key.to_owned())
        });
        let is_part = |key: &String| {
            let name = key.rsplit('/').next().unwrap_or_default();
            !key.starts_with('_') && name.starts_with("part-")
        };
        keys.filter(is_part).collect()
    }

    /// All that a reader can see, but for the lease, which says only whether a writer lives.
    pub(crate) fn contents(&self) -> BTreeMap<String, Bytes> {
        let keys = self.root.list(&self.folder).into_keys();
        let seen = keys
            .filter(|key| !key.ends_with("/_pgsluice/lease.json"))
            .map(|key| {
                let bytes = self.root.get(&key).expect("a listed object");
                (key, bytes)
            });
        seen.collect()
    }

    fn get(&self, key: &str) -> Bytes {
        let key = format!("{}/{key}", self.folder);
        self.root
            .get(&key)
            .unwrap_or_else(|| panic!("there is no {key:?}"))
    }
}

/// The chunk entries of a manifest, wherever they stand: whatever has objects and a snapshot.
pub(crate) fn chunk_entries(json: &Value) -> Vec<&Value> {
    match json {
        Value::Object(fields)
            if fields.contains_key("objects") && fields.contains_key("snapshot") =>
        {
            vec![json]
        }
        Value::Object(fields) => fields.values().flat_map(chunk_entries).collect(),
        Value::Array(items) => items.iter().flat_map(chunk_entries).collect(),
        _ => Vec::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
