//! What the seeds came across: a simulation in which nothing happens shows nothing.

use crate::manifest::{Change, Dataset, Entry, State};

macro_rules! coverage {
    ($($(#[doc = $doc:literal])* $field:ident,)+) => {
        /// How often what happened.
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
        pub(in crate::export::sim) struct Coverage {
            $($(#[doc = $doc])* pub(in crate::export::sim) $field: u64,)+
        }

        impl Coverage {
            pub(in crate::export::sim) fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)+
            }

            /// Names of what never happened.
            pub(in crate::export::sim) fn missing(&self) -> Vec<&'static str> {
                let all = [$((stringify!($field), self.$field),)+];
                all.into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect()
            }
        }
    };
}

coverage! {
    faults,
    lost_appends,
    /// Processes that died.
    deaths,
    /// Epochs that were opened behind a writer that had not ended.
    takeovers,
    /// Epochs that were opened while a plan was being written.
    takeovers_of_plans,
    /// Runs that found out that they were fenced.
    fenced,
    /// Runs that gave way to a living or faster writer.
    refused,
    paused,
    failed,
    starts,
    resumes,
    mixed,
    extends,
    /// Plans in several entries.
    plan_entries,
    commits,
    completions,
    pauses,
    failures,
    /// A `_SUCCESS` or a manifest that came behind a later run.
    late_files,
}

impl Coverage {
    pub(super) fn entry(&mut self, entry: &Entry, before: Option<&Dataset>) {
        match &entry.change {
            Change::Open(_) => {
                let state = before.map(|before| before.state);
                self.takeovers_of_plans += u64::from(state == Some(State::Planning));
            }
            Change::Plan { .. } => self.plan_entries += 1,
            Change::Commit { .. } => self.commits += 1,
            Change::Complete { .. } => self.completions += 1,
            Change::Pause { .. } => self.pauses += 1,
            Change::Fail { .. } => self.failures += 1,
        }
    }
}
