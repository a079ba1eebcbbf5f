//! The rows of a dataset against those of its source, under one snapshot of now.
//!
//! Owns what is compared with what, and what a difference can mean: a table that is written to
//! differs because it changed, and only a quiet or append-only one proves anything. Chunks by
//! pages are compared a relation at a time, since rows move.

use std::collections::{BTreeMap, BTreeSet};

use super::SourceVerdict;
use super::finding::{Finding, FindingKind, one_line};
use super::object::Work;
use super::rehash::RowHash;
use super::rows::column_index;
use crate::chunk::{ChunkId, ChunkMethod, PlannedRelation, Range};
use crate::error::Result;
use crate::manifest::{ChunkEntry, Known};
use crate::mapping::{SelectAs, TableMapping};
use crate::pg::row_hash::{Part, RowsFound, SentColumn, sent_columns};
use crate::pg::sql::SelectColumn;
use crate::pg::{ConnectOptions, Keeper, KeeperOptions, Selection};
use crate::pg_type::{PgType, TypeRef};
use crate::snapshot::Snapshot;
use crate::table::{RelationKind, TableSchema};

/// The `application_name` of the comparison.
pub(super) const PURPOSE: &str = "pgsluice verify";

/// The objects' side of a comparison.
pub(super) struct Ours<'a> {
    pub(super) known: &'a Known,
    pub(super) mapping: Option<&'a TableMapping>,
    /// Whether every chunk is committed.
    pub(super) complete: bool,
    /// Each chunk's hash; `None` where not all of its rows were read.
    pub(super) hashes: &'a BTreeMap<ChunkId, Option<RowHash>>,
}

/// Compares with the source, where that is asked for. Whatever goes wrong is a finding.
pub(super) async fn compare_with_source(
    work: &Work,
    ours: &Ours<'_>,
) -> Option<(SourceVerdict, Vec<Finding>)> {
    let source = work.against.as_ref()?;
    let mut comparison = Comparison {
        work,
        ours,
        verdict: SourceVerdict::default(),
        findings: Vec::new(),
    };
    if let Err(error) = comparison.run(source).await {
        let finding = Finding::error(FindingKind::SourceUnread, one_line(&error));
        comparison.findings.push(finding);
    }
    Some((comparison.verdict, comparison.findings))
}

struct Comparison<'a> {
    work: &'a Work,
    ours: &'a Ours<'a>,
    verdict: SourceVerdict,
    findings: Vec<Finding>,
}

/// Rows that both sides hold: a chunk, or all chunks of a relation.
struct Counterpart<'a> {
    /// The relation, or those of a pack.
    relations: &'a [PlannedRelation],
    range: Range,
    /// The chunk; `None` for a whole relation.
    chunk: Option<ChunkId>,
    rows: u64,
    /// The sum of the chunks' hashes; `None` where one is missing.
    hash: Option<i128>,
    /// Whether some values were hashed in another form than PostgreSQL sends.
    is_restated: bool,
    snapshot: Option<&'a Snapshot>,
}

impl<'a> Comparison<'a> {
    async fn run(&mut self, source: &ConnectOptions) -> Result<()> {
        let known = self.ours.known;
        let (Some(schema), Some(config)) = (&known.schema, &known.config) else {
            self.not_compared("the manifest does not say what was exported");
            return Ok(());
        };
        let options = KeeperOptions {
            purpose: PURPOSE.to_owned(),
            lock_timeout: self.work.lock_timeout,
            snapshot: None,
        };
        let selection = Selection::one(schema.name.clone(), config.query.clone())
            .with_inheritance(config.inheritance);
        let keeper = Keeper::open(source, &selection, &options).await?;
        let Some(now) = keeper.tables().first() else {
            return Ok(());
        };
        self.verdict.snapshot = keeper.snapshot().visible.clone();
        let sent = match self.have_same_columns(schema, now) {
            true => self.sent(&keeper, schema, now).await?,
            false => None,
        };
        self.compare_relations(now);
        let parts = self.counterparts();
        self.work.progress.asks_source(parts.len() as u64);
        for part in parts {
            let is_there =
                |then: &PlannedRelation| now.relations.iter().any(|one| one.name == then.name);
            if !part.relations.iter().all(is_there) {
                continue;
            }
            let filter = config.filter.as_deref();
            self.compare(&keeper, &part, filter, sent.as_deref())
                .await?;
            self.work.progress.source_answered();
        }
        keeper.release().await
    }

