//! One committed chunk: its objects against its entry.
//!
//! Owns the comparisons. How an object is read is `object`'s, how rows are summed up `rows`'s.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::DataType;

use super::exceptions::{Exceptions, HeldExceptions};
use super::finding::{Finding, FindingKind, one_line};
use super::object::{StoredObject, Work, look_up, read_through};
use super::rehash::{Rehash, RowHash};
use super::rows::{RowSums, column_index};
use crate::chunk::{Bound, PlannedRelation, Range};
use crate::error::Result;
use crate::file::{IntegerStatistics, ObjectFooter};
use crate::manifest::{ChunkEntry, ObjectEntry};
use crate::mapping::TableMapping;
use crate::store::Root;
use crate::store::layout::parse_object_key;

/// The dataset that chunks are of.
pub(super) struct Subject {
    pub(super) root: Root,
    /// The newest epoch.
    pub(super) epoch: u64,
    /// What its objects' columns must be; `None` where the manifest does not say.
    pub(super) mapping: Option<Arc<TableMapping>>,
    /// How the relations were cut.
    pub(super) relations: Arc<[PlannedRelation]>,
}

/// What became of one chunk.
#[derive(Default)]
pub(super) struct ChunkVerdict {
    pub(super) findings: Vec<Finding>,
    /// Whether its wire digest was reached again.
    pub(super) is_proven: bool,
    /// The hash to compare with the source; `None` when its rows were not all read.
    pub(super) row_hash: Option<RowHash>,
}

/// Verifies one chunk.
pub(super) async fn verify_chunk(
    work: &Work,
    subject: &Subject,
    entry: &ChunkEntry,
) -> ChunkVerdict {
    let mut check = ChunkCheck::new(work, subject, entry);
    check.exceptions().await;
    for object in &entry.objects {
        check.object(object).await;
    }
    let verdict = check.conclude();
    work.progress.chunk_done(verdict.findings.len());
    verdict
}

struct ChunkCheck<'a> {
    work: &'a Work,
    subject: &'a Subject,
    entry: &'a ChunkEntry,
    findings: Vec<Finding>,
    /// The sums over the rows so far; `None` once they cannot be those of the whole chunk.
    sums: Option<RowSums>,
    /// Microseconds of one unit of the key's numbers, where the chunk is one of time.
    key_micros: i64,
    /// NULLs of each column by the footers; `None` where one does not say.
    footer_nulls: Vec<Option<u64>>,
    /// Whether every object's footer was read.
    has_all_footers: bool,
}

impl<'a> ChunkCheck<'a> {
    fn new(work: &'a Work, subject: &'a Subject, entry: &'a ChunkEntry) -> Self {
        let columns = subject
            .mapping
            .as_ref()
            .map_or(0, |mapping| mapping.columns.len());
        let key = key_column(subject, entry);
        let micros = subject.mapping.as_ref().zip(key);
        Self {
            work,
            subject,
            entry,
            findings: Vec::new(),
            key_micros: micros.map_or(1, |(mapping, key)| micros_of(mapping, key)),
            sums: Some(RowSums::new(columns, key)),
            footer_nulls: vec![Some(0); columns],
            has_all_footers: true,
        }
    }

    fn found(&mut self, object: &ObjectEntry, kind: FindingKind, message: impl Into<String>) {
        let finding = Finding::error(kind, message);
        let finding = finding.of_chunk(self.entry.chunk).of_object(&object.key);
        self.findings.push(finding);
    }

    fn found_of_chunk(&mut self, kind: FindingKind, message: impl Into<String>) {
        let finding = Finding::error(kind, message).of_chunk(self.entry.chunk);
        self.findings.push(finding);
    }

    async fn object(&mut self, object: &ObjectEntry) {
        let belongs = parse_object_key(&object.key)
            .is_some_and(|(chunk, epoch)| chunk == self.entry.chunk && epoch <= self.subject.epoch);
        if !belongs {
            self.found(
                object,
                FindingKind::ObjectKey,
                "its key is of another chunk, or of an epoch that never was",
            );
        }
        let Some(stored) = self.stored(object).await else {
            return self.unread(object);
        };
        let fits = self.footer(object, &stored.footer);
        if self.work.quick {
            self.work.progress.read_bytes(object.bytes);
        } else {
            self.read(object, stored, fits).await;
        }
    }

