//! Incremental runs: which rows a run takes, and how they are cut.
//!
//! Owns the window of a run: above the value that the completed runs reached, up to the greatest
//! that its snapshot shows. The server orders and subtracts; nothing is compared here. Rows of a
//! window are cut along the growing column where an index leads with it, else as any table is.

use crate::chunk::{Bound, Chunk, ChunkId, ChunkMethod, Key, Plan, PlannedRelation, Range, Window};
use crate::error::Result;
use crate::manifest::{Base, Dataset};
use crate::options::{ChunkBy, ExportOptions};
use crate::pg::Session;
use crate::pg::session::column;
use crate::pg::sql::{compared, from_clause, literal, quote_ident, where_clause, window_predicate};
use crate::plan::filter::check_filter;
use crate::plan::growing::{Growing, probe_growing};
use crate::plan::probe::plan_table;
use crate::plan::size::limits;
use crate::plan::split::{MAX_CHUNKS, key_ranges, too_many};
use crate::table::{Relation, RelationKind, TableSchema};

/// Rows of a window up to which the index is walked to cut it evenly: some seconds.
const MOST_WALKED_ROWS: u64 = 20_000_000;

/// Plans what a run reads: the whole table, or, of an incremental export, what is new behind the
/// completed runs of `dataset`. `None` when nothing is.
///
/// Runs inside the keeper's transaction, as [`plan_table`] does. Where no index leads with the
/// growing column, the table is scanned for its greatest value.
///
/// # Errors
///
/// As [`plan_table`]; and [`ErrorKind::Config`] for a growing column that does not exist, that no
/// order or no end can be told of, or for an overlap that is no distance of its type.
pub(crate) async fn plan_run(
    session: &Session,
    schema: &TableSchema,
    options: &ExportOptions,
    dataset: Option<&Dataset>,
) -> Result<Option<Plan>> {
    let Some(incremental) = &options.incremental else {
        return plan_table(session, schema, options).await.map(Some);
    };
    if let Some(filter) = &options.filter {
        check_filter(session, schema, filter).await?;
    }
    let growing = probe_growing(session, schema, &incremental.column).await?;
    let reached = dataset.and_then(Dataset::reached);
    let overlap = incremental.overlap.as_deref();
    let lower = growing.lower(session, reached, overlap).await?;
    let run = Run {
        session,
        schema,
        options,
        growing: &growing,
    };
    let ends = run.ends(reached, lower.as_deref()).await?;
    let Some(dataset) = dataset else {
        return run.first(ends).await.map(Some);
    };
    if ends.iter().any(|end| end.is_new) {
        return run.further(dataset.base(), lower, ends).await.map(Some);
    }
    if dataset.open_chunks().is_empty() {
        return Ok(None);
    }
    // An unfinished run is begun anew and there is nothing left of its rows: it ends empty.
    let reached = reached.map(str::to_owned);
    run.empty(dataset.base(), reached).map(Some)
}

/// What is worth telling each time of a run's plan; `name` is the table's.
pub(crate) fn window_warnings(plan: &[PlannedRelation], overlap: bool, name: &str) -> Vec<String> {
    let Some(window) = plan.iter().find_map(|relation| relation.window.as_ref()) else {
        return Vec::new();
    };
    let column = &window.column.name;
    let mut warnings = Vec::new();
    if window.column.is_nullable {
        warnings.push(format!(
            "{name}: rows whose {column:?} is NULL are taken by the first run only"
        ));
    }
    if overlap && window.lower.is_some() {
        warnings.push(format!(
            "{name}: rows within the --overlap are there once more: keep the newest of each key"
        ));
    }
    warnings
}

/// The greatest value of one relation.
struct End {
    /// Index among the relations.
    relation: usize,
    text: String,
    /// Above what the completed runs reached.
    is_new: bool,
    /// Above the window's lower bound.
    is_inside: bool,
}

/// What the planning of one run works with.
struct Run<'a> {
    session: &'a Session,
    schema: &'a TableSchema,
    options: &'a ExportOptions,
    growing: &'a Growing,
}

