//! Where a key is cut: by arithmetic over integers, by the statistics' values, by a walk along an
//! index, by a sample of pages, in this order of preference. A view or a query is read for it.
//!
//! Owns the queries that find bounds, and the order of what they find: values of any type are
//! sorted, told apart and compared by the server alone, with the key's own operators. It
//! never sorts or reads a whole table.

use std::slice;

use crate::chunk::{Bound, Key, Range};
use crate::error::{Error, ErrorKind, Result};
use crate::pg::Session;
use crate::pg::session::column;
use crate::pg::sql::{
    conditions, from_clause, literal, operator, quote_ident, quote_table, where_clause,
};
use crate::plan::keys::{Candidate, IndexUse, Statistics};
use crate::plan::split::{KeyStats, Size, even_cuts, integer_bounds};
use crate::plan::task::RelationTask;
use crate::table::Relation;

/// Integers of which at least one in so many is there are cut by arithmetic.
const DENSE_SPAN: u64 = 4;
/// Entries of an index that a walk passes, at most.
const WALKED_ROWS: u64 = 1_000_000;
/// Pages that a sample reads, at least and at most.
const SAMPLED_PAGES: (u64, u64) = (300, 4096);
/// Pages for each chunk that a sample should give a bound for.
const PAGES_A_CHUNK: u64 = 4;
/// Rows of a view or a query for each chunk that should get a bound.
const KEPT_A_CHUNK: u64 = 20;
/// Rows of a sample that are sorted, at most.
const SAMPLED_ROWS: u64 = 500_000;

/// Bounds, and how they were found, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Strictly increasing, as the server compares.
    pub(super) bounds: Vec<Bound>,
    /// Such as `cut by its statistics`.
    pub(super) how: String,
}

/// Finds bounds that make about `wanted` chunks of a relation.
///
/// # Errors
///
/// [`ErrorKind::Source`], and [`ErrorKind::Internal`] when bounds do not increase.
pub(super) async fn find_bounds(
    task: RelationTask<'_>,
    candidate: &Candidate,
    wanted: u64,
) -> Result<Bounds> {
    let finder = Finder {
        task,
        session: task.session,
        relation: task.relation,
        candidate,
        size: task.size,
        wanted,
    };
    let found = match finder.by_arithmetic().await? {
        _ if task.is_computed() => finder.by_pass().await?,
        Some(found) => found,
        None => finder.by_values().await?,
    };
    finder.check_increasing(&found.bounds).await?;
    Ok(found)
}

/// What a view or a query yields: it is counted, since nothing else tells.
///
/// # Errors
///
/// [`ErrorKind::Source`].
pub(super) async fn count_rows(task: RelationTask<'_>) -> Result<Size> {
    let all = conditions(task.base, &Range::Whole, task.options.filter.as_deref());
    let sql = format!(
        "SELECT pg_catalog.count(*), \
         coalesce(pg_catalog.sum(pg_catalog.pg_column_size(r)), 0)::pg_catalog.int8 \
         FROM (SELECT * FROM {}{}) AS r",
        from_clause(task.base),
        where_clause(&all)
    );
    let what = "the rows could not be counted";
    let row = task.session.query_one(what, &sql, &[]).await?;
    Ok(Size {
        rows: column::<i64>(&row, 0)?.max(0).cast_unsigned(),
        bytes: column::<i64>(&row, 1)?.max(0).cast_unsigned(),
    })
}

struct Finder<'a> {
    task: RelationTask<'a>,
    session: &'a Session,
    relation: &'a Relation,
    candidate: &'a Candidate,
    size: Size,
    wanted: u64,
}

