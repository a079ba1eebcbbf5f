//! From options to work: everything a run does before its first chunk is read.
//!
//! Owns the order of the checks. Until [`open_tables`] nothing is written under any root, so a
//! refusal leaves everything as it was.

use std::sync::Arc;

use crate::chunk::{ChunkId, Plan};
use crate::crash_point::{CrashPoint, step};
use crate::error::{Error, ErrorKind, Result};
use crate::export::committer::TableLog;
use crate::export::progress::Progress;
use crate::export::worker::{Job, TableWork};
use crate::manifest::{
    Dataset, ExportConfig, Heartbeat, ManifestLog, OpenRequest, Opened, PlanRequest, State,
    WriterInfo, check_committed, list_exceptions,
};
use crate::mapping::{MappingOptions, TableMapping, map_table};
use crate::options::ExportOptions;
use crate::pg::{Keeper, Refused, catalog};
use crate::plan::{Decision, check_filter, decide, plan_run, window_warnings};
use crate::snapshot::Snapshot;
use crate::store::{Root, layout};
use crate::table::{TableName, TableSchema};

/// A table whose place and past are known.
pub(crate) struct Prepared {
    pub(crate) schema: TableSchema,
    pub(crate) mapping: TableMapping,
    pub(crate) root: Root,
    pub(crate) dataset: Option<Dataset>,
    pub(crate) decision: Decision,
    pub(super) config: ExportConfig,
    /// The plan of a table that is started, or of a further run.
    pub(super) plan: Option<Plan>,
    /// What a person should know of it.
    pub(crate) warnings: Vec<String>,
}

impl Prepared {
    /// Chunks that are to be read; lost ones aside.
    fn pending_chunks(&self) -> u64 {
        let pending = || self.dataset.as_ref().map_or(0, |of| of.pending().count());
        let planned = self.plan.as_ref().map(|plan| plan.chunks.len());
        planned.unwrap_or_else(pending) as u64
    }
}

/// A table that this run has opened an epoch for.
pub(crate) struct OpenedTable {
    pub(crate) work: TableWork,
    pub(crate) log: TableLog,
    pub(crate) chunks_skipped: u64,
}

/// Chooses the columns, maps the types, reads the manifest, and decides what is to be done. A
/// table that a pattern found fails alone, and goes to `refused`.
pub(crate) async fn prepare_tables(
    keeper: &Keeper,
    root: &Root,
    options: &ExportOptions,
    refused: &mut Vec<Refused>,
) -> Result<Vec<Prepared>> {
    let mut prepared: Vec<Prepared> = Vec::with_capacity(keeper.tables().len());
    for table in keeper.tables() {
        let attempt = keeper.attempt(prepare_table(keeper, table, root, options));
        let Some(one) = alone(keeper, &table.name, attempt.await?, refused)? else {
            keeper.let_go(&table.name).await?;
            continue;
        };
        if let Some(twin) = prepared
            .iter()
            .find(|other| other.root.url() == one.root.url())
        {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "--layout puts {} and {} into one folder",
                    twin.schema.name, table.name
                ),
            ));
        }
        prepared.push(one);
    }
    if options.require_consistent {
        refuse_mixed_tables(&prepared, keeper.snapshot())?;
    }
    keeper.planned().await?;
    Ok(prepared)
}

/// What failed for one table: the run's own error when the table was named, or when no other table
/// would fare better.
pub(crate) fn alone<T>(
    keeper: &Keeper,
    name: &TableName,
    outcome: Result<T>,
    refused: &mut Vec<Refused>,
) -> Result<Option<T>> {
    let error = match outcome {
        Ok(done) => return Ok(Some(done)),
        Err(error) => error.with_table(name.to_string()),
    };
    let is_the_runs = matches!(
        error.kind(),
        ErrorKind::Storage | ErrorKind::Internal | ErrorKind::Cancelled
    );
    if is_the_runs || keeper.is_named(name) {
        return Err(error);
    }
    refused.push(Refused {
        name: name.clone(),
        error,
    });
    Ok(None)
}

