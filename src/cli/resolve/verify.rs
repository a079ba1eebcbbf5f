//! What `verify` works on, out of its flags and the layers under them.

use pgsluice::{ConnectOptions, Result, VerifyOptions};

use super::{Target, duration, password_warning, set, status, switch};
use crate::cli::args::{StatusArgs, VerifyArgs};
use crate::cli::layers::Layers;

/// What `verify` works on. Not `Debug`: it may hold secrets.
pub(crate) struct VerifyJob {
    /// Where the datasets are.
    pub(crate) target: Target,
    /// The library's options.
    pub(crate) options: VerifyOptions,
    /// What a person should know before the work begins.
    pub(crate) warnings: Vec<String>,
}

/// The job of `verify`: its argument as `status` takes it.
///
/// # Errors
///
/// As [`status`] and [`job`].
pub(crate) fn verify(args: &VerifyArgs, layers: &Layers<'_>) -> Result<VerifyJob> {
    let place = StatusArgs {
        url: args.url.clone(),
        store: args.store.clone(),
    };
    let (target, mut warnings) = status(&place, layers)?;
    let mut options = VerifyOptions::default();
    options.quick = switch("quick", args.quick.as_deref(), layers)?;
    let workers = layers.one("workers", args.workers.as_deref())?;
    set(&mut options.workers, workers, |setting| {
        setting.parse("a number from 1 to 64")
    })?;
    let timeout = layers.one("lock-timeout", args.lock_timeout.as_deref())?;
    set(&mut options.lock_timeout, timeout, duration)?;
    if let Some(against) = layers.one("against", args.against.as_deref())? {
        warnings.extend(password_warning(&against));
        options.against = Some(ConnectOptions::from_dsn(Some(&against.text))?);
    }
    options.validate()?;
    Ok(VerifyJob {
        target,
        options,
        warnings,
    })
}
