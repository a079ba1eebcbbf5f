//! Reaching the source: libpq's rules for TLS, logins and several hosts, against real servers.
//!
//! `plan` is what connects here: it needs no store.

use std::error::Error as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use pgsluice::{ConnectOptions, Error, ErrorKind, ExportOptions, PlanReport, Result};

use crate::rig::{self, Database, env};

/// Plans `public.t` over this connection string.
fn plan(dsn: &str) -> Result<PlanReport> {
    let source = ConnectOptions::from_dsn(Some(dsn))?;
    let options = ExportOptions::new(vec!["public.t".parse()?]);
    rig::wait(async move { pgsluice::plan(&source, &options).await })
}

/// An error, its causes and its advice as one text.
fn told(error: &Error) -> String {
    let mut text = format!("{error} | {}", error.advice().unwrap_or_default());
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text} <- {cause}");
        source = cause.source();
    }
    text
}

#[track_caller]
fn refused(dsn: &str, kind: ErrorKind, says: &str) -> Error {
    let error = plan(dsn).expect_err("it must be refused");
    let text = told(&error);
    assert_eq!(error.kind(), kind, "{text}");
    assert!(text.contains(says), "{says:?} is missing: {text}");
    assert!(!text.contains("canary"), "a secret is shown: {text}");
    error
}

fn database(name: &str) -> Database {
    let database = Database::create(name);
    database.execute("CREATE TABLE t (id int PRIMARY KEY)");
    database
}

/// Key-value parameters for the default server, without a host.
fn local(database: &Database, user: &str) -> String {
    format!(
        "port={} user={user} dbname={}",
        database.port(),
        database.name()
    )
}

#[test]
fn certificates_prove_what_sslmode_asks_for() {
    let database = database("tls");
    let (ca, other) = (env("PGSLUICE_TEST_CA"), env("PGSLUICE_TEST_OTHER_CA"));
    let dsn =
        |host: &str, rest: &str| format!("host={host} {} {rest}", local(&database, "pgsluice_tls"));
    plan(&dsn("127.0.0.1", "sslmode=require")).unwrap();
    plan(&dsn(
        "127.0.0.1",
        &format!("sslmode=verify-ca sslrootcert={ca}"),
    ))
    .unwrap();
    plan(&dsn(
        "localhost",
        &format!("sslmode=verify-full sslrootcert={ca}"),
    ))
    .unwrap();
    let named = format!("hostaddr=127.0.0.1 sslmode=verify-full sslrootcert={ca}");
    plan(&dsn("localhost", &named)).unwrap();
    refused(
        &dsn("wrong.example", &named),
        ErrorKind::Source,
        "not valid for name",
    );
    for mode in ["require", "verify-ca", "verify-full"] {
        let rest = format!("sslmode={mode} sslrootcert={other}");
        refused(&dsn("localhost", &rest), ErrorKind::Source, "TLS handshake");
    }
    let unproven = dsn("localhost", "sslmode=verify-full");
    refused(&unproven, ErrorKind::Config, "sslrootcert");
}

#[test]
fn plain_connections_are_only_used_where_sslmode_allows_them() {
    let database = database("plain");
    let dsn = |user: &str, mode: &str| {
        format!("host=127.0.0.1 {} sslmode={mode}", local(&database, user))
    };
    refused(
        &dsn("pgsluice_tls", "disable"),
        ErrorKind::Source,
        "pg_hba.conf",
    );
    plan(&dsn("pgsluice_tls", "allow")).unwrap();
    plan(&dsn("pgsluice_tls", "prefer")).unwrap();
    let without_tls = env("PGSLUICE_TEST_DSN_17");
    let Err(error) = plan(&format!("{without_tls}?sslmode=require")) else {
        panic!("a server without TLS must be refused")
    };
    assert!(
        told(&error).contains("does not support TLS"),
        "{}",
        told(&error)
    );
    let socket = env("PGSLUICE_TEST_SOCKET_DIR");
    plan(&format!(
        "host={socket} {} sslmode=require",
        local(&database, "postgres")
    ))
    .unwrap();
}

