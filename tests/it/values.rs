//! Values that a column cannot hold stop the chunk, and are not shown.
//!
//! What every type's values become is held against the server in `types`.

use crate::rig::{Database, TempRoot};

/// What a column cannot hold stops the chunk, says which column and row, and shows no value.
#[test]
fn unrepresentable_values_stop_the_chunk_without_showing_it() {
    let values = [
        ("timestamp", "infinity"),
        ("timestamptz", "-infinity"),
        ("timestamp", "294276-12-31 23:59:59"),
        ("date", "infinity"),
        ("numeric(10,2)", "NaN"),
    ];
    for (sql_type, value) in values {
        let database = Database::create("unrepresentable");
        database.execute(&format!(
            "CREATE TABLE t (id int PRIMARY KEY, \"The Column\" {sql_type});
             INSERT INTO t VALUES (1, NULL), (7351, '{value}')"
        ));
        let root = TempRoot::new();
        let outcome =
            crate::scenario::try_export(&database, "public.t", &root, &["--show-row-key"])
                .expect_code(8);
        assert!(outcome.stderr.contains("The Column"), "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains("7351"),
            "the row's key: {}",
            outcome.stderr
        );
        assert!(!root.path().join("public/t/_SUCCESS").exists());
    }
}
