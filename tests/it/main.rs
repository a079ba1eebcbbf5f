<<<<<<< HEAD
//! Scenarios against real servers, in one binary. `tests/run.sh` starts the servers; without
//! them a test fails and says so, and none is ever skipped.

mod layering;
mod readers;
mod rig;
=======
//! Scenarios in one binary; a module each.

mod cli;
>>>>>>> cli
