//! How many of a relation's rows lie before a time, as its statistics tell. Pure.
//!
//! Owns estimates only: a shape decides how large a chunk is thought to be and where a large
//! interval is cut once more, never which rows a chunk has.

/// Most of the rows that are thought to lie on one side outside a histogram that was made earlier.
const STALE_SHARE: f64 = 0.2;

/// What the statistics say of a time column, in microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct TimeStats {
    /// Whether there are statistics at all.
    pub(super) is_analyzed: bool,
    /// Share of rows without a time.
    pub(super) null_share: f64,
    /// `histogram_bounds`: equally many rows lie between neighbours.
    pub(super) histogram: Vec<i64>,
    /// `most_common_vals`, with their share of the rows.
    pub(super) common: Vec<(i64, f64)>,
    /// How well times follow the order of the pages, -1 to 1.
    pub(super) correlation: Option<f64>,
}

/// The share of the rows with a time that lie before one: a line that never falls, and steps.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    /// Times, and the share of the line before each.
    line: Vec<(i64, f64)>,
    /// Common times, and the share of all of them up to and with each.
    steps: Vec<(i64, f64)>,
}

impl Shape {
    /// The shape between the least and the largest time.
    pub(super) fn new(stats: &TimeStats, least: i64, largest: i64) -> Self {
        let end = largest.saturating_add(1);
        let mut histogram: Vec<i64> = stats.histogram.clone();
        histogram.sort_unstable();
        let mut line: Vec<(i64, f64)> = match histogram.as_slice() {
            [low, .., high] if low < high => with_tails(&histogram, least, end),
            _ => vec![(least, 0.0), (end.max(least.saturating_add(1)), 1.0)],
        };
        let mut common: Vec<(i64, f64)> = stats
            .common
            .iter()
            .filter(|(_, share)| share.is_finite() && *share > 0.0)
            .copied()
            .collect();
        common.sort_by_key(|(at, _)| *at);
        let common_share: f64 = common.iter().map(|(_, share)| share).sum();
        let line_share = match stats.histogram.len() {
            0 if common_share > 0.0 => f64::MIN_POSITIVE,
            _ => (1.0 - common_share - stats.null_share).max(f64::MIN_POSITIVE),
        };
        let all = line_share + common_share;
        let drawn = line.last().map_or(1.0, |(_, share)| *share);
        for (_, share) in &mut line {
            *share *= line_share / all / drawn;
        }
        let mut before = 0.0;
        for (_, share) in &mut common {
            before += *share / all;
            *share = before;
        }
        Self {
            line,
            steps: common,
        }
    }

    /// The share of rows before a time, 0 to 1.
    pub(super) fn before(&self, at: i64) -> f64 {
        let step = self.steps.partition_point(|(common, _)| *common < at);
        let steps = step.checked_sub(1).map_or(0.0, |last| self.steps[last].1);
        (steps + interpolated(&self.line, at)).clamp(0.0, 1.0)
    }

    /// Times in `(lower, upper)` that cut a range into parts of equal rows, as far as the unit
    /// allows: each is a multiple of it.
    pub(super) fn cuts(&self, lower: i64, upper: i64, parts: u64, unit: i64) -> Vec<i64> {
        let (from, to) = (self.before(lower), self.before(upper));
        let mut cuts = Vec::new();
        let mut last = lower;
        for part in 1..parts {
            let wanted = from + (to - from) * (part as f64 / parts as f64);
            let cut = self.first_at(wanted, last, upper);
            let cut = cut.div_euclid(unit).saturating_mul(unit);
            if last < cut && cut < upper {
                cuts.push(cut);
                last = cut;
            }
        }
        cuts
    }

    /// The first time in a range before which a share of the rows lies.
    fn first_at(&self, share: f64, lower: i64, upper: i64) -> i64 {
        let (mut low, mut high) = (lower, upper);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.before(middle) < share {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }
}

/// The histogram as a line, with what may lie outside of it by now: thought as dense as inside,
/// within reason.
fn with_tails(histogram: &[i64], least: i64, end: i64) -> Vec<(i64, f64)> {
    let (low, high) = (histogram[0], histogram[histogram.len() - 1]);
    let width = high.saturating_sub(low).max(1) as f64;
    let tail = |span: i64| (span.max(0) as f64 / width).min(STALE_SHARE);
    let below = tail(low.saturating_sub(least));
    let buckets = (histogram.len() - 1) as f64;
    let mut line = vec![(least.min(low), 0.0)];
    for (index, at) in histogram.iter().enumerate() {
        let share = below + index as f64 / buckets;
        match line.last_mut() {
            Some(last) if last.0 == *at => last.1 = share,
            _ => line.push((*at, share)),
        }
    }
    let after = below + 1.0 + tail(end.saturating_sub(high));
    line.push((end.max(high.saturating_add(1)), after));
    line
}

fn interpolated(line: &[(i64, f64)], at: i64) -> f64 {
    let after = line.partition_point(|(knot, _)| *knot < at);
    match (
        after.checked_sub(1).map(|before| line[before]),
        line.get(after),
    ) {
        (None, _) => 0.0,
        (Some(from), None) => from.1,
        (Some(from), Some(to)) => {
            let span = (to.0.saturating_sub(from.0)).max(1) as f64;
            from.1 + (to.1 - from.1) * ((at.saturating_sub(from.0)) as f64 / span)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_statistics_rows_are_thought_even() {
        let shape = Shape::new(&TimeStats::default(), 0, 99);
        assert_eq!(shape.before(50), 0.5);
        assert_eq!(shape.cuts(0, 100, 4, 1), [25, 50, 75]);
        assert_eq!(shape.cuts(0, 100, 4, 20), [20, 40, 60]);
    }

    #[test]
    fn a_histogram_and_common_times_shift_the_cuts() {
        let stats = TimeStats {
            histogram: vec![0, 10, 20, 1000],
            common: vec![(500, 0.5)],
            ..TimeStats::default()
        };
        let shape = Shape::new(&stats, 0, 1000);
        let half = shape.before(500);
        assert!(half < 0.5 && shape.before(501) > 0.9, "{half}");
        assert!(shape.cuts(0, 1001, 4, 1)[0] < 500);
    }

    proptest! {
        #[test]
        fn whatever_the_statistics_claim_shares_rise_and_cuts_lie_inside(
            histogram in prop::collection::vec(any::<i64>(), 0..20),
            common in prop::collection::vec((any::<i64>(), -1.0..2.0), 0..5),
            null_share in -1.0..2.0,
            ends in (any::<i64>(), any::<i64>()),
            range in (any::<i32>(), any::<i32>()),
            parts in 1_u64..50,
            unit in 1_i64..1000,
        ) {
            let stats = TimeStats { is_analyzed: true, null_share, histogram, common, correlation: None };
            let shape = Shape::new(&stats, ends.0.min(ends.1), ends.0.max(ends.1));
            let (lower, upper) = (i64::from(range.0.min(range.1)), i64::from(range.0.max(range.1)));
            prop_assert!(shape.before(lower) <= shape.before(upper));
            let cuts = shape.cuts(lower, upper, parts, unit);
            prop_assert!((cuts.len() as u64) < parts);
            for pair in cuts.windows(2) {
                prop_assert!(pair[0] < pair[1]);
            }
            for cut in cuts {
                prop_assert!(lower < cut && cut < upper && cut % unit == 0);
            }
        }
    }
}