/// `--require-consistent` over several tables: what an earlier run completed cannot be read again.
fn refuse_mixed_tables(prepared: &[Prepared], snapshot: &Snapshot) -> Result<()> {
    let is_done = |table: &&Prepared| table.decision == Decision::Complete;
    let done = prepared.iter().filter(is_done);
    let mut seen: Vec<&Snapshot> = done
        .filter_map(|table| table.dataset.as_ref())
        .flat_map(Dataset::used_snapshots)
        .collect();
    if !prepared.iter().all(|table| is_done(&table)) {
        seen.push(snapshot);
    }
    if seen.windows(2).all(|pair| pair[0].is_same(pair[1])) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Conflict,
        "tables that are complete here were read under another snapshot than the rest would be",
    )
    .with_advice(
        "export all of them to a fresh --to, or leave --require-consistent out (nothing was touched)",
    ))
}

/// The dataset at a root. A root without a manifest must hold nothing that readers would take
/// for this dataset's.
///
/// With `in_folders` that is whatever lies at any depth below it.
pub(super) async fn load_dataset(root: &Root, in_folders: bool) -> Result<Option<Dataset>> {
    if let Some(dataset) = step(CrashPoint::LoadLog, ManifestLog::load(root)).await? {
        return Ok(Some(dataset));
    }
    let mut listed = root.list().await?;
    listed.extend(list_exceptions(root).await?);
    if in_folders {
        listed.extend(root.list_readable().await?);
    }
    let is_foreign = |key: &str| key.ends_with(".parquet") || key == layout::SUCCESS;
    let Some(foreign) = listed.iter().find(|object| is_foreign(&object.key)) else {
        return Ok(None);
    };
    // A run that began meanwhile is no stranger: its objects follow its first log entry.
    if let Some(dataset) = ManifestLog::load(root).await? {
        return Ok(Some(dataset));
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!("{} holds {} and no manifest", root.url(), foreign.key),
    )
    .with_advice(
        "give another --to, or clear the folder: readers would take what is there for this export",
    ))
}

async fn prepare_table(
    keeper: &Keeper,
    table: &TableSchema,
    root: &Root,
    options: &ExportOptions,
) -> Result<Prepared> {
    let schema =
        catalog::select_columns(table, options.columns.as_deref(), &options.exclude_columns)?;
    let mapping = map_table(&schema.columns, &mapping_options(options))?;
    let root = root.child(&layout::dataset_folder(&options.layout, &schema.name)?)?;
    // Before the log is read: what it holds then is the whole of it.
    root.claim().await?;
    let config = config_of(keeper, &schema, options);
    let dataset = load_dataset(&root, options.hive.is_some()).await?;
    let lost = match &dataset {
        Some(dataset) => lost_chunks(&root, dataset).await?,
        None => Vec::new(),
    };
    let decision = decide(
        dataset.as_ref(),
        lost,
        &config,
        &schema,
        keeper.snapshot(),
        options.require_consistent,
    )?;
    let plan = plan_of(keeper, &schema, options, &decision, dataset.as_ref()).await?;
    let decision = match (decision, &plan) {
        (Decision::Extend { .. }, None) => Decision::Complete,
        (decision, _) => decision,
    };
    let warnings = incremental_warnings(&schema, options, dataset.as_ref(), plan.as_ref());
    Ok(Prepared {
        schema,
        mapping,
        root,
        dataset,
        decision,
        config,
        plan,
        warnings,
    })
}

/// The plan of a table that is started or extended; `None` where one stands, or nothing is new.
async fn plan_of(
    keeper: &Keeper,
    schema: &TableSchema,
    options: &ExportOptions,
    decision: &Decision,
    dataset: Option<&Dataset>,
) -> Result<Option<Plan>> {
    match decision {
        Decision::Start { .. } => plan_run(keeper.session(), schema, options, None).await,
        Decision::Extend { .. } => plan_run(keeper.session(), schema, options, dataset).await,
        Decision::Continue { .. } => {
            // Planning would have done so: it locks what else the filter reads.
            if let Some(filter) = &options.filter {
                check_filter(keeper.session(), schema, filter).await?;
            }
            Ok(None)
        }
        Decision::Complete => Ok(None),
    }
}

