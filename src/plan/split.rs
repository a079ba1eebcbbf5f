//! Cutting a relation into ranges. Pure arithmetic over statistics: no server, no async.
//!
//! Whatever the statistics claim, the ranges partition the relation: bounds strictly increase,
//! the first and the last range are open, NULL keys have a range of their own. Statistics only
//! decide how even the chunks are.

use crate::chunk::{Bound, Range};
use crate::error::{Error, ErrorKind, Result};

/// Most chunks of one table: the plan is kept in memory and in the manifest.
pub(crate) const MAX_CHUNKS: u64 = 1_000_000;

/// Least share of rows that may lie on one side outside a histogram that was made earlier.
const STALE_SHARE: f64 = 0.2;

/// What a chunk may hold, by the statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Rows, at least 1.
    pub(crate) chunk_rows: u64,
    /// Bytes of heap and TOAST, at least 1.
    pub(crate) chunk_bytes: u64,
}

/// How large a relation is thought to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Rows; a guess.
    pub(crate) rows: u64,
    /// Bytes of heap and TOAST.
    pub(crate) bytes: u64,
}

/// What is known of the distribution of an integer key. All of it may be out of date.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct KeyStats {
    /// The least and the largest key, where an index or the statistics tell.
    pub(crate) bounds: Option<(i64, i64)>,
    /// Share of rows whose key is NULL.
    pub(crate) null_frac: f64,
    /// `histogram_bounds`: equally many rows lie between neighbours, `common` left out.
    pub(crate) histogram: Vec<i64>,
    /// `most_common_vals` with their share of the rows.
    pub(crate) common: Vec<(i64, f64)>,
    /// Rows thought to have come since the statistics, as a share of those counted then.
    pub(crate) grown: f64,
}

/// How many chunks keep each within the limits.
///
/// # Errors
///
/// [`ErrorKind::Config`] above [`MAX_CHUNKS`].
pub(crate) fn chunks_wanted(size: Size, limits: Limits) -> Result<u64> {
    let by_rows = size.rows.div_ceil(limits.chunk_rows.max(1));
    let by_bytes = size.bytes.div_ceil(limits.chunk_bytes.max(1));
    let wanted = by_rows.max(by_bytes).max(1);
    if wanted <= MAX_CHUNKS {
        return Ok(wanted);
    }
    Err(too_many(wanted))
}

/// The error for a plan above [`MAX_CHUNKS`].
pub(crate) fn too_many(wanted: u64) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("the limits ask for {wanted} chunks; at most {MAX_CHUNKS} are kept"),
    )
    .with_advice("raise --chunk-rows and --chunk-bytes")
}

/// Bounds of an integer key that make about `wanted` chunks of it; fewer where there are not as
/// many keys. Strictly increasing.
pub(crate) fn integer_bounds(stats: &KeyStats, wanted: u64) -> Vec<Bound> {
    let cuts = match stats.bounds {
        Some((least, largest)) if least < largest => key_cuts(stats, least, largest, wanted),
        _ => Vec::new(),
    };
    let text = cuts.iter().map(|cut| Bound::one(cut.to_string()));
    text.collect()
}

/// Key ranges between strictly increasing bounds, and one for keys that are NULL where there can
/// be any. Without bounds: [`Range::Whole`].
pub(crate) fn key_ranges(bounds: &[Bound], is_nullable: bool) -> Vec<Range> {
    if bounds.is_empty() {
        return vec![Range::Whole];
    }
    let lowers = std::iter::once(None).chain(bounds.iter().cloned().map(Some));
    let uppers = bounds.iter().cloned().map(Some).chain([None]);
    let keys = lowers
        .zip(uppers)
        .map(|(lower, upper)| Range::Key { lower, upper });
    let nulls = is_nullable.then_some(Range::NullKey);
    keys.chain(nulls).collect()
}

/// Which of the values, in their order, make `wanted` chunks of about equal mass: indexes from 1
/// on, increasing. `below[i]` is the mass below the `i`th value, and never falls.
pub(crate) fn even_cuts(below: &[f64], total: f64, wanted: u64) -> Vec<usize> {
    let mut cuts: Vec<usize> = Vec::new();
    for index in 1..wanted {
        let target = total * (index as f64 / wanted as f64);
        let after = below.partition_point(|mass| *mass < target);
        // The nearer one of the two values around the target.
        let is_before = match (after.checked_sub(1), below.get(after)) {
            (Some(before), Some(mass)) => target - below[before] < mass - target,
            _ => after == below.len(),
        };
        let cut = after - usize::from(is_before && after > 0);
        if cut > 0 && cut < below.len() && cuts.last().is_none_or(|last| *last < cut) {
            cuts.push(cut);
        }
    }
    cuts
}

/// Heap page ranges; the last is open, for pages that the table grew. One chunk is
/// [`Range::Whole`].
///
/// # Errors
///
/// [`ErrorKind::Config`] above [`MAX_CHUNKS`].
pub(crate) fn split_ctid(heap_pages: u64, size: Size, limits: Limits) -> Result<Vec<Range>> {
    let wanted = chunks_wanted(size, limits)?;
    // A heap has at most 2^32 - 1 pages (block.h, MaxBlockNumber).
    let pages = u32::try_from(heap_pages).unwrap_or(u32::MAX);
    let step = u64::from(pages).div_ceil(wanted).max(1);
    let mut ranges = Vec::new();
    let mut lower = 0_u32;
    loop {
        let next = u32::try_from(u64::from(lower) + step)
            .ok()
            .filter(|next| *next < pages);
        ranges.push(Range::Ctid { lower, upper: next });
        match next {
            Some(next) => lower = next,
            None => break,
        }
    }
    Ok(if ranges.len() == 1 {
        vec![Range::Whole]
    } else {
        ranges
    })
}

