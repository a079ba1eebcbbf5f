//! What `plan` shows: the chunks, their SQL, the types, and the memory a run would need.

use serde::Serialize;

use crate::chunk::{Chunk, ChunkId, Plan};
use crate::error::Result;
use crate::export::budget::MemoryCeiling;
use crate::export::open_keeper;
use crate::export::prepare::{alone, mapping_options};
use crate::export::retry::{Patience, opening};
use crate::export::worker::one_line;
use crate::mapping::{ColumnMapping, SelectAs, TableMapping, map_table};
use crate::options::{ExportOptions, MapTo, OnUnrepresentable};
use crate::pg::session::column;
use crate::pg::{ConnectOptions, Keeper, Session, catalog, sql};
use crate::plan::plan_run;
use crate::store::layout;
use crate::table::{Column, TableSchema};

/// The destination is not read.
const FIRST_RUN_ONLY: &str = "this is the first run of an --incremental export: how far a dataset \
    has come is known only at its --to, and later runs read what is new behind that";

/// What an export with the same options would do. Nothing was written.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PlanReport {
    /// One entry a table.
    pub tables: Vec<TablePlan>,
    /// The most memory a run would hold, and the terms it is made of.
    pub memory: MemoryCeiling,
    /// Tables that a pattern found and that an export could not read.
    pub failed: Vec<FailedPlan>,
    /// Things a person should know, each one sentence.
    pub warnings: Vec<String>,
}

/// A table that cannot be exported as it is.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct FailedPlan {
    /// `schema.name`.
    pub table: String,
    /// Why, on one line.
    pub error: String,
    /// What to do.
    pub advice: Option<String>,
}

/// One table's plan.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct TablePlan {
    /// What the catalog says.
    pub schema: TableSchema,
    /// Where it would land, relative to the URL.
    pub folder: String,
    /// How each column would be mapped, in order.
    pub columns: Vec<ColumnPlan>,
    /// The relations and chunks.
    pub plan: Plan,
    /// The SQL and object of each chunk, in order of [`Plan::chunks`].
    pub chunks: Vec<ChunkPlan>,
    /// How PostgreSQL would run one of the chunks, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explained: Option<Explained>,
    /// Rows that the statistics promise.
    pub estimated_rows: u64,
    /// Bytes of table (heap and TOAST).
    pub estimated_bytes: u64,
}

/// How one column is mapped.
#[derive(Debug, Clone, Serialize)]
pub struct ColumnPlan {
    /// Its name.
    pub name: String,
    /// As SQL declares it.
    pub pg_type: String,
    /// The Arrow type.
    pub arrow_type: String,
    /// Whether it travels as PostgreSQL's text.
    pub as_text: bool,
    /// Why it does, in a few words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_reason: Option<String>,
    /// What `--map` made of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<MapTo>,
    /// Whether its PostgreSQL type has values that this type cannot hold.
    pub is_partial: bool,
}

/// What one chunk would run and yield.
#[derive(Debug, Clone, Serialize)]
pub struct ChunkPlan {
    /// The chunk.
    #[serde(flatten)]
    pub chunk: Chunk,
    /// The statement.
    pub sql: String,
}

/// PostgreSQL's plan of a sample chunk: `EXPLAIN`, which executes nothing.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Explained {
    /// The chunk, from the middle of the plan.
    pub chunk: ChunkId,
    /// What the server says, line by line.
    pub lines: Vec<String>,
}

/// Tells what an export with these options would do, and writes nothing. It takes the same locks
/// and the same kind of snapshot for as long as the statistics are read.
///
/// # Errors
///
/// As [`export`](crate::export::export), but for the store, which is not touched.
pub async fn plan(source: &ConnectOptions, options: &ExportOptions) -> Result<PlanReport> {
    options.validate()?;
    let source = source.with_silence_limit(options.source_timeout);
    let open = || open_keeper(&source, options, "pgsluice plan".to_owned());
    let mut keeper = opening(&Patience::new(options.retry_budget), open).await?;
    let mut refused = keeper.take_refused();
    let mut tables = Vec::with_capacity(keeper.tables().len());
    for table in keeper.tables() {
        let attempt = keeper.attempt(plan_one(&keeper, table, options));
        tables.extend(alone(&keeper, &table.name, attempt.await?, &mut refused)?);
    }
    let mut warnings = warnings(&tables);
    if options.incremental.is_some() {
        warnings.push(FIRST_RUN_ONLY.to_owned());
    }
    warnings.extend(keeper.warnings().iter().cloned());
    keeper.release().await?;
    Ok(PlanReport {
        memory: MemoryCeiling::of(options),
        warnings,
        tables,
        failed: refused
            .into_iter()
            .map(|table| FailedPlan {
                table: table.name.to_string(),
                error: one_line(&table.error),
                advice: table.error.advice().map(str::to_owned),
            })
            .collect(),
    })
}