/// What a person should know of an incremental run.
fn incremental_warnings(
    schema: &TableSchema,
    options: &ExportOptions,
    dataset: Option<&Dataset>,
    plan: Option<&Plan>,
) -> Vec<String> {
    let Some(incremental) = &options.incremental else {
        return Vec::new();
    };
    let name = schema.name.to_string();
    let is_complete = dataset.is_some_and(|dataset| dataset.state == State::Complete);
    let planned = plan.map(|plan| plan.relations.as_slice());
    let relations = planned.or(dataset.map(Dataset::open_relations));
    let relations = relations.unwrap_or_default();
    let mut warnings = window_warnings(relations, incremental.overlap.is_some(), &name);
    if is_complete && plan.is_none() {
        warnings.push(format!(
            "{name}: nothing is new: no row lies above what the last run reached in {:?}",
            incremental.column
        ));
    }
    warnings
}

/// What the options say of types.
pub(crate) fn mapping_options(options: &ExportOptions) -> MappingOptions {
    MappingOptions {
        profile: options.profile,
        overrides: options.maps.clone(),
        on_unrepresentable: options.on_unrepresentable,
    }
}

fn config_of(keeper: &Keeper, schema: &TableSchema, options: &ExportOptions) -> ExportConfig {
    ExportConfig {
        table: schema.name.clone(),
        query: options.query.as_ref().map(|query| query.sql.clone()),
        inheritance: options.inheritance,
        columns: options.columns.clone(),
        exclude_columns: options.exclude_columns.clone(),
        filter: options.filter.clone(),
        chunk_by: options.chunk_by.clone(),
        time_zone: options.time_zone.clone(),
        hive: options.hive.clone(),
        chunk_rows: options.chunk_rows,
        chunk_bytes: options.chunk_bytes,
        target_object_bytes: options.target_object_bytes,
        incremental: options.incremental.clone(),
        compression: options.compression,
        row_group_bytes: options.row_group_bytes as u64,
        profile: options.profile,
        maps: options.maps.clone(),
        on_unrepresentable: options.on_unrepresentable,
        writers: options.writers,
        database: keeper.session().database().to_owned(),
        system_identifier: keeper.snapshot().system_identifier,
    }
}

/// What has been opened so far, and what could not be.
#[derive(Default)]
pub(crate) struct Opening {
    pub(crate) opened: Vec<OpenedTable>,
    pub(crate) refused: Vec<Refused>,
    /// Tables that the run does not come to.
    pub(crate) unopened: Vec<Prepared>,
}

/// Opens the next epoch of every table that `--max-chunks` lets the run come to, and starts its
/// heartbeat. On an error `opening` holds the
/// tables that were opened before, for the caller to close.
pub(crate) async fn open_tables(
    keeper: &Keeper,
    prepared: Vec<Prepared>,
    options: &ExportOptions,
    progress: &Progress,
    opening: &mut Opening,
) -> Result<()> {
    let mut chunks = 0;
    for table in prepared {
        let name = table.schema.name.clone();
        let pending = table.pending_chunks();
        // One chunk more is opened than may be read: at that one the run pauses.
        if pending > 0 && options.pace.max_chunks.is_some_and(|most| chunks > most) {
            keeper.let_go(&name).await?;
            opening.unopened.push(table);
            continue;
        }
        chunks += pending;
        let one = open_table(keeper.snapshot(), table, options, progress).await;
        match alone(keeper, &name, one, &mut opening.refused)? {
            Some(one) => opening.opened.push(one),
            None => keeper.let_go(&name).await?,
        }
    }
    Ok(())
}

