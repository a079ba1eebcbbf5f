//! Cutting a relation by time: calendar intervals of a date or timestamp column, in folders of
//! their own where readers are to prune by them.
//!
//! Owns which intervals there are and what becomes of them. The ranges partition the relation
//! whatever the server says of its ends: the first and the last are open, and rows without a time
//! have a range of their own. Where a zone's days begin is `zone`'s.

mod calendar;
mod probe;
mod shape;
mod zone;

use crate::chunk::{Chunk, ChunkId, ChunkMethod, Key, Plan, Range};
use crate::error::{Error, ErrorKind, Result};
use crate::options::Interval;
use crate::plan::split::MAX_CHUNKS;
use crate::store::layout::encode_component;

use super::task::RelationTask;

use self::calendar::{DAY, NO_VALUE, Step};
use self::probe::{EndsFrom, TimeColumn, TimeKind, find_column, read_ends, read_stats};
use self::shape::{Shape, TimeStats};
use self::zone::{Boundary, MAX_SHIFT};

const SECOND: i64 = 1_000_000;
/// 0001-01-01 and 10000-01-01, in seconds since 1970: no bound lies outside.
const FIRST_BOUND: i64 = -62_135_596_800;
const LAST_BOUND: i64 = 253_402_300_800;
/// From so many times a chunk's size on, an interval is cut once more.
const FAR_ABOVE: f64 = 2.0;

/// A relation that is to be cut by time.
struct TimeTask<'a> {
    relation: RelationTask<'a>,
    /// The column, by its exact name.
    column: &'a str,
    every: Interval,
}

/// What the server says of the column.
struct Known {
    time: TimeColumn,
    stats: TimeStats,
    /// The zone whose calendar it is; `None`: UTC, or a column without a zone.
    zone: Option<String>,
    /// The least and the largest time, in microseconds.
    ends: Option<(i64, i64)>,
    ends_from: EndsFrom,
}

/// Appends a relation and its time chunks to a plan.
///
/// # Errors
///
/// [`ErrorKind::Config`] for a column that is not there or has no time, a zone that does not fit,
/// ends that are not known, a folder named as a column is, or too many chunks; the server's.
pub(super) async fn plan_time(
    relation: RelationTask<'_>,
    column: &str,
    every: Interval,
    plan: &mut Plan,
) -> Result<()> {
    let task = TimeTask {
        relation,
        column,
        every,
    };
    let known = learn(&task).await?;
    let folders = folder_name(&task)?;
    let step = match &folders {
        Some(_) => Step::of_folders(task.every)?,
        None => Step::of(task.every),
    };
    let folders = folders.map(|name| Folders {
        name: name.unwrap_or_else(|| format!("{}_{}", task.column, step.folder_suffix())),
        step,
    });
    if let Some(folders) = &folders {
        refuse_clash(&task, folders)?;
    }
    let bounds = match known.ends {
        Some(ends) => bounds(&task, &known, step, folders.is_some(), ends).await?,
        None => Vec::new(),
    };
    let shape = known
        .ends
        .map(|(least, largest)| Shape::new(&known.stats, least, largest));
    let pieces = pieces(&task, &known, shape.as_ref(), &bounds, folders.as_ref());
    push(&task, &known, pieces, plan)
}

async fn learn(task: &TimeTask<'_>) -> Result<Known> {
    let source = &task.relation;
    let time = find_column(source, task.column).await?;
    refuse_misfit(task, &time)?;
    let zone = match &task.relation.options.time_zone {
        Some(name) => Some(zone::find_zone(task.relation.session, name).await?),
        None => None,
    };
    let stats = read_stats(source, &time).await?;
    // A row beyond the last folder's end would be where nobody looks for it.
    let exact = task.relation.options.hive.is_some();
    let (ends, ends_from) = read_ends(source, &time, &stats, exact).await?;
    Ok(Known {
        time,
        stats,
        zone: zone.filter(|name| name != "UTC"),
        ends,
        ends_from,
    })
}

