//! The plans of many tables, a line each. `--all-chunks` and `--output json` tell all of them.

use std::collections::BTreeSet;

use pgsluice::{FailedPlan, Plan, PlanReport, TablePlan};

use super::super::grid::Grid;
use super::super::human::{bytes, count, plain, short_count};
use super::super::report::line_to;
use super::method;

/// Characters shown of a reason.
const MAX_REASON: usize = 60;

pub(super) fn tables(report: &PlanReport, width: Option<usize>) -> String {
    let mut grid = Grid::default()
        .left("TABLE", 0)
        .right("CHUNKS", 0)
        .right("ROWS", 2)
        .right("BYTES", 1)
        .left("CUT BY", 0)
        .left("BECAUSE", 3);
    let (mut chunks, mut rows, mut all) = (0, 0, 0);
    for table in &report.tables {
        chunks += table.chunks.len() as u64;
        rows += table.estimated_rows;
        all += table.estimated_bytes;
        grid.row(line(table));
    }
    grid.row([
        format!("{} tables", count(report.tables.len() as u64)),
        count(chunks),
        format!("~{}", short_count(rows)),
        bytes(all),
        String::new(),
        String::new(),
    ]);
    let mut text = String::new();
    for line in grid.lines(width) {
        line_to(&mut text, &line);
    }
    line_to(&mut text, "--all-chunks shows each table's plan in full");
    text
}

fn line(table: &TablePlan) -> [String; 6] {
    let plan = &table.plan;
    let reason = plan.relations.first().map_or("", |first| &first.reason);
    let reason = match reason.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    };
    [
        plain(&table.schema.name.to_string()),
        count(plan.chunks.len() as u64),
        format!("~{}", short_count(table.estimated_rows)),
        bytes(table.estimated_bytes),
        methods(plan),
        plain(&reason),
    ]
}

/// How the relations of a table are cut: one method, or the number of different ones.
fn methods(plan: &Plan) -> String {
    let all: BTreeSet<String> = plan.relations.iter().map(method).collect();
    let parts = match plan.relations.len() {
        0 | 1 => String::new(),
        parts => format!(" ({} relations)", count(parts as u64)),
    };
    match (all.len(), all.into_iter().next()) {
        (1, Some(one)) => one + &parts,
        (ways, _) => format!("{ways} ways{parts}"),
    }
}

/// Tables that a pattern found and that an export could not read.
pub(super) fn failed(text: &mut String, failed: &[FailedPlan]) {
    for table in failed {
        let advice = table.advice.as_ref();
        let advice = advice.map(|advice| format!(" ({})", plain(advice)));
        line_to(
            text,
            &format!(
                "cannot be exported: {}: {}{}",
                plain(&table.table),
                plain(&table.error),
                advice.unwrap_or_default()
            ),
        );
    }
}