/// What becomes of the plan, and why the epoch begins.
fn plan_request(decision: Decision, plan: Option<Plan>) -> Result<(PlanRequest, String)> {
    match (decision, plan) {
        (Decision::Continue { discard, .. }, _) => {
            Ok((PlanRequest::Keep { discard }, "resumed".to_owned()))
        }
        (Decision::Start { reason }, Some(plan)) => Ok((PlanRequest::New(plan), reason)),
        (Decision::Extend { reason }, Some(plan)) => Ok((PlanRequest::Extend(plan), reason)),
        (Decision::Start { .. } | Decision::Extend { .. } | Decision::Complete, _) => {
            Err(Error::new(
                ErrorKind::Internal,
                "there is nothing to open the table for",
            ))
        }
    }
}

/// Opens the next epoch of a table, and starts its heartbeat.
pub(super) async fn open_table(
    snapshot: &Snapshot,
    table: Prepared,
    options: &ExportOptions,
    progress: &Progress,
) -> Result<OpenedTable> {
    let name = table.schema.name.to_string();
    let (plan, reason) = plan_request(table.decision, table.plan)?;
    let request = OpenRequest {
        writer: WriterInfo::current(),
        config: table.config,
        schema: table.schema.clone(),
        snapshot: snapshot.clone(),
        plan,
        reason,
        takeover: options.takeover,
    };
    let log = match ManifestLog::open_epoch(&table.root, table.dataset, request).await? {
        Opened::Open(log) => *log,
        Opened::Taken { by, epoch } => {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("{by} opened epoch {epoch} of {} first", table.root.url()),
            )
            .with_advice("wait for it or stop it; nothing was touched"));
        }
    };
    let heartbeat = Heartbeat::start(
        log.root().clone(),
        log.fence(),
        &log.dataset().writer,
        options.lease_interval,
    );
    let dataset = log.dataset();
    let counters = progress.add_table(name.clone());
    let skipped = dataset.committed.len() as u64;
    let pending_rows = dataset.pending().map(|chunk| chunk.estimated_rows).sum();
    counters.plan(dataset.plan.chunks.len() as u64, skipped, pending_rows);
    let work = TableWork {
        schema: table.schema,
        mapping: table.mapping,
        plan: Arc::clone(&dataset.plan),
        root: table.root,
        epoch: dataset.epoch,
        snapshot_index: dataset.snapshot,
        fence: log.fence(),
        counters: Arc::clone(&counters),
    };
    Ok(OpenedTable {
        work,
        log: TableLog::new(name, log, heartbeat, counters),
        chunks_skipped: skipped,
    })
}

/// Committed chunks whose objects are gone or differ.
///
/// # Errors
///
/// [`ErrorKind::Conflict`] when they are of a run that is complete: it is never read again.
pub(super) async fn lost_chunks(root: &Root, dataset: &Dataset) -> Result<Vec<ChunkId>> {
    if dataset.state == State::Planning {
        return Ok(Vec::new());
    }
    let lost = check_committed(root, dataset).await?;
    let done: Vec<&ChunkId> = lost
        .iter()
        .filter(|chunk| chunk.0 < dataset.base().chunks)
        .collect();
    if let Some(chunk) = done.first() {
        let message = format!(
            "the dataset was complete, but objects of {} chunks are gone or hold other bytes",
            done.len()
        );
        return Err(Error::new(ErrorKind::Conflict, message)
            .with_chunk(**chunk)
            .with_advice("put the objects back, or export to another --to"));
    }
    if !lost.is_empty() {
        tracing::warn!(
            table = %dataset.schema.name, chunks = lost.len(),
            "objects of committed chunks are gone or differ; their chunks are read again"
        );
    }
    Ok(lost)
}

/// The chunks of all opened tables that are still to be read, table after table; of each first
/// those that must be read under the table's first snapshot.
pub(crate) fn pending_jobs(opened: &[OpenedTable]) -> Vec<Job> {
    let chunks = |(table, opened): (usize, &OpenedTable)| {
        let mut pending: Vec<_> = opened.log.log.dataset().pending().collect();
        pending.sort_by_key(|chunk| !chunk.is_unplaced());
        pending
            .into_iter()
            .map(|chunk| Job {
                table,
                chunk: chunk.id.0 as usize,
            })
            .collect::<Vec<_>>()
    };
    opened.iter().enumerate().flat_map(chunks).collect()
}
