//! Shows a run while it works: a live block on a terminal, log lines elsewhere.
//!
//! Owns the clock and the polling of the library's counters. What a line says is decided in
//! `view`, which is pure; where it is drawn, in `screen`.

mod meter;
mod view;

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgsluice::{Cancel, Progress};
use tokio::task::JoinHandle;

use self::meter::Meter;
use self::view::View;
use super::resolve::{Display, When};
use super::screen::Screen;

const REDRAW: Duration = Duration::from_millis(125);
/// How often a log line may say that something moved.
pub(super) const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The running display. Dropped, it takes the live block off the screen.
pub(crate) struct Show {
    task: Option<JoinHandle<()>>,
    screen: Screen,
}

impl Drop for Show {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        self.screen.clear();
    }
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Hidden,
    Live,
    Log,
}

impl Way {
    /// Live where it can be drawn and nothing else is asked for.
    pub(super) fn of(display: &Display) -> Self {
        let plain = display.verbosity >= 0 && !display.json_log;
        match display.progress {
            When::Never => Self::Hidden,
            asked if Screen::can_draw() && (plain || asked == When::Always) => Self::Live,
            _ => Self::Log,
        }
    }
}

impl Show {
    /// Shows nothing.
    pub(super) fn hidden(screen: &Screen) -> Self {
        let screen = screen.clone();
        Self { task: None, screen }
    }

    /// Draws the lines that fit a height and a width, again and again.
    pub(super) fn live(
        screen: &Screen,
        mut lines: impl FnMut(usize, usize) -> Vec<String> + Send + 'static,
    ) -> Self {
        let drawn = screen.clone();
        Self::running(screen, async move {
            let mut ticks = tokio::time::interval(REDRAW);
            loop {
                ticks.tick().await;
                let (height, width) = Screen::size();
                drawn.draw(&lines(height, width));
            }
        })
    }

    /// Lets a task show it.
    pub(super) fn running(
        screen: &Screen,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self {
            task: Some(tokio::spawn(task)),
            screen: screen.clone(),
        }
    }
}

/// Begins to show a run.
pub(crate) fn show(
    progress: Arc<Progress>,
    cancel: Cancel,
    display: Display,
    screen: &Screen,
) -> Show {
    let mut watched = Watched {
        progress,
        cancel,
        start: Instant::now(),
        total: Meter::default(),
        tables: Vec::new(),
    };
    match Way::of(&display) {
        Way::Hidden => Show::hidden(screen),
        Way::Live => Show::live(screen, move |height, width| {
            watched.look().lines(width, height)
        }),
        Way::Log => Show::running(screen, async move {
            log(&mut watched, display.json_log).await;
        }),
    }
}

/// One line every ten seconds, if something moved; as JSON with the counters beside it.
async fn log(watched: &mut Watched, json: bool) {
    let mut ticks = tokio::time::interval(LOG_INTERVAL);
    let mut before = None;
    loop {
        ticks.tick().await;
        let view = watched.look();
        let sums = view.sums();
        let waits = view.waits_for.is_some();
        let moved = (sums.rows, sums.copy_bytes, sums.chunks_done);
        let now = (view.phase, waits, moved);
        let moved = before.replace(now).is_some_and(|before| before != now);
        if !moved {
            continue;
        }
        let said = view.headline(None);
        if !json {
            tracing::info!("{said}");
            continue;
        }
        tracing::info!(
            chunks_done = sums.chunks_done,
            chunks_skipped = sums.chunks_skipped,
            chunks_total = sums.chunks_total,
            rows = sums.rows,
            copy_bytes = sums.copy_bytes,
            object_bytes = sums.object_bytes,
            retries = sums.retries,
            waited_seconds = watched.progress.waited().as_secs_f64(),
            "{said}"
        );
    }
}

/// A run's counters, and how fast they move.
struct Watched {
    progress: Arc<Progress>,
    cancel: Cancel,
    start: Instant,
    total: Meter,
    tables: Vec<Meter>,
}

impl Watched {
    fn look(&mut self) -> View {
        let elapsed = self.start.elapsed();
        let tables = self.progress.tables();
        self.tables.resize_with(tables.len(), Meter::default);
        for (meter, table) in self.tables.iter_mut().zip(&tables) {
            meter.record(elapsed, table.rows, table.copy_bytes);
        }
        let rows = tables.iter().map(|table| table.rows).sum();
        self.total.record(
            elapsed,
            rows,
            tables.iter().map(|table| table.copy_bytes).sum(),
        );
        View {
            phase: self.progress.phase(),
            stopping: self.cancel.is_cancelled(),
            elapsed,
            total_rate: self.total.rate(),
            rates: self.tables.iter().map(Meter::rate).collect(),
            tables,
            waits_for: self.progress.waits_for(),
        }
    }
}
