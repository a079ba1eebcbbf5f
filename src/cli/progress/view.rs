//! One look at a run, as lines of text. Pure.
//!
//! Owns what is said, how it fits the terminal, and which tables are left out when there are more
//! than lines.

use std::time::Duration;

use console::measure_text_width;
use pgsluice::{Phase, TableProgress};

use super::meter::Rate;
use crate::cli::grid::Grid;
use crate::cli::human::{bytes, counted, duration, plain, short_count};

const BAR: usize = 20;
/// Lines a block has at most, however tall the terminal is.
const MAX_TABLES: usize = 24;

/// One look at a run.
#[derive(Debug)]
pub(super) struct View {
    pub(super) phase: Phase,
    /// Whether it was asked to stop.
    pub(super) stopping: bool,
    pub(super) elapsed: Duration,
    pub(super) total_rate: Rate,
    pub(super) tables: Vec<TableProgress>,
    /// As many as there are tables.
    pub(super) rates: Vec<Rate>,
    /// Why nothing is read right now.
    pub(super) waits_for: Option<String>,
}

/// Where a table stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stand {
    Active,
    Waiting,
    Done,
}

impl View {
    /// The block: one line for the run, then one a table.
    pub(super) fn lines(&self, width: usize, height: usize) -> Vec<String> {
        // The last cell of a line makes some terminals wrap.
        let width = width.saturating_sub(1).max(1);
        let head = console::truncate_str(&self.headline(Some(width)), width, "…").into_owned();
        // A line each for the headline, the summary and the cursor, and one for the log above.
        let room = height.saturating_sub(4).clamp(1, MAX_TABLES);
        let (shown, hidden) = self.visible(room);
        let mut lines = vec![head];
        lines.extend(self.grid(&shown).lines(Some(width)));
        if !hidden.is_empty() {
            lines.push(console::truncate_str(&self.summary(&hidden), width, "…").into_owned());
        }
        lines
    }

    /// One line that says where the run stands; in a narrow one the least is left out first.
    pub(super) fn headline(&self, width: Option<usize>) -> String {
        let mut parts = self.said();
        let joined = |parts: &[(u8, String)]| {
            let texts: Vec<&str> = parts.iter().map(|(_, text)| text.as_str()).collect();
            texts.join(", ")
        };
        while width.is_some_and(|width| measure_text_width(&joined(&parts)) > width) {
            let least = parts.iter().map(|(drop, _)| *drop).max().unwrap_or(0);
            if least == 0 {
                break;
            }
            parts.retain(|(drop, _)| *drop < least);
        }
        joined(&parts)
    }

    /// What the headline can say: 0 always stays, a higher number is left out before a lower one.
    fn said(&self) -> Vec<(u8, String)> {
        let mut parts = vec![(0, self.doing().to_owned())];
        if let Some(waits_for) = self.waits_for.as_ref().filter(|_| !self.stopping) {
            parts.push((1, plain(waits_for)));
        }
        let sums = self.sums();
        if sums.chunks_total > 0 {
            let done = sums.chunks_done + sums.chunks_skipped;
            parts.extend(fraction(&sums).map(|fraction| (0, percent(fraction))));
            parts.push((3, format!("{done}/{}", counted(sums.chunks_total, "chunk"))));
            parts.push((2, format!("{} rows", short_count(sums.rows))));
            parts.push((6, format!("{} read", bytes(sums.copy_bytes))));
            parts.push((7, format!("{} written", bytes(sums.object_bytes))));
            if self.total_rate.rows > 0.0 {
                let rate = self.total_rate;
                parts.push((4, format!("{} rows/s", short_count(rate.rows as u64))));
                parts.push((5, format!("{}/s", bytes(rate.bytes as u64))));
            }
            if sums.retries > 0 {
                parts.push((8, format!("{} retried", sums.retries)));
            }
        }
        parts.push((1, duration(self.elapsed)));
        let left = time_left(&sums, self.total_rate);
        parts.extend(left.map(|left| (1, format!("{} left", duration(left)))));
        parts
    }

    /// All tables as one.
    pub(super) fn sums(&self) -> TableProgress {
        let nothing = TableProgress {
            name: String::new(),
            rows_estimated: 0,
            chunks_total: 0,
            chunks_skipped: 0,
            chunks_done: 0,
            rows: 0,
            copy_bytes: 0,
            object_bytes: 0,
            retries: 0,
        };
        self.tables
            .iter()
            .fold(nothing, |sum, table| TableProgress {
                name: sum.name,
                // A table that outgrew its estimate, or is done, counts as what it held.
                rows_estimated: sum.rows_estimated
                    + match stand(table) {
                        Stand::Done => table.rows,
                        _ => table.rows_estimated.max(table.rows),
                    },
                chunks_total: sum.chunks_total + table.chunks_total,
                chunks_skipped: sum.chunks_skipped + table.chunks_skipped,
                chunks_done: sum.chunks_done + table.chunks_done,
                rows: sum.rows + table.rows,
                copy_bytes: sum.copy_bytes + table.copy_bytes,
                object_bytes: sum.object_bytes + table.object_bytes,
                retries: sum.retries + table.retries,
            })
    }

