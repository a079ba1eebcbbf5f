//! Planning: how a table is cut into chunks, and what an earlier run leaves of its plan.
//!
//! `probe` dispatches, `keys` asks the catalog what could bound chunks, `choose` picks, `bounds`
//! and `split` cut, `size` tells how large, `resume` takes the manifest into account. No table is
//! scanned to plan.

mod bounds;
mod choose;
mod computed;
mod filter;
mod growing;
mod increment;
mod keys;
mod offset;
mod pack;
mod probe;
mod resume;
mod risks;
mod size;
mod split;
mod task;
mod time;
mod trim;

pub(crate) use filter::{check_filter, refuse_moving};
pub(crate) use increment::{plan_run, window_warnings};
pub(crate) use resume::{Decision, decide};
