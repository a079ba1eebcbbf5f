//! The chunks of a plan partition its table exactly: random tables of each key type, planned by
//! the real program, read back with each chunk's own statement on servers 13 to 18.
//!
//! Seeded: a failure names seed and case. `PGSLUICE_TEST_CHUNK_TABLES` makes more tables a version,
//! `PGSLUICE_TEST_CHUNK_SEED` other ones.

mod refused;
mod tables;

use std::collections::BTreeMap;
use std::time::Duration;

use self::tables::{Case, Draw};
use crate::rig::{self, Database, Session, pgsluice};

/// Tables of a version, where the environment does not say.
const TABLES: u64 = 60;

/// The plan of one table, as the program tells it.
pub(crate) fn plan(database: &Database, table: &str, args: &[&str]) -> serde_json::Value {
    let dsn = database.dsn();
    let mut command = pgsluice();
    command.args(["plan", "--from", &dsn, "--table", table, "--output", "json"]);
    let outcome = rig::run(command.args(args), Duration::from_secs(60));
    let mut report = outcome.expect_code(0).json();
    report["tables"][0].take()
}

/// Makes sure that the statements of a plan, of whatever method, together read each row of the
/// table once. The table has a column `row_id` without duplicates or NULLs.
#[track_caller]
pub(crate) fn reads_each_row_once(session: &Session, table: &str, plan: &serde_json::Value) {
    // What the program's own sessions pin.
    session.execute(
        "SET search_path TO pg_catalog; SET \"TimeZone\" TO 'UTC'; SET \"DateStyle\" TO 'ISO, MDY';
         SET \"IntervalStyle\" TO 'postgres'; SET extra_float_digits TO 1; SET bytea_output TO hex",
    );
    let chunks = plan["chunks"].as_array().expect("a list of chunks");
    let statements = chunks.iter().map(|chunk| {
        let sql = chunk["sql"].as_str().expect("a chunk's statement");
        format!("(SELECT row_id FROM ({sql}) AS c)")
    });
    let statements: Vec<String> = statements.collect();
    let counts = session.query_text(&format!(
        "SELECT count(*), count(DISTINCT row_id), (SELECT count(*) FROM {table})
         FROM ({}) AS u",
        statements.join(" UNION ALL ")
    ));
    assert!(
        counts[0][0] == counts[0][2] && counts[0][1] == counts[0][2],
        "read, distinct, there: {:?}\n{plan:#}",
        counts[0]
    );
}

fn number(variable: &str, default: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(default, |text| text.parse().expect("a number"))
}

/// Makes, plans and counts the tables of one version. Each type must have been cut by its values
/// at least once.
fn random_tables_are_partitioned(major: u32) {
    let database = Database::create_on(major, "chunks");
    let session = database.session();
    session.execute(tables::SETUP);
    let seed = number("PGSLUICE_TEST_CHUNK_SEED", 1);
    let mut cut: BTreeMap<&str, u64> = BTreeMap::new();
    for number in 0..number("PGSLUICE_TEST_CHUNK_TABLES", TABLES) {
        let case = Case::draw(Draw::new(seed, number), number, major);
        let told = format!("PostgreSQL {major}, seed {seed}, case {number}: {case:#?}");
        println!("{told}");
        session.execute("SET search_path TO public");
        session.execute(&case.sql);
        let chunk_rows = case.chunk_rows.to_string();
        let args = ["--chunk-by", &case.chunk_by, "--chunk-rows", &chunk_rows];
        let plan = plan(&database, "public.t", &args);
        reads_each_row_once(&session, "public.t", &plan);
        let chunks = plan["chunks"].as_array().expect("a list of chunks").len();
        *cut.entry(case.type_name).or_default() += chunks as u64 - 1;
        session.execute("DROP TABLE public.t");
    }
    let never: Vec<_> = cut.iter().filter(|(_, chunks)| **chunks == 0).collect();
    assert!(never.is_empty(), "never cut: {never:?}");
}

#[test]
fn random_tables_are_partitioned_on_13() {
    random_tables_are_partitioned(13);
}

#[test]
fn random_tables_are_partitioned_on_14() {
    random_tables_are_partitioned(14);
}

#[test]
fn random_tables_are_partitioned_on_15() {
    random_tables_are_partitioned(15);
}

#[test]
fn random_tables_are_partitioned_on_16() {
    random_tables_are_partitioned(16);
}

#[test]
fn random_tables_are_partitioned_on_17() {
    random_tables_are_partitioned(17);
}

#[test]
fn random_tables_are_partitioned_on_18() {
    random_tables_are_partitioned(18);
}