impl Finder<'_> {
    fn key(&self) -> &Key {
        &self.candidate.key
    }

    /// Integers, where they are dense or a histogram tells how they lie.
    async fn by_arithmetic(&self) -> Result<Option<Bounds>> {
        if self.key().single_integer().is_none() {
            return Ok(None);
        }
        let mut stats = integer_stats(&self.candidate.statistics);
        stats.bounds = match self.candidate.index {
            IndexUse::Ordered => self.index_ends().await?,
            _ => known_ends(&stats),
        };
        let Some((least, largest)) = stats.bounds else {
            return Ok(None);
        };
        let span = i128::from(largest) - i128::from(least) + 1;
        let is_dense = span <= i128::from(self.size.rows.saturating_mul(DENSE_SPAN));
        let how = match (is_dense, stats.histogram.len()) {
            (_, 2..) => "cut by arithmetic and its statistics",
            (true, _) => "cut by arithmetic, since its values are dense",
            (false, _) => return Ok(None),
        };
        Ok(Some(Bounds {
            bounds: integer_bounds(&stats, self.wanted),
            how: how.to_owned(),
        }))
    }

    /// The least and the largest key. `max()` is not used: an index serves ORDER BY … LIMIT 1 for
    /// every type.
    async fn index_ends(&self) -> Result<Option<(i64, i64)>> {
        let (names, table) = (self.names(), quote_table(&self.relation.name));
        let mut ends = [None, None];
        for (end, direction) in ends.iter_mut().zip(["ASC", "DESC"]) {
            let sql = format!(
                // The cast stands outside: `ORDER BY` would mean the cast column, and no index.
                "SELECT k::pg_catalog.int8 FROM (SELECT {names} AS k FROM ONLY {table} \
                 WHERE {names} IS NOT NULL ORDER BY {names} {direction} LIMIT 1) AS ends"
            );
            let what = "the key's bounds could not be read";
            let rows = self.session.query(what, &sql, &[]).await?;
            *end = rows.first().map(|row| column::<i64>(row, 0)).transpose()?;
        }
        Ok(ends[0].zip(ends[1]))
    }

    /// Values that the server supplies: those of the statistics where there are enough of them.
    async fn by_values(&self) -> Result<Bounds> {
        let statistics = &self.candidate.statistics;
        let known = (statistics.histogram.len() + statistics.common.len()) as u64;
        let is_single = self.key().columns.len() == 1;
        let enough = self.wanted.saturating_mul(2);
        if is_single && known >= enough {
            return self.by_statistics().await;
        }
        if self.candidate.index == IndexUse::Ordered
            && self.size.rows <= WALKED_ROWS
            && let Some(found) = self.by_walk().await?
        {
            return Ok(found);
        }
        let sampled = self.by_sample().await?;
        // A relation that the sample missed has few rows, or the statistics know better.
        if is_single && (sampled.bounds.len() as u64) < known.min(self.wanted / 2) {
            return self.by_statistics().await;
        }
        Ok(sampled)
    }

    /// By the values of `pg_stats`, which the server puts in order.
    async fn by_statistics(&self) -> Result<Bounds> {
        let statistics = &self.candidate.statistics;
        let buckets = statistics.histogram.len().saturating_sub(1).max(1) as f64;
        let shares: f64 = statistics.common.iter().map(|(_, share)| share).sum();
        let rest = (1.0 - shares - statistics.null_frac).max(0.0);
        let histogram = statistics.histogram.iter().enumerate();
        // The bucket that ends at a value lies below it.
        let histogram = histogram.map(|(at, text)| {
            let bucket = if at == 0 { 0.0 } else { rest / buckets };
            (Bound::one(text.clone()), bucket, 0.0)
        });
        let common = statistics.common.iter();
        let common = common.map(|(text, share)| (Bound::one(text.clone()), 0.0, *share));
        let masses: Vec<(Bound, f64, f64)> = histogram.chain(common).collect();
        let values: Vec<Bound> = masses.iter().map(|(value, ..)| value.clone()).collect();
        let mut distinct: Vec<Bound> = Vec::new();
        let (mut below, mut total) = (Vec::new(), 0.0);
        for (at, is_new) in self.sorted(&values).await? {
            let (value, before, own) = &masses[at];
            total += before;
            if is_new {
                distinct.push(value.clone());
                below.push(total);
            }
            total += own;
        }
        let cuts = even_cuts(&below, total, self.wanted);
        Ok(Bounds {
            bounds: cuts.into_iter().map(|at| distinct[at].clone()).collect(),
            how: "cut by its statistics".to_owned(),
        })
    }

    /// Every so many entries along the index. `None` when the index has more entries than a walk
    /// may pass.
    async fn by_walk(&self) -> Result<Option<Bounds>> {
        let step = self.size.rows.div_ceil(self.wanted).max(1);
        let (names, places, texts) = (self.names(), self.places("k"), self.texts());
        let sql = format!(
            "SELECT n, {texts} FROM (SELECT {names}, pg_catalog.row_number() OVER (ORDER BY {names}) \
             FROM ONLY {} WHERE {} ORDER BY {names} LIMIT {}) AS w ({places}, n) \
             WHERE n > 1 AND (n % {step} = 1 OR {step} = 1 OR n > {WALKED_ROWS}) ORDER BY n",
            quote_table(&self.relation.name),
            self.not_null(),
            WALKED_ROWS + 1
        );
        let what = "the key's index could not be walked";
        // Without these the planner may read and sort the relation, small as it is.
        let plans = "SAVEPOINT walk; SET LOCAL enable_sort TO off; SET LOCAL enable_seqscan TO off; \
                     SET LOCAL enable_bitmapscan TO off";
        self.session.execute(what, plans).await?;
        let rows = self.session.query(what, &sql, &[]).await?;
        let end = "ROLLBACK TO SAVEPOINT walk; RELEASE SAVEPOINT walk";
        self.session.execute(what, end).await?;
        let mut values = Vec::with_capacity(rows.len());
        for row in &rows {
            if column::<i64>(row, 0)?.cast_unsigned() > WALKED_ROWS {
                return Ok(None);
            }
            values.push(self.read_bound(row, 1)?);
        }
        Ok(Some(Bounds {
            bounds: self.distinct(values).await?,
            how: "cut by a walk along its index".to_owned(),
        }))
    }

    /// Evenly among the keys of a few pages, taken all over the relation.
    async fn by_sample(&self) -> Result<Bounds> {
        let (least, most) = SAMPLED_PAGES;
        let pages = self.wanted.saturating_mul(PAGES_A_CHUNK).clamp(least, most);
        // Pages come in their order: a sample that the limit cuts short would know the front alone.
        let page_rows = (self.size.rows / self.relation.heap_pages.max(1)).max(1);
        let pages = pages.min(SAMPLED_ROWS / page_rows / 2).max(1);
        let percent = pages as f64 * 100.0 / self.relation.heap_pages.max(1) as f64;
        let sample = format!(
            "SELECT {} FROM {} TABLESAMPLE SYSTEM ({:.9}) REPEATABLE (1) WHERE {} \
             LIMIT {SAMPLED_ROWS}",
            self.names(),
            from_clause(self.task.base),
            percent.min(100.0),
            self.not_null()
        );
        let pages = pages.min(self.relation.heap_pages.max(1));
        Ok(Bounds {
            bounds: self.quantiles(&sample).await?,
            how: format!("cut by a sample of about {pages} pages"),
        })
    }

    /// Evenly among the keys of every so many rows of a view or a query, which is read for it.
    async fn by_pass(&self) -> Result<Bounds> {
        let kept = self
            .wanted
            .saturating_mul(KEPT_A_CHUNK)
            .clamp(1, SAMPLED_ROWS);
        let step = self.size.rows.div_ceil(kept).max(1);
        let (names, places) = (self.names(), self.places("k"));
        let filter = self.task.options.filter.as_deref();
        let mut all = conditions(self.task.base, &Range::Whole, filter);
        all.push(self.not_null());
        let sample = format!(
            "SELECT {places} FROM (SELECT {names}, pg_catalog.row_number() OVER () FROM {}{}) \
             AS p ({places}, n) WHERE n % {step} = 0",
            from_clause(self.task.base),
            where_clause(&all)
        );
        Ok(Bounds {
            bounds: self.quantiles(&sample).await?,
            how: "cut by values of its rows, which were read twice for it".to_owned(),
        })
    }

    /// What cuts the keys that a query yields into as many parts as chunks are wanted.
    async fn quantiles(&self, sample: &str) -> Result<Vec<Bound>> {
        let (places, texts, wanted) = (self.places("k"), self.texts(), self.wanted);
        let sql = format!(
            "SELECT {texts} FROM (SELECT {places}, pg_catalog.row_number() OVER (ORDER BY {places}) \
             AS n, pg_catalog.count(*) OVER () AS total FROM ({sample}) AS s ({places})) AS r \
             WHERE n > 1 AND (n - 1) * {wanted} / total <> (n - 2) * {wanted} / total ORDER BY n"
        );
        let what = "a sample of the key could not be taken";
        let rows = self.session.query(what, &sql, &[]).await?;
        let values: Result<Vec<Bound>> = rows.iter().map(|row| self.read_bound(row, 0)).collect();
        self.distinct(values?).await
    }

    /// The values in the server's order, without those equal to the one before.
    async fn distinct(&self, values: Vec<Bound>) -> Result<Vec<Bound>> {
        let sorted = self.sorted(&values).await?.into_iter();
        let new = sorted.filter(|(_, is_new)| *is_new);
        Ok(new.map(|(at, _)| values[at].clone()).collect())
    }

    /// Indexes into the values in the server's order, and whether each is greater than the one
    /// before, as the predicates of the ranges compare.
    async fn sorted(&self, values: &[Bound]) -> Result<Vec<(usize, bool)>> {
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT i, coalesce({}, true) FROM ({}) AS p ORDER BY {}, i",
            self.increases(),
            self.with_previous(values, &self.places("k")),
            self.places("k")
        );
        let what = "the key's bounds could not be put in order";
        let rows = self.session.query(what, &sql, &[]).await?;
        let read = rows.iter().map(|row| {
            let at = usize::try_from(column::<i32>(row, 0)?).unwrap_or(usize::MAX);
            Ok((at.min(values.len() - 1), column(row, 1)?))
        });
        read.collect()
    }

    /// Makes sure that each bound is above the one before it: what the partition rests on.
    async fn check_increasing(&self, bounds: &[Bound]) -> Result<()> {
        if bounds.len() < 2 {
            return Ok(());
        }
        let sql = format!(
            "SELECT pg_catalog.bool_and({}) FROM ({}) AS p WHERE i > 0",
            self.increases(),
            self.with_previous(bounds, "i")
        );
        let what = "the key's bounds could not be checked";
        let row = self.session.query_one(what, &sql, &[]).await?;
        match column::<Option<bool>>(&row, 0)? {
            Some(true) => Ok(()),
            _ => Err(Error::new(
                ErrorKind::Internal,
                format!(
                    "the bounds of {} do not increase as the server compares {}",
                    self.relation.name,
                    self.key()
                ),
            )
            .with_advice("cut it another way: --chunk-by ctid, or another key")),
        }
    }

    /// Whether the value of a row is above that of the row before, which stands beside it.
    fn increases(&self) -> String {
        let operator = operator(&self.key().columns, "<");
        format!("{} {operator} {}", self.row("p"), self.row("k"))
    }

    /// The values with their index, each beside the one before it in this order.
    fn with_previous(&self, values: &[Bound], order: &str) -> String {
        let columns = &self.key().columns;
        let rows = values.iter().enumerate().map(|(at, value)| {
            let texts = columns.iter().zip(&value.0);
            let literals: Vec<String> = texts
                .map(|(column, text)| literal(slice::from_ref(column), &Bound::one(text.clone())))
                .collect();
            format!("({at}, {})", literals.join(", "))
        });
        let rows: Vec<String> = rows.collect();
        let keys = columns.iter().enumerate().map(|(at, column)| {
            let collation = column.collation.as_ref();
            let collate = collation.map(|name| format!(" COLLATE {name}"));
            format!("t{at}{} AS k{at}", collate.unwrap_or_default())
        });
        let lags = (0..columns.len()).map(|at| format!("pg_catalog.lag(k{at}) OVER w AS p{at}"));
        let (keys, lags): (Vec<String>, Vec<String>) = (keys.collect(), lags.collect());
        format!(
            "SELECT i, {}, {} FROM (SELECT i, {} FROM (VALUES {}) AS v (i, {})) AS s \
             WINDOW w AS (ORDER BY {order})",
            self.places("k"),
            lags.join(", "),
            keys.join(", "),
            rows.join(", "),
            self.places("t"),
        )
    }

    /// `k0, k1`
    fn places(&self, letter: &str) -> String {
        let places = (0..self.key().columns.len()).map(|at| format!("{letter}{at}"));
        places.collect::<Vec<_>>().join(", ")
    }

    /// `k0`, or `ROW(k0, k1)`
    fn row(&self, letter: &str) -> String {
        match self.key().columns.len() {
            1 => self.places(letter),
            _ => format!("ROW({})", self.places(letter)),
        }
    }

    /// The key's columns, quoted.
    fn names(&self) -> String {
        let columns = self.key().columns.iter();
        let names: Vec<String> = columns.map(|column| quote_ident(&column.name)).collect();
        names.join(", ")
    }

    /// `k0, k1` as their types' output functions write them.
    fn texts(&self) -> String {
        let places = 0..self.key().columns.len();
        let texts: Vec<String> = places
            .map(|at| format!("pg_catalog.format('%s', k{at})"))
            .collect();
        texts.join(", ")
    }

    fn not_null(&self) -> String {
        let columns = self.key().columns.iter();
        let parts: Vec<String> = columns
            .map(|column| format!("{} IS NOT NULL", quote_ident(&column.name)))
            .collect();
        parts.join(" AND ")
    }

    fn read_bound(&self, row: &tokio_postgres::Row, from: usize) -> Result<Bound> {
        let places = from..from + self.key().columns.len();
        Ok(Bound(
            places
                .map(|place| column(row, place))
                .collect::<Result<_>>()?,
        ))
    }
}

/// Statistics of an integer column as numbers. Texts that are none cannot come from one.
fn integer_stats(statistics: &Statistics) -> KeyStats {
    let histogram = statistics.histogram.iter();
    let common = statistics.common.iter();
    KeyStats {
        bounds: None,
        null_frac: statistics.null_frac,
        histogram: histogram.filter_map(|text| text.parse().ok()).collect(),
        common: common
            .filter_map(|(text, share)| Some((text.parse().ok()?, *share)))
            .collect(),
        grown: 0.0,
    }
}

/// The least and the largest key that the statistics saw.
fn known_ends(stats: &KeyStats) -> Option<(i64, i64)> {
    let common = stats.common.iter().map(|(value, _)| value);
    let known = || stats.histogram.iter().chain(common.clone()).copied();
    known().min().zip(known().max())
}
