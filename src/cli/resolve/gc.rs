//! What `gc` works on, out of its flags and the layers under them.

use pgsluice::{GcOptions, Result};

use super::{Target, duration, set, status};
use crate::cli::args::{GcArgs, StatusArgs};
use crate::cli::layers::Layers;

/// What `gc` works on. Not `Debug`: it may hold secrets.
pub(crate) struct GcJob {
    /// Where the datasets are.
    pub(crate) target: Target,
    /// The library's options.
    pub(crate) options: GcOptions,
    /// What a person should know before the work begins.
    pub(crate) warnings: Vec<String>,
}

/// The job of `gc`: its argument as `status` takes it. `--delete` comes from the command line
/// alone, so that no environment makes a dry run act.
///
/// # Errors
///
/// As [`status`].
pub(crate) fn gc(args: &GcArgs, layers: &Layers<'_>) -> Result<GcJob> {
    let place = StatusArgs {
        url: args.url.clone(),
        store: args.store.clone(),
    };
    let (target, warnings) = status(&place, layers)?;
    let mut options = GcOptions::default();
    options.delete = args.delete;
    let older_than = layers.one("older-than", args.older_than.as_deref())?;
    set(&mut options.older_than, older_than, duration)?;
    Ok(GcJob {
        target,
        options,
        warnings,
    })
}