    fn not_compared(&mut self, message: impl Into<String>) {
        let finding = Finding::warning(FindingKind::SourceNotCompared, message);
        self.findings.push(finding);
    }

    fn differs(&mut self, kind: FindingKind, chunk: Option<ChunkId>, message: String) {
        let finding = Finding::error(kind, message);
        self.findings.push(match chunk {
            Some(chunk) => finding.of_chunk(chunk),
            None => finding,
        });
    }

    /// Whether the exported columns still are what they were, and are sent alike. A restored copy
    /// has other oids, and arrays and composites hold those of their parts on the wire.
    fn have_same_columns(&mut self, then: &TableSchema, now: &TableSchema) -> bool {
        let mut same = true;
        for column in &then.columns {
            let found = now.columns.iter().find(|found| found.name == column.name);
            let change = match found {
                None => "is gone".to_owned(),
                Some(found) if found.type_name != column.type_name => {
                    format!("is {} now, and was {}", found.type_name, column.type_name)
                }
                Some(_) if self.travels_as_text(&column.name) => continue,
                Some(found) => {
                    let (then, now) = (sent_oids(&column.pg_type), sent_oids(&found.pg_type));
                    if then == now {
                        continue;
                    }
                    if then.len() == now.len() {
                        same = false;
                        let message = format!(
                            "the types that column {:?} is made of have other oids there, which \
                             are sent with its values: rows are counted only",
                            column.name
                        );
                        self.not_compared(message);
                        continue;
                    }
                    "is made of other types now".to_owned()
                }
            };
            same = false;
            let message = format!("column {:?} {change}: rows are counted only", column.name);
            self.differs(FindingKind::SourceSchema, None, message);
        }
        same
    }

    /// Whether a column's values are hashed as PostgreSQL's text, which holds no oids.
    fn travels_as_text(&self, name: &str) -> bool {
        let mapping = self.ours.mapping;
        let column = mapping.and_then(|mapping| {
            let index = column_index(mapping, name)?;
            mapping.columns.get(index)
        });
        column.is_some_and(|column| column.select == SelectAs::Text)
    }

    /// Partitions that came or went.
    fn compare_relations(&mut self, now: &TableSchema) {
        let then = &self.ours.known.relations;
        let gone = then
            .iter()
            .filter(|then| now.relations.iter().all(|now| now.name != then.name));
        let came = now
            .relations
            .iter()
            .filter(|now| then.iter().all(|then| then.name != now.name));
        if then.iter().any(|then| then.window.is_some()) {
            // Run by run partitions come and go: what a run took is compared, the rest is not its.
            let gone: BTreeSet<String> = gone.map(|one| one.name.to_string()).collect();
            for name in gone {
                self.not_compared(format!("{name} is gone from the table"));
            }
            return;
        }
        let gone = gone.map(|one| format!("{} is gone from the table", one.name));
        let came = came.map(|one| format!("{} came to the table after the export", one.name));
        let changes: Vec<String> = gone.chain(came).collect();
        for message in changes {
            self.differs(FindingKind::SourceSchema, None, message);
        }
    }

    /// How the columns are sent; `None` when no rows were hashed on our side.
    async fn sent(
        &mut self,
        keeper: &Keeper,
        schema: &TableSchema,
        now: &TableSchema,
    ) -> Result<Option<Vec<SentColumn>>> {
        let Some(mapping) = self.ours.mapping.filter(|_| !self.work.quick) else {
            return Ok(None);
        };
        let columns = schema.columns.iter().zip(&mapping.columns);
        let columns: Vec<SelectColumn> = columns
            .map(|(column, mapped)| SelectColumn::of(column, mapped.select == SelectAs::Text))
            .collect();
        sent_columns(keeper.session(), now, &columns)
            .await
            .map(Some)
    }

