//! Time chunks of an incremental run: those outside of its window become one at each end.
//!
//! Pure. Ranges still cover all times, and each row inside the window keeps its own interval, and
//! with it its folder.

use crate::chunk::{Chunk, ChunkId, ChunkMethod, Plan, Range};

/// Room at the window's ends for what is lost when the server counts seconds as a double.
const MARGIN_MICROS: i64 = 1_000;

/// Trims the relations that are cut by the growing column's own time. `window` holds its bounds in
/// microseconds since 1970.
pub(super) fn trim_times(plan: Plan, column: &str, window: (i64, i64)) -> Plan {
    let mut trimmed = Plan {
        relations: plan.relations,
        chunks: Vec::new(),
    };
    for chunks in plan.chunks.chunk_by(|a, b| a.relation == b.relation) {
        let relation = trimmed.relations.get(chunks[0].relation as usize);
        let is_by_it = relation.is_some_and(|relation| {
            let key = relation.key.as_ref().and_then(|key| key.single());
            relation.method == ChunkMethod::Time && key == Some(column)
        });
        let kept = match is_by_it {
            true => trim(chunks, window),
            false => chunks.to_vec(),
        };
        trimmed.chunks.extend(kept);
    }
    for (id, chunk) in (0..).zip(&mut trimmed.chunks) {
        chunk.id = ChunkId(id);
    }
    trimmed
}

/// The bounds of an interval; `None` for any other range.
fn times(chunk: &Chunk) -> Option<(Option<i64>, Option<i64>)> {
    match chunk.range {
        Range::Time { lower, upper } => Some((lower, upper)),
        _ => None,
    }
}

fn trim(chunks: &[Chunk], (lower, upper): (i64, i64)) -> Vec<Chunk> {
    let (lower, upper) = (
        lower.saturating_sub(MARGIN_MICROS),
        upper.saturating_add(MARGIN_MICROS),
    );
    let bounds = || chunks.iter().filter_map(|chunk| times(chunk)?.0);
    let first = bounds().filter(|bound| *bound <= lower).max();
    let last = bounds().filter(|bound| *bound > upper).min();
    let kept = chunks.iter().filter_map(|chunk| {
        let mut chunk = chunk.clone();
        match times(&chunk) {
            Some((None, end)) => {
                chunk.range = Range::Time {
                    lower: None,
                    upper: first.or(end),
                };
            }
            Some((begin, None)) => {
                chunk.range = Range::Time {
                    lower: last.or(begin),
                    upper: None,
                };
            }
            Some((Some(begin), Some(end))) => {
                let is_before = first.is_some_and(|first| end <= first);
                let is_behind = last.is_some_and(|last| begin >= last);
                if is_before || is_behind {
                    return None;
                }
            }
            None => {}
        }
        Some(chunk)
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;

    fn days(count: i64) -> Vec<Chunk> {
        let lowers = std::iter::once(None).chain((0..count).map(|day| Some(day * DAY)));
        let uppers = (0..count).map(|day| Some(day * DAY));
        let ranges = lowers.zip(uppers.chain(std::iter::once(None)));
        let ranges = ranges.map(|(lower, upper)| Range::Time { lower, upper });
        let chunks = (0..).zip(ranges.chain([Range::NullKey]));
        chunks
            .map(|(id, range)| Chunk {
                id: ChunkId(id),
                relation: 0,
                range,
                folder: None,
                estimated_rows: 1,
                estimated_bytes: 1,
            })
            .collect()
    }

    fn shown(chunks: &[Chunk]) -> Vec<(Option<i64>, Option<i64>)> {
        let day = |bound: Option<i64>| bound.map(|bound| bound / DAY);
        let times = chunks.iter().filter_map(times);
        times.map(|(a, b)| (day(a), day(b))).collect()
    }

    #[test]
    fn intervals_outside_of_the_window_become_one_at_each_end() {
        let kept = trim(&days(10), (3 * DAY + 5_000, 5 * DAY));
        let expected = [
            (None, Some(3)),
            (Some(3), Some(4)),
            (Some(4), Some(5)),
            (Some(5), Some(6)),
            (Some(6), None),
        ];
        assert_eq!(shown(&kept), expected);
        assert_eq!(kept.last().unwrap().range, Range::NullKey);
    }

    #[test]
    fn a_window_over_everything_keeps_everything() {
        let all = days(4);
        assert_eq!(trim(&all, (i64::MIN, i64::MAX)), all);
        assert_eq!(
            shown(&trim(&all, (9 * DAY, 9 * DAY))),
            [(None, Some(3)), (Some(3), None)]
        );
    }
}