/// Strictly increasing cuts in `(least, largest]`, at most `wanted - 1`, of equal mass between.
fn key_cuts(stats: &KeyStats, least: i64, largest: i64, wanted: u64) -> Vec<i64> {
    let shape = Distribution::new(stats, least, largest);
    let (first, last) = (&shape.knots[0], &shape.knots[shape.knots.len() - 1]);
    let total = last.1 - first.1;
    let mut cuts: Vec<i64> = Vec::new();
    let mut at = 0;
    for index in 1..wanted {
        let target = first.1 + total * (index as f64 / wanted as f64);
        while at + 2 < shape.knots.len() && shape.knots[at + 1].1 < target {
            at += 1;
        }
        let cut = interpolate(shape.knots[at], shape.knots[at + 1], target);
        // Inside the bounds it fits an i64; equal cuts collapse.
        let cut = cut.clamp(i128::from(least) + 1, i128::from(largest)) as i64;
        if cuts.last().is_none_or(|before| *before < cut) {
            cuts.push(cut);
        }
    }
    cuts
}

/// The key at which the mass `target` is reached, between two knots.
fn interpolate(from: (i128, f64), to: (i128, f64), target: f64) -> i128 {
    let mass = to.1 - from.1;
    if mass <= 0.0 {
        return to.0;
    }
    let share = ((target - from.1) / mass).clamp(0.0, 1.0);
    // A span can be 2^64: i128 and f64 both hold it, and a cut need not be exact.
    from.0 + ((to.0 - from.0) as f64 * share).ceil() as i128
}

/// The share of keys below a value, as knots of a line that never falls.
struct Distribution {
    knots: Vec<(i128, f64)>,
}

impl Distribution {
    fn new(stats: &KeyStats, least: i64, largest: i64) -> Self {
        let (first, end) = (i128::from(least), i128::from(largest) + 1);
        let inside = |value: &i128| (first..end).contains(value);
        let mut histogram: Vec<i128> = stats.histogram.iter().map(|v| i128::from(*v)).collect();
        histogram.retain(inside);
        histogram.sort_unstable();
        let mut common: Vec<(i128, f64)> = stats
            .common
            .iter()
            .map(|(value, share)| (i128::from(*value), *share))
            .collect();
        common.retain(|(value, share)| inside(value) && share.is_finite() && *share > 0.0);
        common.sort_by_key(|(value, _)| *value);
        let lines = Self::lines(stats, &histogram, &common, first, end);
        let mut values: Vec<i128> = lines.iter().map(|(value, _)| *value).collect();
        values.extend(common.iter().flat_map(|(value, _)| [*value, *value + 1]));
        values.sort_unstable();
        values.dedup();
        let mut below = 0.0;
        let mut next_common = common.iter().peekable();
        let knots = values.iter().map(|value| {
            while let Some((_, share)) = next_common.next_if(|(common, _)| common < value) {
                below += share;
            }
            (*value, below + mass_below(&lines, *value))
        });
        Self {
            knots: knots.collect(),
        }
    }

    /// The continuous part: histogram buckets, and what may lie outside them by now.
    fn lines(
        stats: &KeyStats,
        histogram: &[i128],
        common: &[(i128, f64)],
        first: i128,
        end: i128,
    ) -> Vec<(i128, f64)> {
        let share: f64 = common.iter().map(|(_, share)| share).sum();
        let rest = (1.0 - share - stats.null_frac.clamp(0.0, 1.0)).max(0.0);
        let [low, .., high] = histogram else {
            return vec![(first, 0.0), (end, rest.max(f64::MIN_POSITIVE))];
        };
        // Outside the histogram keys are thought as dense as inside, within reason.
        let width = (high - low).max(1) as f64;
        let most = stats.grown.max(STALE_SHARE);
        let outside = |span: i128| (rest * span as f64 / width).min(most);
        let below = outside(low - first);
        let mut lines = vec![(first, 0.0)];
        let buckets = (histogram.len() - 1) as f64;
        for (index, value) in histogram.iter().enumerate() {
            let mass = below + rest * index as f64 / buckets;
            match lines.last_mut() {
                Some(last) if last.0 == *value => last.1 = mass,
                _ => lines.push((*value, mass)),
            }
        }
        lines.push((end, below + rest + outside(end - high)));
        lines
    }
}

/// The mass of a line's knots below a value.
fn mass_below(lines: &[(i128, f64)], value: i128) -> f64 {
    let after = lines.partition_point(|(knot, _)| *knot < value);
    match (after.checked_sub(1).map(|at| lines[at]), lines.get(after)) {
        (Some(from), Some(to)) => {
            let share = (value - from.0) as f64 / ((to.0 - from.0) as f64).max(1.0);
            from.1 + (to.1 - from.1) * share
        }
        (None, _) => 0.0,
        (Some(from), None) => from.1,
    }
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
