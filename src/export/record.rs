//! The record of a run over several tables, kept beside its datasets:
//! `<url>/_pgsluice/runs/<run>.json`.
//!
//! Written at the start, so that a run that dies has left its name, and again at the end. Nothing
//! is ever read from it: each dataset's own log is what counts.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::crash_point::{CrashPoint, step};
use crate::error::{Error, ErrorKind, Result};
use crate::export::prepare::Prepared;
use crate::export::report::{ExportReport, TableReport};
use crate::export::worker::one_line;
use crate::pg::Refused;
use crate::plan::Decision;
use crate::snapshot::Snapshot;
use crate::store::{Root, layout};

/// What stands in the record from the start.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RunRecord {
    run_id: String,
    started_at: DateTime<Utc>,
    snapshot: Snapshot,
    tables: Vec<RecordedTable>,
}

#[derive(Debug, Clone, Serialize)]
struct RecordedTable {
    table: String,
    /// `to_do`, `complete`, or `failed` before anything of it was read.
    begins: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl RunRecord {
    pub(crate) fn new(
        run_id: &str,
        snapshot: &Snapshot,
        prepared: &[Prepared],
        refused: &[Refused],
    ) -> Self {
        let chosen = prepared.iter().map(|table| RecordedTable {
            table: table.schema.name.to_string(),
            begins: match table.decision {
                Decision::Complete => "complete",
                _ => "to_do",
            },
            root: Some(table.root.url()),
            error: None,
        });
        let failed = refused.iter().map(|table| RecordedTable {
            table: table.name.to_string(),
            begins: "failed",
            root: None,
            error: Some(one_line(&table.error)),
        });
        Self {
            run_id: run_id.to_owned(),
            started_at: Utc::now(),
            snapshot: snapshot.clone(),
            tables: chosen.chain(failed).collect(),
        }
    }

    /// Writes that the run has begun.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`].
    pub(crate) async fn begin(&self, root: &Root) -> Result<()> {
        let begin = self.write(root, "running", serde_json::json!({}));
        step(CrashPoint::RecordBegin, begin).await
    }

    /// Writes how the run ended; `told` is what is known of its tables when it failed as a whole.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`].
    pub(crate) async fn end(
        &self,
        root: &Root,
        ended: Result<&ExportReport, &Error>,
        told: &[TableReport],
    ) -> Result<()> {
        match ended {
            Ok(report) => {
                let told = to_json(report)?;
                let end = self.write(root, report.state.as_str(), told);
                step(CrashPoint::RecordEnd, end).await
            }
            Err(error) => {
                let state = match error.kind() {
                    ErrorKind::Cancelled => "paused",
                    _ => "failed",
                };
                let mut tables = to_json(&self.tables)?;
                if !told.is_empty() {
                    tables = to_json(&told)?;
                }
                let told = serde_json::json!({ "error": one_line(error), "tables": tables });
                step(CrashPoint::RecordEnd, self.write(root, state, told)).await
            }
        }
    }

    /// `told` goes over what stood at the start: the tables' ends over their beginnings.
    async fn write(&self, root: &Root, state: &str, told: serde_json::Value) -> Result<()> {
        let mut record = to_json(self)?;
        if let (Some(record), serde_json::Value::Object(told)) = (record.as_object_mut(), told) {
            record.extend(told);
            record.insert("state".to_owned(), state.into());
            if state != "running" {
                record.insert("ended_at".to_owned(), to_json(&Utc::now())?);
            }
        }
        let bytes = serde_json::to_vec_pretty(&record).map_err(no_json)?;
        let key = format!("{}/{}.json", layout::RUNS_DIR, self.run_id);
        root.put(&key, bytes.into()).await.map(drop)
    }
}

fn to_json(value: &impl Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(no_json)
}

fn no_json(error: serde_json::Error) -> Error {
    let message = "the run record could not be written as JSON";
    Error::new(ErrorKind::Internal, message).with_source(error)
}