    /// Key chunks one by one; the chunks of any other relation together.
    fn counterparts(&mut self) -> Vec<Counterpart<'a>> {
        let ours: &'a Ours<'a> = self.ours;
        let mut parts: Vec<Counterpart<'a>> = Vec::new();
        let mut chunks: BTreeMap<u32, Vec<&'a ChunkEntry>> = BTreeMap::new();
        for entry in ours.known.chunks.values() {
            chunks.entry(entry.relation_index).or_default().push(entry);
        }
        for (number, relation) in (0_u32..).zip(&ours.known.relations) {
            let Some(entries) = chunks.remove(&number) else {
                // Packed with one before it, or not read yet.
                continue;
            };
            let mut entries = entries.into_iter();
            if let Some(Range::Pack { upper }) = entries.as_slice().first().map(|one| &one.range) {
                let packed = ours.known.relations.get(number as usize..*upper as usize);
                let packed = packed.unwrap_or_default();
                parts.extend(entries.map(|entry| Counterpart {
                    range: Range::Whole,
                    ..counterpart(ours, packed, entry)
                }));
                continue;
            }
            let relation = std::slice::from_ref(relation);
            if matches!(relation[0].method, ChunkMethod::Key | ChunkMethod::Time) {
                parts.extend(entries.map(|entry| counterpart(ours, relation, entry)));
            } else if ours.complete {
                let whole = Counterpart {
                    relations: relation,
                    range: Range::Whole,
                    chunk: None,
                    rows: 0,
                    hash: Some(0),
                    is_restated: false,
                    snapshot: None,
                };
                parts.push(entries.by_ref().fold(whole, |whole, entry| {
                    let one = counterpart(ours, relation, entry);
                    Counterpart {
                        rows: whole.rows + one.rows,
                        hash: whole.hash.zip(one.hash).map(|(a, b)| a + b),
                        is_restated: whole.is_restated || one.is_restated,
                        snapshot: one.snapshot,
                        ..whole
                    }
                }));
            } else {
                let message = format!(
                    "{} is not complete, and its chunks by pages cannot be told apart later",
                    relation[0].name
                );
                self.not_compared(message);
            }
        }
        parts
    }

    async fn compare(
        &mut self,
        keeper: &Keeper,
        ours: &Counterpart<'_>,
        filter: Option<&str>,
        columns: Option<&[SentColumn]>,
    ) -> Result<()> {
        let part = |relation| Part {
            relation,
            range: &ours.range,
            filter,
        };
        let parts: Vec<Part<'_>> = ours.relations.iter().map(part).collect();
        let columns = columns.filter(|_| ours.hash.is_some());
        if columns.is_some() && ours.is_restated {
            let message = "values that are stored in another form than PostgreSQL sends cannot be \
                           hashed alike: counted only";
            self.not_hashed(ours, message);
        }
        let columns = columns.filter(|_| !ours.is_restated);
        let mut found = RowsFound {
            rows: 0,
            hash: columns.map(|_| 0),
        };
        for part in &parts {
            let more = keeper.session().count_rows(*part, columns).await?;
            found.rows += more.rows;
            found.hash = found.hash.zip(more.hash).map(|(a, b)| a + b);
        }
        self.verdict.parts += 1;
        let is_counted = found.rows == ours.rows;
        self.verdict.counted_equal += u64::from(is_counted);
        let is_hashed = match (ours.hash, found.hash) {
            (Some(ours), Some(theirs)) => {
                self.verdict.hashed += 1;
                self.verdict.hashed_equal += u64::from(ours == theirs);
                ours == theirs
            }
            _ => {
                // Why not on our side is told already.
                if columns.is_some() {
                    let message = "a row beyond 1 GiB cannot be hashed on the server: counted only";
                    self.not_hashed(ours, message);
                }
                true
            }
        };
        if is_counted && is_hashed {
            return Ok(());
        }
        let evidence = evidence(keeper, &parts, ours, found).await?;
        let place = match ours.chunk {
            Some(_) => String::new(),
            None => match ours.relations.first() {
                Some(relation) => format!("{}: ", relation.name),
                None => String::new(),
            },
        };
        if is_counted {
            let message = format!("{place}the source holds other rows; {evidence}");
            self.differs(FindingKind::SourceRows, ours.chunk, message);
        } else {
            let message = format!(
                "{place}the source holds {} rows, {} were committed; {evidence}",
                found.rows, ours.rows
            );
            self.differs(FindingKind::SourceCount, ours.chunk, message);
        }
        Ok(())
    }

    /// A part whose rows could only be counted.
    fn not_hashed(&mut self, ours: &Counterpart<'_>, message: &str) {
        let finding = Finding::warning(FindingKind::SourceNotCompared, message);
        self.findings.push(match ours.chunk {
            Some(chunk) => finding.of_chunk(chunk),
            None => finding,
        });
    }
}

