//! Ranges partition a relation whatever the statistics claim; good statistics make them even.

use proptest::prelude::*;

use super::*;

fn stats(least: i64, largest: i64) -> KeyStats {
    KeyStats {
        bounds: Some((least, largest)),
        ..KeyStats::default()
    }
}

fn split_key(stats: &KeyStats, size: Size, limits: Limits) -> Result<Vec<Range>> {
    let wanted = chunks_wanted(size, limits)?;
    Ok(key_ranges(&integer_bounds(stats, wanted), false))
}

fn rows(rows: u64) -> Size {
    Size { rows, bytes: 0 }
}

const LIMITS: Limits = Limits {
    chunk_rows: 10,
    chunk_bytes: 1000,
};

fn int(bound: &Option<Bound>) -> Option<i64> {
    bound.as_ref().map(|bound| bound.0[0].parse().unwrap())
}

fn contains(range: &Range, key: Option<i64>) -> bool {
    match (range, key) {
        (Range::Whole, _) => true,
        (Range::NullKey, key) => key.is_none(),
        (Range::Key { lower, upper }, Some(key)) => {
            int(lower).is_none_or(|lower| lower <= key)
                && int(upper).is_none_or(|upper| key < upper)
        }
        _ => false,
    }
}

fn winners(ranges: &[Range], key: Option<i64>) -> usize {
    ranges.iter().filter(|range| contains(range, key)).count()
}

