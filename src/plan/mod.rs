//! Planning: how a table is cut into chunks, and what an earlier run leaves of its plan.
//!
//! `probe` asks the server for statistics, `split` cuts by them, `resume` takes the manifest into
//! account. No row is scanned to plan.

mod dataset;
mod pack;
mod probe;
mod resume;
mod size;
mod split;

pub(crate) use dataset::plan_dataset;
pub(crate) use probe::{check_filter, refuse_moving};
pub(crate) use resume::{Decision, decide};
