//! Bad input: each is one screen that says what is wrong and what to do, with its exit code, and
//! leaves nothing that a later run would trust.

use std::process::Command;
use std::time::Duration;

use crate::rig::{self, Database, Outcome, Root, S3Root, TempRoot};

const LIMIT: Duration = Duration::from_secs(60);

fn export_to(dsn: &str, table: &str, to: &str) -> Command {
    let mut command = rig::pgsluice();
    command.args(["export", "--from", dsn, "--table", table, "--to", to]);
    command
}

/// One screen, with advice, without the secret.
#[track_caller]
fn refused(mut command: Command, code: i32, says: &[&str]) -> Outcome {
    let outcome = rig::run(&mut command, LIMIT).expect_code(code);
    let lines = outcome.stderr.lines().count();
    assert!(
        lines <= 24,
        "{lines} lines do not fit a screen:\n{}",
        outcome.stderr
    );
    for said in says {
        assert!(
            outcome.stderr.contains(said),
            "{said:?} is missing:\n{}",
            outcome.stderr
        );
    }
    assert!(
        !outcome.stderr.contains("canary"),
        "a secret is shown:\n{}",
        outcome.stderr
    );
    outcome
}

#[test]
fn an_unknown_table_is_answered_with_the_nearest_names() {
    let database = Database::create("unknown");
    database.execute("CREATE TABLE orders (id int PRIMARY KEY)");
    let root = TempRoot::new();
    let to = root.path().join("out");
    let command = export_to(&database.dsn(), "public.order", &to.display().to_string());
    refused(command, 2, &["order", "public.orders"]);
    assert!(!to.join("public").exists());
}

#[test]
fn a_missing_right_is_answered_with_the_grant() {
    let database = Database::create("grant");
    let role = format!("poor_{}", database.name());
    database.execute(&format!(
        "CREATE TABLE t (id int PRIMARY KEY); CREATE ROLE {role} LOGIN"
    ));
    let dsn = database.dsn().replace("postgres@", &format!("{role}@"));
    let root = TempRoot::new();
    let command = export_to(&dsn, "public.t", &root.path().display().to_string());
    let outcome = rig::run(&mut { command }, LIMIT);
    database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("GRANT SELECT ON"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_wrong_password_and_an_unreachable_server_are_told_apart() {
    let root = TempRoot::new();
    let to = root.path().display().to_string();
    let scram = rig::env("PGSLUICE_TEST_SCRAM_DSN");
    let (user, rest) = scram
        .split_once(':')
        .and_then(|(_, r)| r.split_once(':'))
        .unwrap();
    let (_, host) = rest.split_once('@').unwrap();
    let wrong = format!("postgresql:{user}:canary@{host}");
    refused(export_to(&wrong, "t", &to), 3, &["password"]);
    let nobody = "postgresql://postgres:canary@127.0.0.1:1/postgres";
    refused(export_to(nobody, "t", &to), 3, &["127.0.0.1"]);
}

#[test]
fn stores_that_cannot_be_used_are_told_before_anything_is_read() {
    let database = Database::create("stores");
    database.execute("CREATE TABLE t (id int PRIMARY KEY)");
    let good = S3Root::new("refusals");
    let with = |to: &str, changes: &[(&str, &str)]| {
        let mut command = export_to(&database.dsn(), "t", to);
        good.equip(&mut command);
        command.envs(changes.iter().copied());
        command
    };
    refused(
        with("s3://no-such-bucket-here/x", &[]),
        2,
        &["no-such-bucket-here"],
    );
    refused(
        with(&good.url(), &[("AWS_SECRET_ACCESS_KEY", "canary")]),
        4,
        &["advice"],
    );
    let nobody = ("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    refused(with(&good.url(), &[nobody]), 4, &["advice"]);
    refused(export_to(&database.dsn(), "t", "ftp://host/x"), 2, &["ftp"]);
    refused(
        export_to(&database.dsn(), "t", "/proc/nowhere"),
        4,
        &["/proc/nowhere"],
    );
}

#[test]
fn options_out_of_their_limits_name_the_flag() {
    for (flag, value) in [
        ("--workers", "0"),
        ("--workers", "65"),
        ("--chunk-by", "time"),
        ("--compression", "zstd:99"),
        ("--part-bytes", "1KiB"),
    ] {
        let mut command = export_to("postgresql://127.0.0.1:1/x", "t", "/nonexistent/x");
        command.args([flag, value]);
        refused(command, 2, &[flag]);
    }
}

#[test]
fn keys_that_cannot_cut_are_said_before_anything_is_read() {
    let database = Database::create("badkey");
    database.execute("CREATE TABLE t (id int PRIMARY KEY, note json)");
    for (key, says) in [("nosuch", "nosuch"), ("note", "cannot be ordered")] {
        let root = TempRoot::new();
        let mut command = export_to(&database.dsn(), "t", &root.path().display().to_string());
        command.args(["--chunk-by", &format!("key:{key}")]);
        let outcome = rig::run(&mut command, LIMIT);
        assert!(matches!(outcome.code, Some(2 | 7)), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(says), "{}", outcome.stderr);
        assert!(!root.path().join("public/t/_pgsluice/log").exists());
    }
}