#[test]
fn without_a_histogram_the_span_is_cut_evenly_even_over_all_of_int8() {
    let ranges = split_key(&stats(i64::MIN, i64::MAX), rows(40), LIMITS).unwrap();
    let uppers: Vec<Option<i64>> = ranges
        .iter()
        .map(|range| match range {
            Range::Key { upper, .. } => int(upper),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(uppers, [Some(i64::MIN / 2), Some(0), Some(1 << 62), None]);
}

#[test]
fn a_small_table_or_a_single_key_is_one_whole_chunk() {
    assert_eq!(
        split_key(&stats(0, 99), rows(10), LIMITS).unwrap(),
        [Range::Whole]
    );
    assert_eq!(
        split_key(&stats(7, 7), rows(1000), LIMITS).unwrap(),
        [Range::Whole]
    );
    assert_eq!(split_ctid(0, rows(0), LIMITS).unwrap(), [Range::Whole]);
    assert_eq!(split_ctid(1, rows(1000), LIMITS).unwrap(), [Range::Whole]);
}

#[test]
fn null_keys_get_a_chunk_of_their_own_at_the_end() {
    let ranges = key_ranges(&integer_bounds(&stats(0, 99), 2), true);
    assert_eq!(ranges.len(), 3);
    assert!(matches!(ranges[2], Range::NullKey));
    assert_eq!(winners(&ranges, None), 1);
}

#[test]
fn a_histogram_evens_out_gaps_and_skew() {
    // Half of the keys lie in 0..100, half in a far cluster.
    let mut histogram: Vec<i64> = (0..=50).map(|i| i * 2).collect();
    histogram.extend((1..=50).map(|i| 1_000_000_000 + i * 2));
    let stats = KeyStats {
        histogram,
        ..stats(0, 1_000_000_100)
    };
    let ranges = split_key(&stats, rows(100), LIMITS).unwrap();
    let in_first = ranges
        .iter()
        .filter(|range| matches!(range, Range::Key { upper, .. } if int(upper).is_some_and(|upper| upper <= 101)))
        .count();
    assert!((4..=6).contains(&in_first), "{ranges:?}");
}

#[test]
fn a_common_key_does_not_swallow_its_neighbours() {
    let stats = KeyStats {
        common: vec![(500, 0.5)],
        histogram: (0..=100).map(|i| i * 10).collect(),
        ..stats(0, 1000)
    };
    let ranges = split_key(&stats, rows(40), LIMITS).unwrap();
    assert!(
        ranges
            .iter()
            .any(|range| matches!(range, Range::Key { lower, .. } if int(lower) == Some(501))),
        "{ranges:?}"
    );
}

#[test]
fn keys_that_came_after_the_statistics_are_cut_too() {
    let stats = KeyStats {
        histogram: (0..=100).collect(),
        grown: 1.0,
        ..stats(0, 200)
    };
    let ranges = split_key(&stats, rows(100), LIMITS).unwrap();
    let above =
        |range: &&Range| matches!(range, Range::Key { lower, .. } if int(lower) > Some(100));
    assert!(ranges.iter().filter(above).count() >= 4, "{ranges:?}");
}

#[test]
fn page_ranges_are_contiguous_and_the_last_is_open() {
    let size = Size {
        rows: 0,
        bytes: 10_000,
    };
    let ranges = split_ctid(95, size, LIMITS).unwrap();
    assert_eq!(ranges.len(), 10);
    let mut at = 0;
    for (index, range) in ranges.iter().enumerate() {
        let Range::Ctid { lower, upper } = range else {
            panic!("{range:?}")
        };
        assert_eq!(*lower, at);
        assert_eq!(upper.is_none(), index == 9);
        at = upper.unwrap_or(0);
    }
    assert!(split_ctid(u64::from(u32::MAX), size, LIMITS).unwrap().len() <= 11);
}

#[test]
fn a_plan_beyond_all_bounds_is_refused() {
    let size = Size {
        rows: u64::MAX,
        bytes: 0,
    };
    let error = split_key(&stats(0, 9), size, LIMITS).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(split_ctid(9, size, LIMITS).is_err());
}

#[test]
fn even_cuts_stand_next_to_a_common_value_and_never_twice_at_one() {
    // Ten values of mass 1, the fifth of mass 20.
    let below: Vec<f64> = (0..10)
        .map(|i| f64::from(i) + if i > 4 { 19.0 } else { 0.0 })
        .collect();
    assert_eq!(even_cuts(&below, 29.0, 5), [4, 5]);
    assert_eq!(even_cuts(&below, 29.0, 1), [] as [usize; 0]);
    assert_eq!(even_cuts(&[], 0.0, 5), [] as [usize; 0]);
    assert_eq!(even_cuts(&[0.0, 0.0, 0.0], 0.0, 9), [] as [usize; 0]);
    let even: Vec<f64> = (0..100).map(f64::from).collect();
    assert_eq!(even_cuts(&even, 100.0, 4), [25, 50, 75]);
    assert_eq!(even_cuts(&even, 100.0, 1000).len(), 99);
}

proptest! {
    #[test]
    fn every_key_has_exactly_one_chunk_whatever_the_statistics_claim(
        bounds in (any::<i64>(), any::<i64>()),
        histogram in prop::collection::vec(any::<i64>(), 0..20),
        common in prop::collection::vec((any::<i64>(), -1.0..2.0), 0..5),
        null_frac in -1.0..2.0,
        is_nullable in any::<bool>(),
        wanted in 1_u64..200,
        keys in prop::collection::vec(any::<i64>(), 50),
    ) {
        let stats = KeyStats {
            bounds: Some(bounds),
            histogram: histogram.clone(),
            common,
            null_frac,
            ..stats(0, 0)
        };
        let ranges = key_ranges(&integer_bounds(&stats, wanted), is_nullable);
        prop_assert!(ranges.len() as u64 <= wanted + 1);
        for key in keys.into_iter().chain(histogram).chain([bounds.0, bounds.1, i64::MIN, i64::MAX]) {
            prop_assert_eq!(winners(&ranges, Some(key)), 1);
        }
        prop_assert_eq!(winners(&ranges, None), usize::from(is_nullable || ranges.len() == 1));
        for range in &ranges {
            if let Range::Key { lower, upper } = range
                && let (Some(lower), Some(upper)) = (int(lower), int(upper))
            {
                prop_assert!(lower < upper);
            }
        }
    }
}
