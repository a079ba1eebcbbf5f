//! One dataset, or one folder above datasets: looked over, then swept.
//!
//! Owns the order of the steps that the proof in [`gc`](super) asks for: the log, the listings, the
//! log again, and only then a deletion.

use std::sync::Arc;

use bytes::Bytes;
use chrono::Utc;

use super::GcOptions;
use super::judge::{Age, Form, Judged, View, datasets_among, has_ended};
use super::report::{GcItem, GcKind, GcPlace, GcVerdict, UploadsSeen, chain};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{Dataset, Liveness, ManifestLog, is_alive};
use crate::options::DEFAULT_LEASE_INTERVAL;
use crate::store::layout::OWN_DIR;
use crate::store::{AppendLog, Root, StagedFile, UnfinishedUpload, Uploads};

/// Things deleted between two looks at the log.
const BATCH: usize = 1_000;

/// What was found in a place, and by which log it was judged.
#[derive(Debug)]
pub(super) struct Survey {
    root: Root,
    /// None of a folder above datasets.
    log: Option<LogSeen>,
    view: View,
    age: Age,
    table: Option<String>,
    uploads: UploadsSeen,
    things: Vec<Thing>,
}

/// What tells one log from another in the same place, and how far it had come.
#[derive(Debug)]
struct LogSeen {
    first: Bytes,
    epoch: u64,
    next_seq: u64,
}

#[derive(Debug)]
struct Thing {
    handle: Handle,
    item: GcItem,
}

/// What it takes to delete a thing.
#[derive(Debug, Clone)]
enum Handle {
    Object,
    Upload(UnfinishedUpload),
    Staged(StagedFile),
    Folder,
}

/// Looks a place over and, if the options say so, sweeps it. Its error becomes part of it.
pub(super) async fn collect(root: Root, is_dataset: bool, options: &GcOptions) -> GcPlace {
    let url = root.url();
    let survey = match is_dataset {
        true => survey_dataset(root, options).await,
        false => survey_run_folder(root, options).await,
    };
    match survey {
        Ok(mut survey) => {
            let swept = match options.delete {
                true => survey.sweep().await,
                false => Ok(()),
            };
            survey.into_place(swept.err())
        }
        Err(error) => GcPlace {
            root: url,
            table: None,
            epoch: None,
            writer: None,
            uploads: UploadsSeen::NotAsked,
            items: Vec::new(),
            error: Some(Arc::new(error)),
        },
    }
}

/// Reads the log, then lists all that is there.
pub(super) async fn survey_dataset(root: Root, options: &GcOptions) -> Result<Survey> {
    let (dataset, first) = read_log(&root).await?;
    let alive = !has_ended(&dataset) && {
        tracing::info!("looking whether the writer of {} is alive", root.url());
        let watched = is_alive(&root, &dataset, DEFAULT_LEASE_INTERVAL).await?;
        watched != Liveness::Dead
    };
    let mut survey = Survey {
        view: View::of(&dataset, alive),
        log: Some(LogSeen {
            first,
            epoch: dataset.epoch,
            next_seq: dataset.next_seq,
        }),
        table: Some(dataset.schema.name.to_string()),
        ..Survey::empty(root, options)
    };
    let listed = survey.root.list_all().await?;
    let left = survey.root.list_disk_leftovers().await?;
    // Another dataset in a folder `name=value` has objects that are called as ours would be.
    let others = datasets_among(listed.iter().map(|found| found.key.as_str()));
    survey.view = survey.view.beside(others);
    survey.tell_others();
    survey.list_uploads().await;
    for found in listed {
        let (key, modified) = (found.key, Some(found.modified));
        survey.take(Handle::Object, key, Some(found.bytes), modified);
    }
    survey.take_staged(left.staged);
    for key in left.empty_folders {
        survey.take(Handle::Folder, key, None, None);
    }
    Ok(survey)
}