impl Run<'_> {
    /// The relation as a plan names it.
    fn planned(&self, relation: &Relation) -> PlannedRelation {
        let query = self.options.query.as_ref();
        let query = query.filter(|_| self.schema.kind == RelationKind::Query);
        PlannedRelation {
            query: query.map(|query| query.sql.clone()),
            alias: self.schema.alias().map(str::to_owned),
            ..PlannedRelation::whole(relation.name.clone(), relation.oid, "")
        }
    }

    /// The greatest value of each relation that has one, the greatest of all first: from the ends
    /// of the indexes, where there are any.
    async fn ends(&self, reached: Option<&str>, lower: Option<&str>) -> Result<Vec<End>> {
        let name = quote_ident(&self.growing.column.name);
        let filter = self.options.filter.as_deref();
        let filter = filter.map_or(String::new(), |filter| format!(" AND (\n{filter}\n)"));
        let one = |(index, relation): (usize, &Relation)| {
            let from = from_clause(&self.planned(relation));
            format!(
                "(SELECT {index}::pg_catalog.int4 AS i, {name} AS k FROM {from} \
                 WHERE {name} IS NOT NULL{filter} ORDER BY {name} DESC LIMIT 1)"
            )
        };
        let relations = self.schema.relations.iter().enumerate();
        let ends: Vec<String> = relations.map(one).collect();
        if ends.is_empty() {
            return Ok(Vec::new());
        }
        let above = |bound: Option<&str>| match bound {
            None => "true".to_owned(),
            Some(text) => format!("k {} {}", self.growing.operator(">"), self.value(text)),
        };
        let sql = format!(
            // Not `ORDER BY k`: that would be the text of the list, by which 999 is above 1000.
            "SELECT i, k::pg_catalog.text, {}, {}, {} FROM ({}) AS ends ORDER BY ends.k DESC",
            above(reached),
            above(lower),
            self.growing.is_endless("k"),
            ends.join(" UNION ALL ")
        );
        let what = "the greatest value of the --incremental column could not be read";
        let rows = self.session.query(what, &sql, &[]).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            if column::<bool>(row, 4)? {
                return Err(self.growing.refused(
                    "holds infinity or NaN, above which nothing can come",
                    "leave such rows out with --where, or name another column",
                ));
            }
            let relation: i32 = column(row, 0)?;
            found.push(End {
                relation: relation.try_into().unwrap_or(0),
                text: column(row, 1)?,
                is_new: column(row, 2)?,
                is_inside: column(row, 3)?,
            });
        }
        Ok(found)
    }

    fn value(&self, text: &str) -> String {
        let columns = std::slice::from_ref(&self.growing.column);
        literal(columns, &Bound::one(text))
    }

    /// The first run takes the table as it is, up to the greatest value: rows that come above it
    /// while the run is resumed under another snapshot are left to the next.
    async fn first(&self, ends: Vec<End>) -> Result<Plan> {
        let window = Window {
            column: self.growing.column.clone(),
            lower: None,
            upper: ends.into_iter().next().map(|end| end.text),
            with_nulls: self.growing.column.is_nullable,
        };
        let mut plan = plan_table(self.session, self.schema, self.options).await?;
        self.bound(&mut plan, &window);
        Ok(plan)
    }

    /// Gives all relations the window, and tells of a missing index.
    fn bound(&self, plan: &mut Plan, window: &Window) {
        for relation in &mut plan.relations {
            let schema = self.schema.relations.iter();
            let known = schema.clone().find(|known| known.oid == relation.oid);
            if known.is_some_and(|known| !self.growing.leads_an_index(known)) {
                relation.risks.push(format!(
                    "no index leads with {:?}: each incremental run scans the table",
                    self.growing.column.name
                ));
            }
            relation.window = Some(window.clone());
        }
    }

    /// A further run: what lies in the window, relation by relation.
    async fn further(&self, base: Base, lower: Option<String>, ends: Vec<End>) -> Result<Plan> {
        let window = Window {
            column: self.growing.column.clone(),
            lower,
            upper: ends.first().map(|end| end.text.clone()),
            with_nulls: false,
        };
        // A relation without a row in the window has nothing to read under any snapshot, but for
        // what is committed late.
        let mut inside: Vec<usize> = ends
            .iter()
            .filter(|end| end.is_inside)
            .map(|end| end.relation)
            .collect();
        inside.sort_unstable();
        let inside = inside
            .iter()
            .filter_map(|index| self.schema.relations.get(*index));
        let inside: Vec<&Relation> = inside.collect();
        let mut plan = match self.walked(&inside, &window).await? {
            Some(plan) => plan,
            None => {
                let mut plan = plan_table(self.session, self.schema, self.options).await?;
                self.bound(&mut plan, &window);
                if let Some(times) = self.growing.micros(self.session, &window).await? {
                    plan = super::trim::trim_times(plan, &self.growing.column.name, times);
                }
                plan
            }
        };
        number_on(&mut plan, base);
        Ok(plan)
    }

    /// Cuts along the growing column itself; `None` where another way was asked for, an index is
    /// missing, or there is too much to walk through.
    async fn walked(&self, inside: &[&Relation], window: &Window) -> Result<Option<Plan>> {
        let is_free = match &self.options.chunk_by {
            ChunkBy::Auto => true,
            ChunkBy::Key(columns) => *columns == [self.growing.column.name.clone()],
            _ => false,
        };
        let leads = |relation: &&Relation| self.growing.leads_an_index(relation);
        if !is_free || !inside.iter().all(leads) {
            return Ok(None);
        }
        let mut plan = Plan::default();
        for relation in inside {
            let mut planned = self.planned(relation);
            planned.window = Some(window.clone());
            let rows = self.estimated_rows(&planned).await?;
            if rows > MOST_WALKED_ROWS {
                return Ok(None);
            }
            let bounds = self.walk(&planned, relation, window).await?;
            self.push(&mut plan, planned, bounds, rows, relation)?;
        }
        Ok(Some(plan))
    }

    /// Rows that the server's planner expects in the window.
    async fn estimated_rows(&self, planned: &PlannedRelation) -> Result<u64> {
        let window = planned.window.as_ref().map(window_predicate);
        let conditions: Vec<String> = window.into_iter().collect();
        let (from, condition) = (from_clause(planned), where_clause(&conditions));
        let sql = format!("EXPLAIN SELECT FROM {from}{condition}");
        let what = "the new rows could not be estimated";
        let rows = self.session.query(what, &sql, &[]).await?;
        let first: Option<String> = rows.first().map(|row| column(row, 0)).transpose()?;
        Ok(first.as_deref().and_then(rows_of).unwrap_or(0))
    }

    /// Every so many rows a key, along the index: strictly increasing, as the server orders.
    async fn walk(
        &self,
        planned: &PlannedRelation,
        relation: &Relation,
        window: &Window,
    ) -> Result<Vec<String>> {
        let columns = std::slice::from_ref(&self.growing.column);
        let (name, from) = (quote_ident(&self.growing.column.name), from_clause(planned));
        let step = rows_per_chunk(relation, self.options);
        let upper = window.upper.as_deref().unwrap_or_default();
        let upper = compared(columns, "<=", &self.value(upper));
        let mut last = window.lower.clone();
        let mut bounds: Vec<String> = Vec::new();
        loop {
            let above = last.as_deref().map(|last| self.value(last));
            let above = above.map(|last| compared(columns, ">", &last));
            let conditions: Vec<String> = above.into_iter().chain([upper.clone()]).collect();
            let sql = format!(
                "SELECT k::pg_catalog.text FROM (SELECT {name} AS k FROM {from}{} \
                 ORDER BY {name} OFFSET {step} LIMIT 1) AS step",
                where_clause(&conditions)
            );
            let what = "the index of the --incremental column could not be walked along";
            let rows = self.session.query(what, &sql, &[]).await?;
            let Some(row) = rows.first() else { break };
            let bound: String = column(row, 0)?;
            last = Some(bound.clone());
            bounds.push(bound);
            if bounds.len() as u64 >= MAX_CHUNKS {
                return Err(too_many(bounds.len() as u64 + 1));
            }
        }
        Ok(bounds)
    }

    fn push(
        &self,
        plan: &mut Plan,
        mut planned: PlannedRelation,
        bounds: Vec<String>,
        rows: u64,
        relation: &Relation,
    ) -> Result<()> {
        // A plan has at most a million chunks, and a chunk in each relation.
        let number = plan.relations.len() as u32;
        let name = &self.growing.column.name;
        let bounds: Vec<Bound> = bounds.into_iter().map(Bound::one).collect();
        // The window holds no row without a value.
        let ranges = key_ranges(&bounds, false);
        planned.reason = format!("what is new by {name:?}, along its index");
        if ranges.len() > 1 {
            planned.method = ChunkMethod::Key;
            planned.ordered = true;
            let mut column = self.growing.column.clone();
            column.is_nullable = false;
            planned.key = Some(Key {
                columns: vec![column],
            });
        }
        plan.relations.push(planned);
        let total = (plan.chunks.len() + ranges.len()) as u64;
        if total > MAX_CHUNKS {
            return Err(too_many(total));
        }
        let share = rows.div_ceil(ranges.len() as u64);
        for range in ranges {
            plan.chunks.push(Chunk {
                id: ChunkId(plan.chunks.len() as u32),
                relation: number,
                range,
                folder: None,
                estimated_rows: share,
                estimated_bytes: share.saturating_mul(row_bytes(relation)),
            });
        }
        Ok(())
    }

    /// One chunk without a row. Where no run has reached a value, its window has no end either.
    fn empty(&self, base: Base, reached: Option<String>) -> Result<Plan> {
        // All partitions may be gone: the table itself holds no row then.
        let itself = Relation {
            name: self.schema.name.clone(),
            oid: self.schema.oid,
            has_ctid: false,
            table_bytes: 0,
            heap_pages: 0,
            estimated_rows: None,
        };
        let relation = self.schema.relations.first().unwrap_or(&itself);
        let mut planned = self.planned(relation);
        planned.window = Some(Window {
            column: self.growing.column.clone(),
            lower: reached.clone(),
            upper: reached,
            with_nulls: false,
        });
        let mut plan = Plan::default();
        self.push(&mut plan, planned, Vec::new(), 0, relation)?;
        number_on(&mut plan, base);
        Ok(plan)
    }
}

