//! stub
use super::SourceVerdict;
use super::finding::Finding;
use super::object::Work;
use super::rehash::RowHash;
use crate::chunk::ChunkId;
use crate::manifest::Known;
use std::collections::BTreeMap;
pub(super) async fn compare_with_source(
    _w: &Work,
    _k: &Known,
    _c: bool,
    _h: &BTreeMap<ChunkId, Option<RowHash>>,
) -> Option<(SourceVerdict, Vec<Finding>)> {
    None
}
