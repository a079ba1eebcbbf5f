//! Scenarios in one binary; a module each.

mod cli;