async fn plan_one(
    keeper: &Keeper,
    table: &TableSchema,
    options: &ExportOptions,
) -> Result<TablePlan> {
    let schema =
        catalog::select_columns(table, options.columns.as_deref(), &options.exclude_columns)?;
    let mapping = map_table(&schema.columns, &mapping_options(options))?;
    let plan = plan_run(keeper.session(), &schema, options, None).await?;
    let plan = plan.unwrap_or_default();
    let select = sql::select_list(&schema, &mapping);
    let chunk_plan = |chunk: &Chunk| ChunkPlan {
        chunk: chunk.clone(),
        sql: sql::chunk_select(&plan, chunk, &select, options.filter.as_deref()),
    };
    let chunks: Vec<ChunkPlan> = plan.chunks.iter().map(chunk_plan).collect();
    let explained = match chunks.get(chunks.len() / 2).filter(|_| options.explain) {
        Some(sample) => Some(explain(keeper.session(), sample).await?),
        None => None,
    };
    Ok(TablePlan {
        folder: layout::dataset_folder(&options.layout, &schema.name)?,
        columns: column_plans(&schema, &mapping, options),
        chunks,
        explained,
        estimated_rows: plan.chunks.iter().map(|chunk| chunk.estimated_rows).sum(),
        estimated_bytes: schema
            .relations
            .iter()
            .map(|relation| relation.table_bytes)
            .sum(),
        plan,
        schema,
    })
}

async fn explain(session: &Session, sample: &ChunkPlan) -> Result<Explained> {
    let what = "a chunk's statement could not be explained";
    let sql = format!("EXPLAIN {}", sample.sql);
    let rows = session.query(what, &sql, &[]).await?;
    Ok(Explained {
        chunk: sample.chunk.id,
        lines: rows
            .iter()
            .map(|row| column(row, 0))
            .collect::<Result<_>>()?,
    })
}

fn column_plans(
    schema: &TableSchema,
    mapping: &TableMapping,
    options: &ExportOptions,
) -> Vec<ColumnPlan> {
    let columns = schema.columns.iter().zip(&mapping.columns);
    let plan = |(column, mapped): (&Column, &ColumnMapping)| ColumnPlan {
        name: column.name.clone(),
        pg_type: column.type_name.clone(),
        arrow_type: mapped.field.data_type().to_string(),
        as_text: mapped.select == SelectAs::Text,
        text_reason: text_reason(column, mapped, options),
        map: options.maps.get(&column.name).copied(),
        is_partial: mapped.codec.is_partial(),
    };
    columns.map(plan).collect()
}

/// Why a column is cast to text; `None` when it is not.
fn text_reason(column: &Column, mapped: &ColumnMapping, options: &ExportOptions) -> Option<String> {
    if mapped.select != SelectAs::Text {
        return None;
    }
    if options.maps.get(&column.name) == Some(&MapTo::Text) {
        return Some("--map".to_owned());
    }
    let reason = match column.pg_type.text_reason() {
        Some(reason) if column.pg_type.is_nested() => {
            return Some(format!("of a type that it is made of: {}", reason.as_str()));
        }
        Some(reason) => reason.as_str(),
        None if options.on_unrepresentable == OnUnrepresentable::Text => {
            "it has values that no Parquet type holds, and --on-unrepresentable is text"
        }
        None => "no Parquet type has its attributes",
    };
    Some(reason.to_owned())
}

/// What makes a plan worse than it looks.
fn warnings(tables: &[TablePlan]) -> Vec<String> {
    let mut warnings = Vec::new();
    for table in tables {
        if !table.plan.survives_snapshot() {
            warnings.push(format!(
                "{}: page ranges and places hold for one snapshot only: a run that dies starts this table \
                 again, unless --snapshot names one that something else keeps",
                table.schema.name
            ));
        }
    }
    warnings
}
