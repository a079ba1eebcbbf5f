//! A verification while it runs: one live line on a terminal, log lines elsewhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgsluice::{VerifyCounts, VerifyProgress};

use crate::cli::human::{bytes, counted, duration};
use crate::cli::progress::{LOG_INTERVAL, Show, Way};
use crate::cli::resolve::Display;
use crate::cli::screen::Screen;

/// Cells of the bar.
const BAR: u64 = 20;

/// Begins to show a verification.
pub(super) fn show(progress: Arc<VerifyProgress>, display: &Display, screen: &Screen) -> Show {
    let start = Instant::now();
    match Way::of(display) {
        Way::Hidden => Show::hidden(screen),
        Way::Live => Show::live(screen, move |_, width| {
            let line = line(&progress.read(), start.elapsed(), true);
            let width = width.saturating_sub(1).max(1);
            vec![console::truncate_str(&line, width, "…").into_owned()]
        }),
        Way::Log => Show::running(screen, log(progress, start)),
    }
}

/// One line every ten seconds, if something moved.
async fn log(progress: Arc<VerifyProgress>, start: Instant) {
    let mut ticks = tokio::time::interval(LOG_INTERVAL);
    let mut before = None;
    loop {
        ticks.tick().await;
        let now = progress.read();
        if before.replace(now).is_some_and(|before| before != now) {
            tracing::info!(
                bytes_done = now.bytes_done,
                bytes_total = now.bytes_total,
                chunks_done = now.chunks_done,
                chunks_total = now.chunks_total,
                findings = now.findings,
                "{}",
                line(&now, start.elapsed(), false)
            );
        }
    }
}

/// Where a verification stands. Totals are those of the datasets opened so far, so no time that
/// is left is told before the last one.
fn line(now: &VerifyCounts, elapsed: Duration, with_bar: bool) -> String {
    let mut parts = vec!["verifying".to_owned()];
    if now.bytes_total > 0 {
        let done = now.bytes_done.min(now.bytes_total);
        let bar = done.saturating_mul(BAR) / now.bytes_total;
        if with_bar {
            let (full, empty) = (bar as usize, (BAR - bar) as usize);
            parts.push(format!("[{}{}]", "=".repeat(full), " ".repeat(empty)));
        }
        let percent = u128::from(done) * 100 / u128::from(now.bytes_total);
        parts.push(format!("{percent}%"));
        parts.push(format!("{} of {}", bytes(done), bytes(now.bytes_total)));
    }
    let chunks = counted(now.chunks_total, "chunk");
    parts.push(format!("{}/{chunks}", now.chunks_done));
    if now.datasets_total > 1 {
        let datasets = counted(now.datasets_total, "dataset");
        parts.push(format!("{}/{datasets}", now.datasets_done));
    }
    if now.source_total > 0 {
        let asked = counted(now.source_total, "comparison");
        parts.push(format!("{}/{asked} with the source", now.source_done));
    }
    if now.findings > 0 {
        parts.push(counted(now.findings, "finding"));
    }
    parts.push(duration(elapsed));
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_never_passes_the_whole() {
        let progress = VerifyProgress::new();
        let nothing = line(&progress.read(), Duration::from_secs(1), true);
        assert_eq!(nothing, "verifying 0/0 chunks 1.0s");
        let mut counts = progress.read();
        counts.bytes_total = 3 << 20;
        counts.bytes_done = 4 << 20;
        counts.chunks_total = 2;
        counts.findings = 1;
        let said = line(&counts, Duration::from_secs(61), true);
        let bar = "=".repeat(20);
        assert_eq!(
            said,
            format!("verifying [{bar}] 100% 3.00 MiB of 3.00 MiB 0/2 chunks 1 finding 1m 01s")
        );
    }
}