/// Lists what lies in the folder of pgsluice's own, and in it alone.
async fn survey_run_folder(root: Root, options: &GcOptions) -> Result<Survey> {
    let mut survey = Survey::empty(root, options);
    let listed = survey.root.child(OWN_DIR)?.list_all().await?;
    let left = survey.root.list_disk_leftovers().await?;
    for found in listed {
        let key = format!("{OWN_DIR}/{}", found.key);
        survey.take(Handle::Object, key, Some(found.bytes), Some(found.modified));
    }
    let is_own = |file: &StagedFile| file.object.key.starts_with(OWN_DIR);
    survey.take_staged(left.staged.into_iter().filter(is_own).collect());
    Ok(survey)
}

async fn read_log(root: &Root) -> Result<(Dataset, Bytes)> {
    let missing = || {
        Error::new(
            ErrorKind::Conflict,
            format!("the manifest log of {} is lost", root.url()),
        )
        .with_advice("nothing tells which objects are needed: run `pgsluice verify`")
    };
    // The first entry comes first: another one behind it is another log.
    let first = AppendLog::new(root.clone()).read(1).await?;
    let first = first.ok_or_else(missing)?;
    let dataset = ManifestLog::load(root).await?.ok_or_else(missing)?;
    Ok((dataset, first))
}

impl Survey {
    fn empty(root: Root, options: &GcOptions) -> Self {
        Self {
            root,
            log: None,
            view: View::of_run_folder(),
            age: Age {
                now: Utc::now(),
                older_than: options.older_than,
            },
            table: None,
            uploads: UploadsSeen::NotAsked,
            things: Vec::new(),
        }
    }

    /// Names the datasets below this one, which are left alone.
    fn tell_others(&mut self) {
        let others = self.view.others().iter().map(|folder| Thing {
            handle: Handle::Folder,
            item: GcItem {
                kind: GcKind::Other,
                verdict: GcVerdict::Foreign,
                key: format!("{folder}/"),
                bytes: None,
                modified: None,
                epoch: None,
                upload: None,
                deleted: false,
            },
        });
        self.things.extend(others);
    }

    /// Not being allowed to list uploads hinders nothing else.
    async fn list_uploads(&mut self) {
        match self.root.list_uploads().await {
            Ok(Uploads::Listed(uploads)) => {
                self.uploads = UploadsSeen::Listed;
                for upload in uploads {
                    let (key, begun_at) = (upload.key.clone(), upload.begun_at);
                    self.take(Handle::Upload(upload), key, None, begun_at);
                }
            }
            Ok(Uploads::Expiring) => self.uploads = UploadsSeen::Expiring,
            Err(error) => {
                let advice = error.advice().unwrap_or_default();
                self.uploads = UploadsSeen::Unknown(format!("{} ({advice})", chain(&error)));
            }
        }
    }

    fn take_staged(&mut self, files: Vec<StagedFile>) {
        for file in files {
            let (bytes, modified) = (file.object.bytes, file.object.modified);
            let key = file.object.key.clone();
            self.take(Handle::Staged(file), key, Some(bytes), Some(modified));
        }
    }

    fn take(
        &mut self,
        handle: Handle,
        key: String,
        bytes: Option<u64>,
        modified: Option<chrono::DateTime<Utc>>,
    ) {
        let Some(judged) = self.view.judge(handle.form(), &key, modified, self.age) else {
            return;
        };
        let Judged {
            kind,
            epoch,
            verdict,
        } = judged;
        let key = match &handle {
            Handle::Staged(file) => format!("{key}#{}", file.number),
            _ => key,
        };
        let upload = match &handle {
            Handle::Upload(upload) => Some(upload.id.clone()),
            _ => None,
        };
        self.things.push(Thing {
            handle,
            item: GcItem {
                kind,
                verdict,
                key,
                bytes,
                modified,
                epoch,
                upload,
                deleted: false,
            },
        });
    }