    fn doing(&self) -> &'static str {
        match self.phase {
            Phase::Done => "done",
            _ if self.stopping => "stopping",
            _ if self.waits_for.is_some() => "waiting",
            Phase::Preparing => "taking the snapshot",
            Phase::Planning => "planning",
            Phase::Exporting => "exporting",
            Phase::Finishing => "finishing",
        }
    }

    /// The tables that get a line, in the order of the run, and those that do not.
    fn visible(&self, room: usize) -> (Vec<usize>, Vec<usize>) {
        let mut order: Vec<usize> = (0..self.tables.len()).collect();
        if order.len() <= room {
            return (order, Vec::new());
        }
        order.sort_by_key(|at| (stand(&self.tables[*at]), *at));
        let hidden = order.split_off(room);
        order.sort_unstable();
        (order, hidden)
    }

    fn grid(&self, shown: &[usize]) -> Grid {
        let mut grid = Grid::default()
            .left("", 0)
            .left("", 3)
            .right("", 0)
            .right("", 1)
            .right("", 4)
            .right("", 5)
            .right("", 2)
            .right("", 6)
            .right("", 2);
        for at in shown {
            let (table, rate) = (&self.tables[*at], self.rates[*at]);
            let waiting = stand(table) == Stand::Waiting;
            let moving = stand(table) == Stand::Active && rate.rows > 0.0;
            let fraction = fraction(table);
            let of = if table.rows_estimated > table.rows && stand(table) != Stand::Done {
                format!("/~{}", short_count(table.rows_estimated))
            } else {
                String::new()
            };
            grid.row([
                plain(&table.name),
                bar(fraction.unwrap_or(0.0)),
                if waiting {
                    "waiting".to_owned()
                } else {
                    fraction.map(percent).unwrap_or_default()
                },
                format!("{}{of} rows", short_count(table.rows)),
                format!("{} read", bytes(table.copy_bytes)),
                format!("{} written", bytes(table.object_bytes)),
                format!(
                    "{}/{} chunks",
                    table.chunks_done + table.chunks_skipped,
                    table.chunks_total
                ),
                if moving {
                    format!("{} rows/s", short_count(rate.rows as u64))
                } else {
                    String::new()
                },
                match time_left(table, rate) {
                    Some(left) if moving => format!("{} left", duration(left)),
                    _ => String::new(),
                },
            ]);
        }
        grid
    }

    fn summary(&self, hidden: &[usize]) -> String {
        let count = |wanted| {
            hidden
                .iter()
                .filter(|at| stand(&self.tables[**at]) == wanted)
                .count()
        };
        let parts = [
            (Stand::Active, "active"),
            (Stand::Waiting, "waiting"),
            (Stand::Done, "done"),
        ];
        let parts = parts.map(|(stand, word)| (count(stand), word));
        let said: Vec<String> = parts
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, word)| format!("{n} {word}"))
            .collect();
        format!(
            "… and {}: {}",
            counted(hidden.len() as u64, "more table"),
            said.join(", ")
        )
    }
}

fn stand(table: &TableProgress) -> Stand {
    let ended = table.chunks_done + table.chunks_skipped >= table.chunks_total;
    match table {
        table if table.chunks_total > 0 && ended => Stand::Done,
        table if table.rows > 0 || table.chunks_done > 0 => Stand::Active,
        _ => Stand::Waiting,
    }
}

/// How much of what this run has to do is done: by rows while they stay under the estimate, else
/// by chunks. `None` when neither says anything. Only the last commit makes it whole.
fn fraction(table: &TableProgress) -> Option<f64> {
    let todo = table.chunks_total.saturating_sub(table.chunks_skipped);
    if table.chunks_total == 0 {
        return None;
    }
    if table.chunks_done >= todo {
        return Some(1.0);
    }
    let by_chunks = (table.chunks_done > 0).then(|| table.chunks_done as f64 / todo as f64);
    let estimate_holds = table.rows_estimated > table.rows;
    let by_rows = estimate_holds.then(|| table.rows as f64 / table.rows_estimated as f64);
    by_rows.or(by_chunks).map(|done| done.min(0.99))
}

fn percent(fraction: f64) -> String {
    format!("{:.0}%", (fraction * 100.0).floor())
}

/// What the rest would take at the present rate, while the estimate holds.
fn time_left(table: &TableProgress, rate: Rate) -> Option<Duration> {
    let rows = table
        .rows_estimated
        .checked_sub(table.rows)
        .filter(|rows| *rows > 0)?;
    let worth_saying = rate.rows > 0.0 && table.rows > 0;
    let seconds = worth_saying.then(|| rows as f64 / rate.rows)?;
    // Beyond a year it is a guess about nothing; whole seconds do not flicker.
    (seconds < 31_536_000.0).then(|| Duration::from_secs(seconds.ceil() as u64))
}

fn bar(fraction: f64) -> String {
    let done = ((fraction * BAR as f64) as usize).min(BAR);
    let head = if (1..BAR).contains(&done) { ">" } else { "" };
    let body = "=".repeat(done - head.len());
    format!("[{body}{head}{}]", " ".repeat(BAR - done))
}

#[cfg(test)]
mod tests;
