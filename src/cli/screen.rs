//! Standard error as one screen: log lines pass above the live display, and never tear it.
//!
//! Owns the one drawn block (a bar whose message has several lines) and who may write beside it.
//! What is drawn is `progress`'s business.

use std::io::{self, Write};

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::fmt::MakeWriter;

/// Standard error, shared by the log, the live display and short notices. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Screen {
    block: ProgressBar,
}

impl Screen {
    /// A screen on which nothing is drawn yet.
    pub(crate) fn new() -> Self {
        let block = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{msg}");
        block.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        Self { block }
    }

    /// Whether standard error is a terminal on which lines can be redrawn.
    pub(crate) fn can_draw() -> bool {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Term::stderr().is_term() && !dumb
    }

    /// Lines and cells of the terminal.
    pub(crate) fn size() -> (usize, usize) {
        let (height, width) = Term::stderr().size();
        (usize::from(height), usize::from(width))
    }

    /// Draws the block, in place of the one before.
    pub(crate) fn draw(&self, lines: &[String]) {
        if self.block.is_hidden() {
            self.block
                .set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        }
        self.block.set_message(lines.join("\n"));
        self.block.tick();
    }

    /// Takes the block off the terminal, for good or until it is drawn again.
    pub(crate) fn clear(&self) {
        if !self.block.is_hidden() {
            self.block.set_message("");
            self.block.finish_and_clear();
            self.block.set_draw_target(ProgressDrawTarget::hidden());
        }
    }

    /// Writes whole lines above the block. A standard error that is gone is not worth a failure.
    pub(crate) fn write(&self, text: &[u8]) {
        self.block.suspend(|| {
            let _ = io::stderr().lock().write_all(text);
        });
    }
}

/// The log's way to the screen: one event a call, as the subscriber's formatter writes them.
#[derive(Debug)]
pub(crate) struct ScreenWriter(Screen);

impl Write for ScreenWriter {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.write(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Screen {
    type Writer = ScreenWriter;

    fn make_writer(&'a self) -> Self::Writer {
        ScreenWriter(self.clone())
    }
}