/// The oids that stand in a type's values on the wire: `array_send` in PostgreSQL's arrayfuncs.c
/// writes that of the elements, `record_send` in rowtypes.c those of the attributes.
fn sent_oids(of: &PgType) -> Vec<u32> {
    let with = |part: &TypeRef| std::iter::once(part.oid).chain(sent_oids(&part.pg_type));
    match of {
        PgType::Array { element } => with(element).collect(),
        PgType::Composite { attributes } => {
            let parts = attributes.iter().map(|attribute| &attribute.of);
            parts.flat_map(with).collect()
        }
        PgType::Range { subtype } | PgType::Multirange { subtype } => sent_oids(&subtype.pg_type),
        _ => Vec::new(),
    }
}

fn counterpart<'a>(
    ours: &'a Ours<'a>,
    relations: &'a [PlannedRelation],
    entry: &'a ChunkEntry,
) -> Counterpart<'a> {
    let hash = ours.hashes.get(&entry.chunk).copied().flatten();
    Counterpart {
        relations,
        range: entry.range.clone(),
        chunk: Some(entry.chunk),
        rows: entry.rows,
        hash: hash.map(|RowHash(hash)| hash),
        is_restated: entry.restated > 0,
        snapshot: ours.known.snapshots.get(entry.snapshot as usize),
    }
}

/// What is known of why the two sides differ.
async fn evidence(
    keeper: &Keeper,
    parts: &[Part<'_>],
    ours: &Counterpart<'_>,
    found: RowsFound,
) -> Result<String> {
    let now = keeper.snapshot();
    let Some(then) = ours.snapshot else {
        return Ok("the table changed since the export, or the data differ".to_owned());
    };
    let is_same_server = now.system_identifier == then.system_identifier;
    let kind = keeper.tables().first().map(|table| table.kind);
    let newer = match kind {
        // A view's rows have no age, nor does another server tell that of this one's.
        Some(RelationKind::View | RelationKind::Query) | None => None,
        _ if !is_same_server => None,
        _ => newer_rows(keeper, parts, then).await?,
    };
    let verdict = match newer {
        Some(0) if found.rows < ours.rows => {
            "no row there is newer than the export: rows were deleted since, or the data differ"
                .to_owned()
        }
        Some(0) => "no row there is newer than the export: the data differ".to_owned(),
        Some(newer) => format!("the table changed since: at least {newer} rows there are newer"),
        None if !is_same_server => {
            "this is another server than the one exported from; it changed, or the data differ"
                .to_owned()
        }
        None => "the table changed since the export, or the data differ".to_owned(),
    };
    Ok(format!(
        "{verdict} ({} then, {} now)",
        moment(then),
        moment(now)
    ))
}

async fn newer_rows(keeper: &Keeper, parts: &[Part<'_>], then: &Snapshot) -> Result<Option<u64>> {
    let mut newer = Some(0);
    for part in parts {
        let more = keeper.session().rows_newer_than(*part, then).await?;
        newer = newer.zip(more).map(|(a, b)| a + b);
    }
    Ok(newer)
}

fn moment(snapshot: &Snapshot) -> String {
    let time = snapshot.taken_at.format("%Y-%m-%dT%H:%M:%SZ");
    match snapshot.lsn {
        Some(lsn) => format!("{time} at LSN {lsn}"),
        None => time.to_string(),
    }
}
