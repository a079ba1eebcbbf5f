//! What is gathered for the report while a run goes on.
//!
//! Owns how each table's end is told, and which warnings stand in the report. The report's form is
//! `report`'s.

use std::sync::Arc;

use super::committer::Committer;
use super::pace::Pacer;
use super::prepare::{OpenedTable, Prepared};
use super::report::{EndState, ExportReport, TableReport, ThisRun};
use super::worker;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{Dataset, finish};
use crate::pg::{Keeper, Refused};
use crate::plan::Decision;
use crate::snapshot::{Consistency, Snapshot};
use crate::store::{Root, layout};

/// One run's, table by table.
pub(super) struct Outcome {
    snapshot: Snapshot,
    used_snapshot: bool,
    order: Vec<String>,
    pub(super) tables: Vec<TableReport>,
    skipped: Vec<u64>,
    seen: Vec<Snapshot>,
    warnings: Vec<String>,
}

impl Outcome {
    pub(super) fn new(keeper: &Keeper, prepared: &[Prepared], of_store: Option<String>) -> Self {
        let mut warnings = keeper.warnings().to_vec();
        warnings.extend(of_store);
        for table in prepared {
            let name = &table.schema.name;
            warnings.extend(table.warnings.iter().cloned());
            match &table.decision {
                Decision::Continue { mixed: true, .. } => warnings.push(format!(
                    "{name}: the snapshot of the earlier run is gone; chunks that are still to be \
                     read go on under a new one, and the dataset is mixed (--require-consistent \
                     starts it again instead)"
                )),
                Decision::Start { reason } if table.dataset.is_some() => {
                    warnings.push(format!(
                        "{name}: started again from the beginning: {reason}"
                    ));
                }
                _ => {}
            }
        }
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        Self {
            snapshot: keeper.snapshot().clone(),
            used_snapshot: false,
            order: prepared
                .iter()
                .map(|table| table.schema.name.to_string())
                .collect(),
            tables: Vec::new(),
            skipped: Vec::new(),
            seen: Vec::new(),
            warnings,
        }
    }

    /// A table of which nothing is read.
    pub(super) fn refused(&mut self, table: Refused) {
        let name = table.name.to_string();
        let error = worker::one_line(&table.error);
        tracing::error!(table = %name, error, "the table failed");
        self.tables
            .push(TableReport::unread(name, Some(table.error)));
    }

    /// A table that is left as it is: the run pauses before its turn comes.
    pub(super) fn unopened(&mut self, table: Prepared) {
        let Some(dataset) = table.dataset else {
            let name = table.schema.name.to_string();
            return self.tables.push(TableReport::unread(name, None));
        };
        let this_run = ThisRun::nothing(&dataset, EndState::Paused);
        self.add(&dataset, &table.root, this_run);
    }

    /// A dataset that was complete: its closing files are written if a crash left them out.
    pub(super) async fn was_complete(&mut self, table: Prepared) -> Result<()> {
        let Some(dataset) = table.dataset else {
            return Err(Error::new(
                ErrorKind::Internal,
                "a complete dataset has no log",
            ));
        };
        finish(&table.root, &dataset).await?;
        let this_run = ThisRun::nothing(&dataset, EndState::Complete);
        self.add(&dataset, &table.root, this_run);
        Ok(())
    }

    pub(super) fn opened(&mut self, opened: &[OpenedTable]) {
        self.used_snapshot = !opened.is_empty();
        self.skipped = opened.iter().map(|table| table.chunks_skipped).collect();
    }

    pub(super) fn ended(&mut self, committer: &Committer, work: &worker::Work) {
        let skipped = std::mem::take(&mut self.skipped);
        let runs = work.tables.iter().zip(&work.runs);
        for ((log, (table, run)), skipped) in committer.tables().iter().zip(runs).zip(skipped) {
            let this_run = ThisRun {
                totals: log.this_run,
                chunks_skipped: skipped,
                retries: [log.retries.clone(), run.take_retries()].concat(),
                was_complete: false,
                state: match (run.has_failed(), log.completed) {
                    (true, _) => EndState::Failed,
                    (false, true) => EndState::Complete,
                    (false, false) => EndState::Paused,
                },
                error: run.take_fault().map(Arc::new),
            };
            self.add(log.log.dataset(), &table.root, this_run);
        }
    }

    fn add(&mut self, dataset: &Dataset, root: &Root, this_run: ThisRun) {
        let used = dataset.used_snapshots();
        for snapshot in used {
            if !self.seen.iter().any(|seen| seen.is_same(snapshot)) {
                self.seen.push(snapshot.clone());
            }
        }
        let totals = dataset.totals();
        self.warnings
            .extend(totals.exceptions_warning(&dataset.schema.name.to_string()));
        self.tables.push(TableReport {
            table: dataset.schema.name.to_string(),
            state: this_run.state,
            error: this_run.error,
            root: root.url(),
            manifest: format!("{}/{}", root.url().trim_end_matches('/'), layout::MANIFEST),
            was_complete: this_run.was_complete,
            consistency: dataset.consistency(),
            writers: dataset.config.writers,
            epoch: dataset.epoch,
            chunks_total: dataset.plan.chunks.len() as u64,
            totals,
            this_run: this_run.totals,
            chunks_skipped: this_run.chunks_skipped,
            retries: this_run.retries,
        });
    }

    pub(super) fn report(
        mut self,
        run_id: String,
        pacer: &Pacer,
        wall: std::time::Duration,
    ) -> ExportReport {
        let order = |table: &TableReport| {
            let place = self.order.iter().position(|name| name == &table.table);
            place.unwrap_or(usize::MAX)
        };
        self.tables.sort_by_key(order);
        let is = |what| self.tables.iter().any(|table| table.consistency == what);
        let consistency = if is(Consistency::Incremental) && !is(Consistency::Mixed) {
            Consistency::Incremental
        } else if self.seen.len() > 1 {
            Consistency::Mixed
        } else {
            Consistency::Snapshot
        };
        if consistency == Consistency::Mixed
            && self
                .tables
                .iter()
                .all(|table| table.consistency == Consistency::Snapshot)
        {
            self.warnings.push(format!(
                "each table was read under one snapshot, but the {} tables under {} different ones",
                self.tables.len(),
                self.seen.len()
            ));
        }
        let has = |state| self.tables.iter().any(|table| table.state == state);
        let state = match (has(EndState::Failed), has(EndState::Paused)) {
            (true, _) => EndState::Failed,
            (false, true) => EndState::Paused,
            (false, false) => EndState::Complete,
        };
        let is_paused = has(EndState::Paused);
        ExportReport {
            run_id,
            state,
            reason: pacer.reason().filter(|_| is_paused).map(str::to_owned),
            waited: pacer.slowed.times(),
            retried: pacer.patience.counts(),
            consistency,
            snapshot: self.used_snapshot.then_some(self.snapshot),
            tables: self.tables,
            warnings: self.warnings,
            wall,
        }
    }
}
