//! Boundaries without a server: what is trimmed, and steps of elapsed time.

use super::*;

fn bounds_at(seconds: &[i64]) -> Vec<Boundary> {
    let bound = |at: &i64| Boundary {
        at: *at,
        bucket: *at,
    };
    seconds.iter().map(bound).collect()
}

#[test]
fn boundaries_around_the_times_stay() {
    for (first, last, kept) in [
        (10, 29, &[10, 20, 30][..]),
        (10, 30, &[10, 20, 30, 40]),
        (19, 19, &[10, 20]),
        (0, 100, &[10, 20, 30, 40]),
    ] {
        let mut bounds = bounds_at(&[10, 20, 30, 40]);
        trim(&mut bounds, first, last);
        assert_eq!(bounds, bounds_at(kept), "{first} {last}");
    }
}

#[test]
fn elapsed_steps_begin_at_the_first_midnight_and_end_above_the_last_time() {
    let at = |micros, last| -> Vec<i64> {
        let bounds = elapsed_bounds(&bounds_at(&[0, DAY]), micros, last);
        bounds.iter().map(|bound| bound.at).collect()
    };
    assert_eq!(at(21_600_000_000, 50_000), [0, 21_600, 43_200, 64_800]);
    assert_eq!(at(3_600_000_000, 3_600), [0, 3_600, 7_200]);
}
