//! Scenarios against real servers, in one binary. `tests/run.sh` starts the servers; without
//! them a test fails and says so, and none is ever skipped.

#![allow(clippy::unwrap_used, reason = "a scenario fails by panicking")]

mod apart;
mod catalog;
mod chunks;
mod cli;
mod combined;
mod connect;
mod corpus;
mod crash;
mod database;
mod exceptions;
mod guarantees;
mod incremental;
mod kill;
mod layering;
mod many;
mod memory;
mod moved;
mod net;
mod offset;
mod pause;
mod plan;
mod queries;
mod race;
mod readers;
mod refusals;
mod resume;
mod rig;
mod scenario;
mod sizes;
mod snapshots;
mod stores;
mod time;
mod traps;
mod type_readers;
mod types;
mod types_page;
mod values;
mod verify;