/// A zone for times that have none, hours for dates.
fn refuse_misfit(task: &TimeTask<'_>, time: &TimeColumn) -> Result<()> {
    let name = task.column;
    if task.relation.options.time_zone.is_some() && time.kind != TimeKind::Timestamptz {
        return Err(Error::new(
            ErrorKind::Config,
            format!(
                "--time-zone: {name:?} is a {} without time zone, whose days are its own",
                if time.kind == TimeKind::Date {
                    "date"
                } else {
                    "timestamp"
                }
            ),
        )
        .with_advice("leave --time-zone out: only a timestamp with time zone has days in a zone"));
    }
    if time.kind == TimeKind::Date && task.every.micros > 0 {
        return Err(Error::new(
            ErrorKind::Config,
            format!("--chunk-by time: {name:?} is a date, which has no hours"),
        )
        .with_advice("give an interval of days, weeks, months or years"));
    }
    Ok(())
}

/// The folders of an export.
struct Folders {
    name: String,
    step: Step,
}

impl Folders {
    /// `name=value`, of an interval or of rows that lie in none.
    fn of(&self, bucket: Option<i64>) -> String {
        let value = bucket.map_or_else(|| NO_VALUE.to_owned(), |at| self.step.folder_value(at));
        format!("{}={value}", encode_component(&self.name))
    }
}

/// The name that was given for the folders; outer `None`: there are none.
fn folder_name(task: &TimeTask<'_>) -> Result<Option<Option<String>>> {
    match &task.relation.options.hive {
        Some(hive) if hive.name.as_deref() == Some("") => Err(Error::new(
            ErrorKind::Config,
            "--hive: the partition column's name is empty",
        )),
        Some(hive) => Ok(Some(hive.name.clone())),
        None => Ok(None),
    }
}

/// Readers would see two columns of one name, and most fold upper and lower case.
fn refuse_clash(task: &TimeTask<'_>, folders: &Folders) -> Result<()> {
    let wanted = folders.name.to_lowercase();
    let mut columns = task.relation.schema.columns.iter();
    match columns.find(|column| column.name.to_lowercase() == wanted) {
        None => Ok(()),
        Some(column) => Err(Error::new(
            ErrorKind::Config,
            format!(
                "--hive: the partition column {:?} is named as the column {:?} is, and readers \
                 tell no two such columns apart",
                folders.name, column.name
            ),
        )
        .with_advice("give another name: --hive=NAME")),
    }
}

/// The instants at which intervals begin, in seconds: of those that hold a time, and the one
/// after the last.
async fn bounds(
    task: &TimeTask<'_>,
    known: &Known,
    step: Step,
    in_folders: bool,
    (least, largest): (i64, i64),
) -> Result<Vec<Boundary>> {
    let (first, last) = (least.div_euclid(SECOND), largest.div_euclid(SECOND));
    if task.every.micros > 0 && !in_folders {
        let intervals = i128::from(largest - least) / i128::from(task.every.micros);
        refuse_too_many(task, intervals)?;
        let midnights = calendar_bounds(task, known, step, (first, first)).await?;
        return Ok(elapsed_bounds(&midnights, task.every.micros, last));
    }
    calendar_bounds(task, known, step, (first, last)).await
}

/// As [`bounds`], of calendar steps and in seconds.
async fn calendar_bounds(
    task: &TimeTask<'_>,
    known: &Known,
    step: Step,
    (first, last): (i64, i64),
) -> Result<Vec<Boundary>> {
    let shift = if known.zone.is_some() { MAX_SHIFT } else { 0 };
    let (from, to) = (
        step.bucket_of(first - shift),
        step.bucket_of(last + shift) + 1,
    );
    refuse_too_many(task, i128::from(to) - i128::from(from))?;
    let mut bounds = match &known.zone {
        Some(zone) => zone::boundaries(task.relation.session, zone, step, from..=to).await?,
        None => (from..=to)
            .map(|bucket| Boundary {
                at: step.start_of(bucket),
                bucket,
            })
            .collect(),
    };
    bounds.retain(|bound| (FIRST_BOUND..=LAST_BOUND).contains(&bound.at));
    trim(&mut bounds, first, last);
    // A row outside would be where nobody looks for it; only the calendar's own ends may be so.
    let starts = step.start_of(from) < FIRST_BOUND + DAY
        || bounds.first().is_some_and(|bound| bound.at <= first);
    let ends =
        step.start_of(to) > LAST_BOUND - DAY || bounds.last().is_some_and(|bound| bound.at > last);
    match starts && ends {
        true => Ok(bounds),
        false => Err(Error::new(
            ErrorKind::Internal,
            "the calendar does not reach around the times of the table",
        )),
    }
}

