use super::*;

fn table(name: &str, done: u64, total: u64, rows: u64, estimated: u64) -> TableProgress {
    TableProgress {
        name: name.to_owned(),
        rows_estimated: estimated,
        chunks_total: total,
        chunks_skipped: 0,
        chunks_done: done,
        rows,
        copy_bytes: rows * 100,
        object_bytes: rows * 25,
        retries: 0,
    }
}

fn view(tables: Vec<TableProgress>) -> View {
    let rate = Rate {
        rows: 1000.0,
        bytes: 100_000.0,
    };
    View {
        phase: Phase::Exporting,
        stopping: false,
        elapsed: Duration::from_secs(42),
        total_rate: rate,
        rates: vec![rate; tables.len()],
        waits_for: None,
        tables,
    }
}

#[test]
fn a_wide_terminal_shows_everything_in_columns() {
    let lines = view(vec![
        table("public.orders", 3, 4, 30_000, 60_000),
        table("public.items", 0, 9, 0, 1000),
    ])
    .lines(200, 50);
    assert_eq!(
        lines,
        [
            "exporting, 49%, 3/13 chunks, 30.0k rows, 2.86 MiB read, 732 KiB written, 1.00k rows/s, \
             97.7 KiB/s, 42s, 31s left",
            "public.orders  [=========>          ]      50%  30.0k/~60.0k rows  2.86 MiB read  \
             732 KiB written  3/4 chunks  1.00k rows/s  30s left",
            "public.items   [                    ]  waiting      0/~1.00k rows       0 B read      \
             0 B written  0/9 chunks",
        ]
    );
}

#[test]
fn no_line_is_wider_or_the_block_taller_than_the_terminal() {
    let names = (0..200).map(|n| format!("schema_{n}.a_rather_long_table_name_for_a_table"));
    let tables: Vec<_> = names
        .enumerate()
        .map(|(n, name)| table(&name, n as u64 % 3, 2, 5, 9))
        .collect();
    for (width, height) in [(200, 60), (80, 24), (40, 10), (12, 3), (1, 1)] {
        let lines = view(tables.clone()).lines(width, height);
        let widest = lines
            .iter()
            .map(|line| console::measure_text_width(line))
            .max()
            .unwrap();
        assert!(widest < width.max(25), "{widest} of {width}");
        assert!(lines.len() <= height.max(3), "{} of {height}", lines.len());
    }
}

#[test]
fn tables_at_work_are_shown_before_those_that_wait_or_are_done() {
    let mut tables = vec![table("done", 2, 2, 5, 5); 5];
    tables.push(table("active", 1, 2, 5, 9));
    tables.push(table("waiting", 0, 2, 0, 9));
    let lines = view(tables).lines(100, 7);
    let names: Vec<_> = lines
        .iter()
        .skip(1)
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(names, ["done", "active", "waiting", "…"]);
    assert_eq!(lines[4], "… and 4 more tables: 4 done");
}

#[test]
fn a_fraction_is_whole_only_after_the_last_commit() {
    assert_eq!(fraction(&table("t", 0, 0, 0, 0)), None);
    assert_eq!(fraction(&table("t", 0, 1, 50, 100)), Some(0.5));
    assert_eq!(fraction(&table("t", 0, 1, 9_999, 10_000)), Some(0.99));
    assert_eq!(fraction(&table("t", 0, 1, 200, 100)), None);
    assert_eq!(fraction(&table("t", 1, 4, 200, 100)), Some(0.25));
    assert_eq!(fraction(&table("t", 4, 4, 50, 100)), Some(1.0));
    let resumed = TableProgress {
        chunks_skipped: 2,
        ..table("t", 1, 4, 0, 0)
    };
    assert_eq!(fraction(&resumed), Some(0.5));
}

#[test]
fn a_request_to_stop_shows_at_once() {
    let mut view = view(Vec::new());
    view.stopping = true;
    assert_eq!(view.headline(None), "stopping, 42s");
    view.phase = Phase::Done;
    assert_eq!(view.headline(None), "done, 42s");
}

#[test]
fn bars_fill_from_empty_to_full() {
    assert_eq!(bar(0.0), format!("[{}]", " ".repeat(20)));
    assert_eq!(bar(0.5), format!("[{}>{}]", "=".repeat(9), " ".repeat(10)));
    assert_eq!(bar(1.0), format!("[{}]", "=".repeat(20)));
}

#[test]
fn a_narrow_headline_keeps_how_far_and_how_long() {
    let view = view(vec![table("public.orders", 3, 4, 30_000, 60_000)]);
    assert_eq!(view.headline(Some(30)), "exporting, 50%, 42s, 30s left");
    assert_eq!(
        view.headline(Some(45)),
        "exporting, 50%, 30.0k rows, 42s, 30s left"
    );
    assert_eq!(view.headline(Some(1)), "exporting, 50%");
}

#[test]
fn a_run_that_is_held_says_by_what() {
    let mut held = view(vec![table("public.a", 2, 5, 10, 20)]);
    held.waits_for = Some("4 other sessions are active".into());
    let said = held.headline(None);
    assert!(
        said.starts_with("waiting, 4 other sessions are active, "),
        "{said}"
    );
    held.stopping = true;
    assert!(held.headline(None).starts_with("stopping, "));
}
