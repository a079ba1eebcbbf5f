//! Scenarios over the manifest.