/// Leaves the last boundary that is not above the first time, and the first that is above the
/// last.
fn trim(bounds: &mut Vec<Boundary>, first: i64, last: i64) {
    let from = bounds.partition_point(|bound| bound.at <= first);
    bounds.drain(..from.saturating_sub(1));
    let to = bounds.partition_point(|bound| bound.at <= last);
    bounds.truncate(to + 1);
}

/// Steps of elapsed time from the local midnight before the first time.
fn elapsed_bounds(days: &[Boundary], micros: u64, last: i64) -> Vec<Boundary> {
    let Some(first) = days.first() else {
        return Vec::new();
    };
    // Intervals are given in whole seconds.
    let step = i64::try_from(micros).map_or(i64::MAX, |micros| (micros / SECOND).max(1));
    let mut bounds = Vec::new();
    let mut at = first.at;
    while at <= LAST_BOUND {
        bounds.push(Boundary { at, bucket: 0 });
        if at > last {
            break;
        }
        at = at.saturating_add(step);
    }
    bounds
}

fn refuse_too_many(task: &TimeTask<'_>, intervals: i128) -> Result<()> {
    if intervals <= i128::from(MAX_CHUNKS) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Config,
        format!(
            "{intervals} intervals of {} lie between the least and the largest {:?}; at most \
             {MAX_CHUNKS} chunks are kept",
            task.every, task.column
        ),
    )
    .with_advice(
        "give a longer interval; where a few far-off times stand for \"never\", export a --query \
         without them",
    ))
}

/// One chunk to be.
struct Piece {
    range: Range,
    folder: Option<String>,
    /// Share of the rows.
    share: f64,
}

fn pieces(
    task: &TimeTask<'_>,
    known: &Known,
    shape: Option<&Shape>,
    bounds: &[Boundary],
    folders: Option<&Folders>,
) -> Vec<Piece> {
    let with_time = 1.0 - known.stats.null_share.clamp(0.0, 1.0);
    let share = |lower: Option<i64>, upper: Option<i64>| {
        let before = |at: i64| shape.map_or(0.0, |shape| shape.before(at));
        let above = upper.map_or(1.0, before) - lower.map_or(0.0, before);
        above.max(0.0) * with_time
    };
    let mut pieces = Vec::new();
    let mut push = |lower: Option<i64>, upper: Option<i64>, bucket: Option<i64>| {
        pieces.push(Piece {
            range: Range::Time { lower, upper },
            folder: folders.map(|folders| folders.of(bucket)),
            share: share(lower, upper),
        });
    };
    // Without folders the first and the last interval reach to the ends themselves.
    let inner = match (folders, bounds.len()) {
        (None, 0..=2) => &[][..],
        (None, many) => &bounds[1..many - 1],
        (Some(_), _) => bounds,
    };
    let mut lower: Option<i64> = None;
    let mut bucket = None;
    let open = (bounds.first(), bounds.last());
    for upper in inner.iter().map(Some).chain([None]) {
        let to = upper.map(|bound| bound.at * SECOND);
        // An open interval is cut inside of what the ends say of it.
        let from = lower.or(open.0.map(|bound| bound.at * SECOND));
        let until = to.or(open.1.map(|bound| bound.at * SECOND));
        let mut last = lower;
        if let (Some(from), Some(until), Some(shape)) = (from, until, shape)
            && (folders.is_none() || lower.is_some() && to.is_some())
        {
            let parts = parts_of(task, share(lower, to));
            for cut in shape.cuts(from, until, parts, unit_of(known.time.kind)) {
                push(last, Some(cut), bucket);
                last = Some(cut);
            }
        }
        push(last, to, bucket);
        lower = to;
        // The last boundary is above every time: what follows has no place.
        bucket = upper
            .filter(|bound| Some(*bound) != open.1)
            .map(|bound| bound.bucket);
    }
    if known.time.key.is_nullable {
        pieces.push(Piece {
            range: Range::NullKey,
            folder: folders.map(|folders| folders.of(None)),
            share: 1.0 - with_time,
        });
    }
    pieces
}