    /// An object that is there, and whether its size is the committed one.
    async fn stored(&mut self, object: &ObjectEntry) -> Option<StoredObject> {
        let (kind, message) = match look_up(&self.subject.root, &object.key).await {
            Ok(Some(stored)) => {
                if stored.info.bytes != object.bytes {
                    let (found, committed) = (stored.info.bytes, object.bytes);
                    let message = format!("it has {found} bytes, {committed} were committed");
                    self.found(object, FindingKind::ObjectSize, message);
                }
                return Some(stored);
            }
            Ok(None) => (FindingKind::ObjectMissing, "it is not there".to_owned()),
            Err(error) => (FindingKind::ObjectUnread, one_line(&error)),
        };
        self.found(object, kind, message);
        None
    }

    /// Reads the chunk's exceptions, which its rows are encoded with; without them all, the rows
    /// are not encoded.
    async fn exceptions(&mut self) {
        let Some(mapping) = self.subject.mapping.clone() else {
            return;
        };
        let held = match &self.entry.exceptions {
            None => Some(HeldExceptions::default()),
            Some(kept) => {
                self.read_exceptions(&kept.object, kept.values, &mapping)
                    .await
            }
        };
        if let (Some(held), Some(sums), false) = (held, &mut self.sums, self.work.quick) {
            let for_source = self.work.against.is_some();
            sums.rehash = Some(Rehash::new(&mapping, for_source, held));
        }
    }

    async fn read_exceptions(
        &mut self,
        object: &ObjectEntry,
        values: u64,
        mapping: &Arc<TableMapping>,
    ) -> Option<HeldExceptions> {
        let mut stored = self.stored(object).await?;
        let rows = match &stored.footer {
            Ok(footer) => footer.summary().rows,
            Err(error) => {
                self.found(object, FindingKind::ObjectFooter, one_line(error));
                0
            }
        };
        if stored.footer.is_ok() && (rows != values || rows != object.rows) {
            let message = format!("it holds {rows} values, {values} were committed");
            self.found(object, FindingKind::Exceptions, message);
        }
        if self.work.quick {
            return None;
        }
        // None of its columns is a list.
        if self.claims_too_much(object, &stored, object.rows) {
            stored.decodes = false;
        }
        let exceptions = Exceptions::new(self.entry.chunk, Arc::clone(mapping));
        let exceptions = self
            .through(object, stored, exceptions, Exceptions::take)
            .await?;
        let held = exceptions.into_held();
        if held.is_none() {
            let message = "its exceptions take too much memory to encode its rows again";
            let finding = Finding::error(FindingKind::DigestNotCompared, message);
            self.findings.push(finding.of_chunk(self.entry.chunk));
        }
        held
    }