/// `Seq Scan on t  (cost=0.00..1.01 rows=7 width=0)`
fn rows_of(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once(" rows=")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit())?;
    rest[..digits].parse().ok()
}

fn row_bytes(relation: &Relation) -> u64 {
    let rows = relation.estimated_rows.filter(|rows| *rows > 0);
    rows.map_or(64, |rows| relation.table_bytes.div_ceil(rows).max(1))
}

fn rows_per_chunk(relation: &Relation, options: &ExportOptions) -> u64 {
    let limits = limits(relation, None, options);
    let by_bytes = limits.chunk_bytes / row_bytes(relation);
    limits.chunk_rows.min(by_bytes).max(1)
}

/// Numbers relations and chunks on behind those of the completed runs.
fn number_on(plan: &mut Plan, base: Base) {
    for chunk in &mut plan.chunks {
        chunk.id.0 += base.chunks;
        chunk.relation += base.relations;
        if let Range::Pack { upper } = &mut chunk.range {
            *upper += base.relations;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_planners_rows_are_read_from_its_first_line() {
        let line = "Index Only Scan using t_pkey on t  (cost=0.29..8.31 rows=70123 width=0)";
        assert_eq!(rows_of(line), Some(70123));
        assert_eq!(rows_of("Result"), None);
        assert_eq!(rows_of("x rows="), None);
    }

    #[test]
    fn further_plans_are_numbered_on() {
        let mut plan = Plan::default();
        plan.chunks.push(Chunk {
            id: ChunkId(0),
            relation: 0,
            range: Range::Pack { upper: 2 },
            folder: None,
            estimated_rows: 0,
            estimated_bytes: 0,
        });
        let base = Base {
            relations: 3,
            chunks: 7,
        };
        number_on(&mut plan, base);
        assert_eq!((plan.chunks[0].id.0, plan.chunks[0].relation), (7, 3));
        assert_eq!(plan.chunks[0].range, Range::Pack { upper: 5 });
    }
}