/// What further cuts are multiples of: dates have no hours, and names no fractions.
fn unit_of(kind: TimeKind) -> i64 {
    match kind {
        TimeKind::Date => DAY * SECOND,
        _ => SECOND,
    }
}

/// In how many parts an interval is cut further.
fn parts_of(task: &TimeTask<'_>, share: f64) -> u64 {
    let times = |all: u64, limit: u64| share * all as f64 / limit.max(1) as f64;
    let times = times(task.relation.size.bytes, task.relation.limits.chunk_bytes).max(times(
        task.relation.size.rows,
        task.relation.limits.chunk_rows,
    ));
    match times > FAR_ABOVE {
        true => (times.ceil() as u64).min(MAX_CHUNKS),
        false => 1,
    }
}

fn push(task: &TimeTask<'_>, known: &Known, pieces: Vec<Piece>, plan: &mut Plan) -> Result<()> {
    let total = plan.chunks.len() + pieces.len();
    refuse_too_many(task, total as i128)?;
    let mut planned = task.relation.base.clone();
    planned.method = ChunkMethod::Time;
    planned.reason = reason(task, known);
    planned.risks.extend(risks(task, known, pieces.len()));
    planned.key = Some(Key {
        columns: vec![known.time.key.clone()],
    });
    // `refuse_too_many` stops this long before u32 ends.
    let relation = plan.relations.len() as u32;
    plan.relations.push(planned);
    for piece in pieces {
        let of = |all: u64| (all as f64 * piece.share).round() as u64;
        plan.chunks.push(Chunk {
            id: ChunkId(plan.chunks.len() as u32),
            relation,
            range: piece.range,
            folder: piece.folder,
            estimated_rows: of(task.relation.size.rows),
            estimated_bytes: of(task.relation.size.bytes),
        });
    }
    Ok(())
}

fn reason(task: &TimeTask<'_>, known: &Known) -> String {
    let whose = match (&known.zone, known.time.kind) {
        (Some(zone), _) => format!(" in {zone}"),
        (None, TimeKind::Timestamptz) => " in UTC".to_owned(),
        (None, _) => String::new(),
    };
    let ends = match known.ends_from {
        EndsFrom::Index => "its ends were read from an index",
        EndsFrom::Statistics => "its ends are those of the statistics",
        EndsFrom::Scan => "its ends were read by a scan of all rows",
        EndsFrom::Empty => "there are no rows",
    };
    format!("{} of {:?} each{whose}; {ends}", task.every, task.column)
}

fn risks(task: &TimeTask<'_>, known: &Known, chunks: usize) -> Option<String> {
    let (name, time) = (task.column, &known.time);
    let is_computed = task.relation.is_computed();
    if chunks <= 1 {
        return None;
    }
    if is_computed {
        return Some(format!(
            "each of the {chunks} chunks runs the query with a condition on {name:?}: the server may \
             compute all of it each time"
        ));
    }
    if !time.has_index && !time.has_summary {
        return Some(format!(
            "no index leads with {name:?}: each of the {chunks} chunks reads the whole table, {} MiB",
            task.relation.size.bytes >> 20
        ));
    }
    let scattered = known.stats.correlation.filter(|found| found.abs() < 0.5)?;
    Some(format!(
        "the rows of an interval of {name:?} lie scattered (correlation {scattered:.2}): pages are \
         read more than once"
    ))
}

#[cfg(test)]
#[path = "time/tests.rs"]
mod tests;
