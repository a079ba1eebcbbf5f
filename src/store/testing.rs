//! Stores for tests: memory, a local folder, and one that loses replies and fails on demand.