    /// Reads an object through and compares its bytes; gives what its batches were handed to when
    /// all of them could be decoded.
    async fn through<S: Send + 'static>(
        &mut self,
        object: &ObjectEntry,
        stored: StoredObject,
        state: S,
        take: fn(&mut S, &RecordBatch) -> Result<()>,
    ) -> Option<S> {
        let bytes = stored.info.bytes;
        let read = read_through(self.work, &self.subject.root, stored, state, take).await;
        let through = match read {
            Ok(through) => through,
            Err(error) => {
                self.found(object, FindingKind::ObjectUnread, one_line(&error));
                return None;
            }
        };
        // A size that differs is told already, and the hash with it.
        if through.sha256 != object.sha256 && bytes == object.bytes {
            let message = "its bytes are not those that were committed: their SHA-256 differs";
            self.found(object, FindingKind::ObjectSha256, message);
        }
        if !through.is_same_tail {
            let message = "its end changed while it was read";
            self.found(object, FindingKind::ObjectChanged, message);
        }
        match through.rows? {
            Ok(rows) => {
                if rows != object.rows {
                    let message = format!("it holds {rows} rows, {} were committed", object.rows);
                    self.found(object, FindingKind::RowCount, message);
                }
                Some(through.state)
            }
            Err(error) => {
                self.found(object, FindingKind::ObjectUndecodable, one_line(&error));
                None
            }
        }
    }

    /// An object that cannot be read at all.
    fn unread(&mut self, object: &ObjectEntry) {
        self.sums = None;
        self.has_all_footers = false;
        self.work.progress.read_bytes(object.bytes);
    }

    /// Checks what the footer says; returns whether rows of these columns can be summed up.
    fn footer(&mut self, object: &ObjectEntry, footer: &Result<ObjectFooter>) -> bool {
        let footer = match footer {
            Ok(footer) => footer,
            Err(error) => {
                self.found(object, FindingKind::ObjectFooter, one_line(error));
                self.has_all_footers = false;
                return false;
            }
        };
        let rows = footer.summary().rows;
        if rows != object.rows {
            let message = format!("its footer has {rows} rows, {} were committed", object.rows);
            self.found(object, FindingKind::RowCount, message);
        }
        self.identity(object, footer);
        for (column, nulls) in self.footer_nulls.iter_mut().enumerate() {
            *nulls = (*nulls).zip(footer.null_count(column)).map(|(a, b)| a + b);
        }
        let key = self.sums.as_ref().and_then(|sums| sums.key);
        if let Some(statistics) = key.and_then(|(column, _)| footer.integers(column))
            && !is_within(&self.entry.range, &statistics, self.key_micros)
        {
            self.found(
                object,
                FindingKind::KeyRange,
                "its statistics reach outside of the chunk's range",
            );
        }
        let Some(mapping) = &self.subject.mapping else {
            return false;
        };
        if footer.schema().fields() == mapping.schema.fields() {
            return true;
        }
        let message = schema_difference(mapping, footer);
        self.found(object, FindingKind::ObjectSchema, message);
        false
    }

    /// What the object says of itself, where it does.
    fn identity(&mut self, object: &ObjectEntry, footer: &ObjectFooter) {
        let range = serde_json::to_string(&self.entry.range).unwrap_or_default();
        let expected = [
            ("pgsluice.chunk", self.entry.chunk.to_string()),
            ("pgsluice.range", range),
            ("pgsluice.relation", self.entry.relation.to_string()),
        ];
        for (key, expected) in expected {
            if footer.value_of(key).is_some_and(|said| said != expected) {
                let message = format!("its {key} is not that of the chunk");
                self.found(object, FindingKind::ObjectIdentity, message);
            }
        }
    }

    /// Whether a footer claims more values of a column than `most`, which it cannot hold.
    fn claims_too_much(&mut self, object: &ObjectEntry, stored: &StoredObject, most: u64) -> bool {
        let Ok(claimed) = stored.footer.as_ref().map(ObjectFooter::most_values) else {
            return false;
        };
        if claimed > most {
            let message = format!(
                "its footer claims {claimed} values of one column, and at most {most} can be \
                 there: its rows are not decoded"
            );
            self.found(object, FindingKind::ObjectFooter, message);
        }
        claimed > most
    }

    async fn read(&mut self, object: &ObjectEntry, mut stored: StoredObject, fits: bool) {
        // A row without a value takes one, any other value at least a byte of COPY.
        let most = self.entry.rows.saturating_add(self.entry.copy_bytes);
        let fits = fits & !self.claims_too_much(object, &stored, most);
        // Rows of other columns are hashed only: what they would take is not known.
        stored.decodes = fits;
        let sums = self.sums.take().filter(|_| fits);
        let key = sums.as_ref().and_then(|sums| sums.key);
        let statistics = stored.footer.as_ref().ok().zip(key);
        let statistics = statistics.and_then(|(footer, (column, _))| footer.integers(column));
        let before = key.map(|(_, seen)| seen);
        let state = self.through(object, stored, sums, |sums, batch| {
            sums.as_mut().map_or(Ok(()), |sums| sums.take(batch))
        });
        self.sums = state.await.flatten();
        if let (Some(said), Some(before)) = (statistics, before) {
            self.statistics(object, said, before);
        }
    }

    /// Statistics against the rows, for a chunk's only object: sums go over all of them.
    fn statistics(
        &mut self,
        object: &ObjectEntry,
        said: IntegerStatistics,
        before: IntegerStatistics,
    ) {
        let seen = self.sums.as_ref().and_then(|sums| sums.key);
        if before == IntegerStatistics::default() && seen.is_some_and(|(_, seen)| seen != said) {
            let message = "the key's statistics are not those of its rows";
            self.found(object, FindingKind::Statistics, message);
        }
    }

    /// What only all objects together tell.
    fn conclude(mut self) -> ChunkVerdict {
        let sums = self.sums.take();
        let nulls = match &sums {
            Some(sums) if !self.work.quick => sums.null_counts.iter().copied().map(Some).collect(),
            _ if self.has_all_footers => std::mem::take(&mut self.footer_nulls),
            _ => Vec::new(),
        };
        self.null_counts(&nulls);
        let mut verdict = ChunkVerdict::default();
        if let Some(sums) = sums.filter(|_| !self.work.quick) {
            self.rows(&sums);
            if let Some(rehash) = &sums.rehash {
                verdict.is_proven = rehash.digest().to_string() == self.entry.digest
                    && !rehash.has_spare_exceptions();
                verdict.row_hash = rehash.source();
                if !verdict.is_proven {
                    self.found_of_chunk(
                        FindingKind::WireDigest,
                        "its rows, encoded again, are not those that PostgreSQL sent",
                    );
                }
            }
        }
        verdict.findings = self.findings;
        verdict
    }

    fn null_counts(&mut self, counted: &[Option<u64>]) {
        let Some(mapping) = self.subject.mapping.clone() else {
            return;
        };
        let fields = mapping.schema.fields().iter();
        let columns = fields.zip(counted).zip(&self.entry.null_counts);
        for ((field, counted), committed) in columns {
            if counted.is_some_and(|counted| counted != *committed) {
                let message = format!(
                    "column {:?} holds {} NULLs, {committed} were committed",
                    field.name(),
                    counted.unwrap_or_default()
                );
                self.found_of_chunk(FindingKind::NullCount, message);
            }
        }
    }

    fn rows(&mut self, sums: &RowSums) {
        if sums.rows != self.entry.rows {
            let message = format!(
                "it holds {} rows, {} were committed",
                sums.rows, self.entry.rows
            );
            self.found_of_chunk(FindingKind::RowCount, message);
        }
        if let Some((_, seen)) = &sums.key
            && !is_within(&self.entry.range, seen, self.key_micros)
        {
            let message = "a key lies outside of the chunk's range";
            self.found_of_chunk(FindingKind::KeyRange, message);
        }
    }
}

