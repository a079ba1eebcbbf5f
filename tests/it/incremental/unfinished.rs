//! Further runs that do not come to their end at once: how they are ended, and what they leave
//! published.

use super::{FOLDER, runs, source_ids};
use crate::rig::{Database, TempRoot};
use crate::scenario::{export, sorted_ids, verify as sound};

#[test]
fn a_run_whose_rows_are_gone_ends_also_where_nothing_was_reached() {
    let database = Database::create("incr_gone");
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);
         CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (9000)",
    );
    let flags = ["--incremental", "id", "--chunk-rows", "500"];
    let one_chunk = [&flags[..], &["--max-chunks", "1"]].concat();
    let root = TempRoot::new();
    export(&database, "t", &root, &flags);
    // Other partitions than those of its plan: the paused run is begun anew.
    let emptied = "TRUNCATE t; CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (9000) TO (9999)";
    for (end, count) in [(emptied, 2), ("DROP TABLE t1, t2", 3)] {
        database.execute("INSERT INTO t SELECT i, 'x' FROM generate_series(1, 2000) i; ANALYZE t");
        let paused = export(&database, "t", &root, &one_chunk);
        assert_eq!(paused["state"], "paused", "{paused:#}");
        database.execute(end);
        let report = export(&database, "t", &root, &flags);
        assert_eq!(report["state"], "complete", "{end}: {report:#}");
        assert_eq!(runs(&root).len(), count, "{end}");
        assert_eq!(sorted_ids(&root, FOLDER), Vec::<i64>::new(), "{end}");
        sound(&root);
    }
    database.execute(
        "CREATE TABLE t3 PARTITION OF t FOR VALUES FROM (0) TO (9000);
         INSERT INTO t SELECT i, 'x' FROM generate_series(1, 2000) i",
    );
    export(&database, "t", &root, &flags);
    assert_eq!(sorted_ids(&root, FOLDER), source_ids(&database));
}