#[test]
fn passwords_work_with_channel_binding_and_never_show() {
    let database = database("scram");
    let dsn = database.dsn_of(&env("PGSLUICE_TEST_SCRAM_DSN"));
    for rest in [
        "channel_binding=require",
        "channel_binding=disable",
        "sslmode=disable",
    ] {
        plan(&format!("{dsn}?{rest}")).unwrap();
    }
    let unbound = format!("{dsn}?channel_binding=require&sslmode=disable");
    refused(&unbound, ErrorKind::Source, "channel binding");
    let wrong = format!(
        "host=127.0.0.1 {} password=canary-wrong",
        local(&database, "pgsluice_scram")
    );
    let error = refused(&wrong, ErrorKind::Source, "28P01");
    assert!(!error.is_retryable());
    let none = format!("host=127.0.0.1 {}", local(&database, "pgsluice_scram"));
    refused(&none, ErrorKind::Source, "PGPASSWORD");
    let source = ConnectOptions::from_dsn(Some(&dsn)).unwrap();
    assert!(!format!("{source:?} {}", source.target()).contains("canary"));
}

#[test]
fn a_client_certificate_logs_in() {
    let database = database("cert");
    let dsn = format!("host=127.0.0.1 {}", local(&database, "pgsluice_cert"));
    let (cert, key) = (
        env("PGSLUICE_TEST_CLIENT_CERT"),
        env("PGSLUICE_TEST_CLIENT_KEY"),
    );
    plan(&format!(
        "{dsn} sslmode=require sslcert={cert} sslkey={key}"
    ))
    .unwrap();
    refused(
        &format!("{dsn} sslmode=require"),
        ErrorKind::Source,
        "28000",
    );
}

#[test]
fn several_hosts_are_tried_in_turn_but_a_refused_login_is_final() {
    let database = database("hosts");
    let port = database.port();
    let rest = format!("user=postgres dbname={}", database.name());
    plan(&format!("host=127.0.0.1,127.0.0.1 port=1,{port} {rest}")).unwrap();
    plan(&format!(
        "host=127.0.0.1 port={port} {rest} target_session_attrs=primary"
    ))
    .unwrap();
    plan(&format!(
        "host=127.0.0.1 port={port} {rest} target_session_attrs=prefer-standby"
    ))
    .unwrap();
    let standby = format!("host=127.0.0.1 port={port} {rest} target_session_attrs=standby");
    refused(&standby, ErrorKind::Source, "target_session_attrs");
    let nobody = format!("host=127.0.0.1,127.0.0.1 port={port},1 user=nobody_here dbname=x");
    refused(&nobody, ErrorKind::Source, "nobody_here");
    let nowhere = format!("host=127.0.0.1 port={port} user=postgres dbname=nowhere");
    refused(&nowhere, ErrorKind::Config, "3D000");
}

#[test]
fn a_server_that_never_answers_is_given_up_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let started = Instant::now();
    let dsn = format!("host=127.0.0.1 port={port} user=u connect_timeout=1");
    let error = refused(&dsn, ErrorKind::Source, "in time");
    assert!(error.is_retryable());
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn the_keeper_is_named_and_gone_when_the_plan_is_made() {
    let database = database("named");
    plan(&database.dsn()).unwrap();
    let left = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgsluice%'
        AND datname = current_database()";
    for _ in 0..100 {
        if database.query_one_text(left) == "0" {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("a connection stayed open");
}

#[test]
fn a_lock_that_is_not_given_is_an_error_in_time_and_names_the_table() {
    let database = database("locked");
    let holder = database.session();
    holder.execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
    let source = ConnectOptions::from_dsn(Some(&database.dsn())).unwrap();
    let mut options = ExportOptions::new(vec!["t".parse().unwrap()]);
    options.lock_timeout = Duration::from_millis(200);
    let error = rig::wait(async move { pgsluice::plan(&source, &options).await }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    assert_eq!(error.table(), Some("public.t"));
    assert!(told(&error).contains("--lock-timeout"), "{}", told(&error));
}