/// The index of the key that bounds the chunk, where it was exported and its order is known
/// without the server: that of integers and times.
fn key_column(subject: &Subject, entry: &ChunkEntry) -> Option<usize> {
    let mapping = subject.mapping.as_ref()?;
    let relation = subject.relations.get(entry.relation_index as usize)?;
    let key = relation.key.as_ref()?;
    match &entry.range {
        Range::Time { .. } => column_index(mapping, key.single()?),
        Range::Key { .. } | Range::NullKey => column_index(mapping, key.single_integer()?),
        _ => None,
    }
}

/// Microseconds of one unit of a time column's stored numbers.
fn micros_of(mapping: &TableMapping, column: usize) -> i64 {
    match mapping.schema.field(column).data_type() {
        DataType::Date32 => 86_400_000_000,
        _ => 1,
    }
}

/// Whether a range holds all keys of these statistics.
fn is_within(range: &Range, keys: &IntegerStatistics, micros: i64) -> bool {
    match range {
        // NULLs can be kept exceptions: infinite times, which lie in the open ranges.
        Range::Time { lower, upper } => keys.bounds.is_none_or(|(min, max)| {
            let (min, max) = (min.saturating_mul(micros), max.saturating_mul(micros));
            lower.is_none_or(|lower| min >= lower) && upper.is_none_or(|upper| max < upper)
        }),
        Range::Key { lower, upper } => {
            let integer = |bound: &Option<Bound>| match bound.as_ref()?.0.as_slice() {
                [text] => text.parse::<i64>().ok(),
                _ => None,
            };
            let (lower, upper) = (integer(lower), integer(upper));
            keys.nulls == 0
                && keys.bounds.is_none_or(|(min, max)| {
                    lower.is_none_or(|lower| min >= lower) && upper.is_none_or(|upper| max < upper)
                })
        }
        Range::NullKey => keys.bounds.is_none(),
        _ => true,
    }
}

/// The first column that differs, by name; types are no secrets.
fn schema_difference(mapping: &TableMapping, footer: &ObjectFooter) -> String {
    let (ours, theirs) = (mapping.schema.fields(), footer.schema().fields());
    if ours.len() != theirs.len() {
        return format!(
            "it has {} columns, the manifest {}",
            theirs.len(),
            ours.len()
        );
    }
    let pair = ours
        .iter()
        .zip(theirs)
        .find(|(ours, theirs)| ours != theirs);
    match pair {
        Some((ours, theirs)) if ours.name() != theirs.name() => format!(
            "it has a column {:?} where the manifest has {:?}",
            theirs.name(),
            ours.name()
        ),
        Some((ours, theirs)) if ours.data_type() != theirs.data_type() => format!(
            "column {:?} is {}, the manifest makes it {}",
            ours.name(),
            theirs.data_type(),
            ours.data_type()
        ),
        Some((ours, _)) => format!(
            "column {:?} differs in its metadata or whether it can be NULL",
            ours.name()
        ),
        None => "its columns differ from the manifest's".to_owned(),
    }
}
