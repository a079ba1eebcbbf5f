//! What happened: the last operations for people, a hash over all for comparisons.

use std::collections::VecDeque;
use std::fmt;

use tokio::time::Instant;

use crate::manifest::{Change, Entry};
use crate::store::testing::{Call, Fault, Op};

/// Operations that a violation is shown with.
const SHOWN: usize = 150;

#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) hash: u64,
    pub(super) operations: u64,
    began: Option<Instant>,
    last: VecDeque<Line>,
}

#[derive(Debug)]
struct Line {
    millis: u64,
    process: usize,
    what: What,
}

#[derive(Debug)]
enum What {
    Asked(Op, String, Fault),
    Effect(Op, String, bool),
    Note(String),
}

impl Trace {
    pub(super) fn asked(&mut self, process: usize, call: &Call, fault: Fault) {
        self.mix(&[process as u64, 1 + call.op as u64], call.key.as_ref());
        self.push(process, What::Asked(call.op, call.key.to_string(), fault));
    }

    pub(super) fn effect(&mut self, process: usize, call: &Call, done: bool) {
        self.operations += 1;
        let numbers = [process as u64, 100 + call.op as u64, u64::from(done)];
        self.mix(&numbers, call.key.as_ref());
        // Reads that change nothing are many.
        if !matches!(call.op, Op::Get | Op::Head) {
            self.push(process, What::Effect(call.op, call.key.to_string(), done));
        }
    }

    pub(super) fn note(&mut self, process: usize, note: &str) {
        self.mix(&[process as u64, 200], note);
        self.push(process, What::Note(note.to_owned()));
    }

    pub(super) fn entry(&mut self, entry: &Entry) {
        let what = match &entry.change {
            Change::Open(open) => format!("open: {}", open.reason),
            Change::Plan { chunks } => format!("plan of {}", chunks.len()),
            Change::Commit { chunks } => {
                let ids: Vec<_> = chunks.iter().map(|chunk| chunk.chunk.0).collect();
                format!("commit {ids:?}")
            }
            Change::Pause { reason } => format!("pause: {reason}"),
            Change::Fail { message } => format!("fail: {message}"),
            Change::Complete { .. } => "complete".to_owned(),
        };
        let note = format!("entry {} of epoch {}: {what}", entry.seq, entry.epoch);
        self.note(usize::MAX, &note);
    }

    fn push(&mut self, process: usize, what: What) {
        if self.last.len() == SHOWN {
            self.last.pop_front();
        }
        let millis = self.millis();
        self.last.push_back(Line {
            millis,
            process,
            what,
        });
    }

    fn millis(&mut self) -> u64 {
        let began = *self.began.get_or_insert_with(Instant::now);
        u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// FNV-1a.
    fn mix(&mut self, numbers: &[u64], text: &str) {
        let millis = self.millis();
        let numbers = numbers
            .iter()
            .chain([&millis])
            .flat_map(|n| n.to_le_bytes());
        for byte in numbers.chain(text.bytes()) {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} operations; the last of them:", self.operations)?;
        for line in &self.last {
            let Line {
                millis, process, ..
            } = line;
            match &line.what {
                What::Asked(op, key, fault) => {
                    writeln!(f, "{millis:>8} ms  {process}  {op:?} {key}: {fault:?}")?;
                }
                What::Effect(op, key, done) => {
                    let refused = if *done { "" } else { " (refused)" };
                    writeln!(f, "{millis:>8} ms  {process}  {op:?} {key}{refused}")?;
                }
                What::Note(note) if *process == usize::MAX => {
                    writeln!(f, "{millis:>8} ms     = {note}")?;
                }
                What::Note(note) => writeln!(f, "{millis:>8} ms  {process}  {note}")?,
            }
        }
        Ok(())
    }
}
