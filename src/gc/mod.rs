//! What dead writers left behind: found, and deleted when asked to.
//!
//! Owns what counts as garbage and the proof that nobody can ever need it:
//!
//! 1. A data object's key names the epoch of its writer, and a commit entry of epoch E may only
//!    name keys of epoch E. So an object of epoch E is needed if the log names it, or may be
//!    named by a later commit of E, and by nothing else.
//! 2. A commit of E stands only while E is the newest epoch and its writer has not ended: behind a
//!    later `open`, or behind E's own `pause`, `fail` or `complete`, no entry of E can follow,
//!    whatever a writer that wakes up tries: the number is taken, and the fold refuses it. So each
//!    epoch below the newest is *dead*, and so is the newest once its writer ended.
//! 3. Death is for good: epochs only grow, and a further run opens the next. The keys of dead
//!    epochs that the log names can only become fewer. What was garbage when the log was read is
//!    garbage for ever: no run that begins meanwhile can come to need it.
//! 4. The newest epoch of a log that did not end is left alone, whether its lease moves (*in use*)
//!    or not (*of unknown outcome*: a writer that stands still may go on and commit). Liveness is
//!    told, and decides nothing.
//! 5. What 3 rests on is that the log is the same log. It is read whole again behind the listings,
//!    only what both readings call garbage is deleted, and before each batch its first entry is
//!    compared: a dataset that was removed and begun anew starts at epoch 1 again.
//!
//! The lists of the store only say what to look at; ages only make the choice smaller, but for
//! files that belong to no epoch (see [`judge`]). What lands later, of a zombie, is found by the
//! next call.

mod judge;
mod place;
mod report;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};

pub use self::report::{GcItem, GcKind, GcPlace, GcReport, GcVerdict, UploadsSeen, WriterState};
use crate::error::{Error, ErrorKind, Result};
use crate::store::Root;

/// Datasets looked at side by side. Of each, the listing is held in memory.
const CONCURRENCY: usize = 4;

/// What a collection may do.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct GcOptions {
    /// Delete what was found, instead of only telling it.
    pub delete: bool,
    /// Leave alone what is younger than this: this machine's clock minus the store's time of the
    /// object. Never makes anything garbage; with a wrong clock the choice is only smaller or
    /// larger. Zero by default.
    pub older_than: Duration,
}

/// Finds what dead writers left in the dataset at `root`, or in every dataset in folders below
/// it, and deletes it if the options say so.
///
/// A dataset whose log cannot be read, or changed in a way that a log cannot change, is left
/// alone: its error stands in its place of the report. May run beside exports: what a writer
/// that has not ended may still need is never touched. Dropped midway, some is deleted.
///
/// Waits up to three lease intervals of a dataset whose writer has not ended, to tell whether it
/// is alive.
///
/// # Errors
///
/// [`ErrorKind::Config`] when no dataset is there; the store's, classified, when the folders
/// cannot be listed.
pub async fn gc(root: &Root, options: &GcOptions) -> Result<GcReport> {
    let started = Instant::now();
    let places = root.places_below().await?;
    if places.datasets.is_empty() && places.run_folders.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            format!("no dataset of pgsluice at or below {}", root.url()),
        )
        .with_advice("give the --to of an export, or a folder above it"));
    }
    let datasets = places.datasets.into_iter().map(|root| (root, true));
    let all = datasets.chain(places.run_folders.into_iter().map(|root| (root, false)));
    let collect = |(root, is_dataset)| place::collect(root, is_dataset, options);
    let places: Vec<GcPlace> = stream::iter(all.map(collect))
        .buffered(CONCURRENCY)
        .collect()
        .await;
    Ok(GcReport {
        url: root.url(),
        delete: options.delete,
        older_than: options.older_than,
        warnings: report::warnings(&places),
        places,
        wall: started.elapsed(),
    })
}
