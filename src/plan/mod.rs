//! Planning: how a table is cut into chunks.
//!
//! `probe` asks the server for statistics, `split` cuts by them. No row is scanned to plan.

pub(crate) mod probe;
pub(crate) mod split;

pub(crate) use probe::{check_filter, plan_table};
