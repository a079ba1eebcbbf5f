//! Numbers and text as people read them.
//!
//! Owns formats only. `plain` keeps what came from outside (names, SQL, messages) from moving
//! the cursor or colouring the terminal.

use std::time::Duration;

/// `12,345,678`
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 row`, `2 rows`: the noun gets an s.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!(
        "{} {noun}{}",
        count(number),
        if number == 1 { "" } else { "s" }
    )
}

/// `982`, `12.3k`, `4.56M`: three digits.
pub(crate) fn short_count(number: u64) -> String {
    scaled(number as f64, 1000.0, &["", "k", "M", "G", "T", "P", "E"])
}

/// `982 B`, `12.3 MiB`: three digits.
pub(crate) fn bytes(number: u64) -> String {
    let units = [" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"];
    scaled(number as f64, 1024.0, &units)
}

fn scaled(number: f64, step: f64, units: &[&str]) -> String {
    let mut number = number;
    let mut unit = 0;
    // 999.5 would be shown as 1000.
    while number >= 999.5 && unit + 1 < units.len() {
        number /= step;
        unit += 1;
    }
    let decimals = match number {
        _ if unit == 0 => 0,
        n if n < 9.995 => 2,
        n if n < 99.95 => 1,
        _ => 0,
    };
    format!("{number:.decimals$}{}", units[unit])
}

/// `0.42s`, `9.1s`, `42s`, `1m 05s`, `3h 07m`, `2d 04h`
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 0.995 {
        return format!("{seconds:.2}s");
    }
    if seconds < 9.95 {
        return format!("{seconds:.1}s");
    }
    match seconds.round() as u64 {
        s if s < 60 => format!("{s}s"),
        s if s < 3600 => format!("{}m {:02}s", s / 60, s % 60),
        s if s < 86_400 => format!("{}h {:02}m", s / 3600, s % 3600 / 60),
        s => format!("{}d {:02}h", s / 86_400, s % 86_400 / 3600),
    }
}

/// How many times smaller the Parquet is than what COPY sent, `3.4x`.
pub(crate) fn ratio(copy_bytes: u64, object_bytes: u64) -> String {
    if copy_bytes == 0 || object_bytes == 0 {
        return "-".to_owned();
    }
    format!("{:.1}x", copy_bytes as f64 / object_bytes as f64)
}

/// `number` a second; `None` when no time passed.
pub(crate) fn per_second(number: u64, wall: Duration) -> Option<u64> {
    let seconds = wall.as_secs_f64();
    (seconds > 0.0).then(|| (number as f64 / seconds).round() as u64)
}

/// Text on one line, control characters escaped.
pub(crate) fn plain(text: &str) -> String {
    if !text.contains(is_unsafe) {
        return text.to_owned();
    }
    text.chars()
        .fold(String::with_capacity(text.len()), |mut plain, c| {
            if is_unsafe(c) {
                plain.extend(c.escape_default());
            } else {
                plain.push(c);
            }
            plain
        })
}

/// Control characters, and those that reorder what stands around them.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_and_shortened() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(counted(1, "chunk"), "1 chunk");
        assert_eq!(counted(1200, "chunk"), "1,200 chunks");
        let short = [0, 999, 1000, 12_345, 999_499, 999_500, 4_560_000].map(short_count);
        assert_eq!(
            short,
            ["0", "999", "1.00k", "12.3k", "999k", "1.00M", "4.56M"]
        );
        assert_eq!(short_count(u64::MAX), "18.4E");
    }

    #[test]
    fn bytes_are_binary_with_three_digits() {
        let shown = [0, 999, 1000, 1024, 1 << 20, 300 << 20, 1023 << 20].map(bytes);
        assert_eq!(
            shown,
            [
                "0 B", "999 B", "0.98 KiB", "1.00 KiB", "1.00 MiB", "300 MiB", "1.00 GiB"
            ]
        );
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let shown = [
            0,
            420,
            999,
            1000,
            9_100,
            41_600,
            59_700,
            65_000,
            11_220_000,
            187_200_000,
        ];
        let shown = shown.map(|millis| duration(Duration::from_millis(millis)));
        let expected = [
            "0.00s", "0.42s", "1.0s", "1.0s", "9.1s", "42s", "1m 00s", "1m 05s", "3h 07m", "2d 04h",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn control_characters_cannot_reach_the_terminal() {
        assert_eq!(plain("a\x1b[31m\nb\u{202e}"), "a\\u{1b}[31m\\nb\\u{202e}");
        assert_eq!(plain("Größe 表"), "Größe 表");
    }

    #[test]
    fn ratios_and_rates_survive_zero() {
        assert_eq!(ratio(0, 5), "-");
        assert_eq!(ratio(100, 25), "4.0x");
        assert_eq!(per_second(5, Duration::ZERO), None);
        assert_eq!(per_second(10, Duration::from_secs(4)), Some(3));
    }
}
