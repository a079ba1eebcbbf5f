//! Planning: how a table is cut into chunks, and what an earlier run leaves of its plan.
//!
//! `probe` asks the server for statistics, `split` cuts by them, `resume` takes the manifest into
//! account. No row is scanned to plan.

mod growing;
mod increment;
mod offset;
mod probe;
mod resume;
mod size;
mod split;
mod task;
mod time;
mod trim;

pub(crate) use increment::{plan_run, window_warnings};
pub(crate) use probe::check_filter;
pub(crate) use resume::{Decision, decide};
