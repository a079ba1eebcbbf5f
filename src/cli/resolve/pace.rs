//! The flags about pace become the library's options.

use pgsluice::{ExportOptions, Result};

use super::super::args::PaceArgs;
use super::super::layers::Layers;
use super::{count, duration, library, set, size};

pub(super) fn fill(
    options: &mut ExportOptions,
    args: &PaceArgs,
    layers: &Layers<'_>,
) -> Result<()> {
    let one = |name, flag: &Option<String>| layers.one(name, flag.as_deref());
    let pace = &mut options.pace;
    let rate = one("max-rate", &args.max_rate)?;
    pace.max_rate = rate.as_ref().map(size).transpose()?;
    let rest = one("pause-between-chunks", &args.pause_between_chunks)?;
    set(&mut pace.pause_between_chunks, rest, duration)?;
    let chunks = one("max-chunks", &args.max_chunks)?;
    pace.max_chunks = chunks.as_ref().map(count).transpose()?;
    let after = one("stop-after", &args.stop_after)?;
    pace.stop_after = after.as_ref().map(duration).transpose()?;
    let window = one("window", &args.window)?;
    pace.window = window.as_ref().map(library).transpose()?;
    let guards = &mut options.guards;
    let lag = one("max-replica-lag", &args.max_replica_lag)?;
    guards.max_replica_lag = lag.as_ref().map(duration).transpose()?;
    let sessions = one("max-active-sessions", &args.max_active_sessions)?;
    guards.max_active_sessions = sessions.as_ref().map(count).transpose()?;
    let wal = one("max-retained-wal", &args.max_retained_wal)?;
    guards.max_retained_wal = wal.as_ref().map(size).transpose()?;
    let age = one("max-snapshot-age", &args.max_snapshot_age)?;
    guards.max_snapshot_age = age.as_ref().map(duration).transpose()?;
    let wait = one("max-wait", &args.max_wait)?;
    set(&mut guards.max_wait, wait, duration)?;
    let interval = one("check-interval", &args.check_interval)?;
    set(&mut guards.check_interval, interval, duration)
}