    /// Deletes what is garbage by the log as it is now, too.
    pub(super) async fn sweep(&mut self) -> Result<()> {
        if self.is_clean() {
            return Ok(());
        }
        if let Some(seen) = &self.log {
            let (dataset, first) = read_log(&self.root).await?;
            let went_back = dataset.epoch < seen.epoch || dataset.next_seq < seen.next_seq;
            if first != seen.first || went_back {
                return Err(begun_anew(&self.root));
            }
            self.judge_again(&dataset);
        }
        let garbage = |thing: &&mut Thing| thing.item.verdict == GcVerdict::Garbage;
        let (root, log) = (self.root.clone(), &self.log);
        let mut garbage: Vec<&mut Thing> = self.things.iter_mut().filter(garbage).collect();
        // Folders last: they may hold what goes before them.
        garbage.sort_by_key(|thing| matches!(thing.handle, Handle::Folder));
        for batch in garbage.chunks_mut(BATCH) {
            check_same(&root, log.as_ref()).await?;
            delete(&root, batch).await?;
        }
        Ok(())
    }

    fn is_clean(&self) -> bool {
        let mut things = self.things.iter();
        !things.any(|thing| thing.item.verdict == GcVerdict::Garbage)
    }

    /// Takes back what a fresh reading of the log does not call garbage; adds nothing.
    fn judge_again(&mut self, dataset: &Dataset) {
        let fresh = View::of(dataset, true).no_deader_than(&self.view);
        for thing in &mut self.things {
            if thing.item.verdict != GcVerdict::Garbage {
                continue;
            }
            let form = thing.handle.form();
            // Whether a folder is empty is asked again when it is removed.
            if form == Form::Folder {
                continue;
            }
            let key = thing.key();
            let judged = fresh.judge(form, key, thing.item.modified, self.age);
            thing.item.verdict = judged.map_or(GcVerdict::InUse, |judged| judged.verdict);
        }
    }

    pub(super) fn into_place(self, error: Option<Error>) -> GcPlace {
        let is_dataset = self.log.is_some();
        let mut items: Vec<GcItem> = self.things.into_iter().map(|thing| thing.item).collect();
        items.sort_by(|a, b| (a.verdict, a.kind, &a.key).cmp(&(b.verdict, b.kind, &b.key)));
        GcPlace {
            root: self.root.url(),
            table: self.table,
            epoch: is_dataset.then_some(self.view.epoch),
            writer: is_dataset.then_some(self.view.writer()),
            uploads: self.uploads,
            items,
            error: error.map(Arc::new),
        }
    }
}

/// Whether the log is still the one that was read: entries are never changed, so the first tells.
async fn check_same(root: &Root, log: Option<&LogSeen>) -> Result<()> {
    let Some(seen) = log else { return Ok(()) };
    let first = AppendLog::new(root.clone()).read(1).await?;
    match first.as_ref() == Some(&seen.first) {
        true => Ok(()),
        false => Err(begun_anew(root)),
    }
}

fn begun_anew(root: &Root) -> Error {
    let message = format!("{} was removed or begun anew meanwhile", root.url());
    Error::new(ErrorKind::Conflict, message)
        .with_advice("what was found is of another dataset now: collect again")
}

async fn delete(root: &Root, batch: &mut [&mut Thing]) -> Result<()> {
    let (mut objects, mut staged, mut folders) = (Vec::new(), Vec::new(), Vec::new());
    for thing in batch.iter_mut() {
        match &thing.handle {
            Handle::Object => objects.push(thing.item.key.clone()),
            Handle::Staged(file) => staged.push(file.clone()),
            Handle::Folder => folders.push(thing.item.key.clone()),
            Handle::Upload(upload) => {
                root.abort_upload(upload).await?;
                thing.item.deleted = true;
            }
        }
    }
    root.delete_all(&objects).await?;
    root.delete_staged(staged).await?;
    root.remove_empty_folders(folders).await?;
    for thing in batch {
        thing.item.deleted = true;
    }
    Ok(())
}

impl Thing {
    /// The key of what it is, or would become.
    fn key(&self) -> &str {
        match &self.handle {
            Handle::Staged(file) => &file.object.key,
            _ => &self.item.key,
        }
    }
}

impl Handle {
    fn form(&self) -> Form {
        match self {
            Self::Object => Form::Whole,
            Self::Upload(_) => Form::Upload,
            Self::Staged(_) => Form::Staged,
            Self::Folder => Form::Folder,
        }
    }
}
