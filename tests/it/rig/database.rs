//! A fresh database for a test, dropped at its end, and sessions and writers on it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::{Running, env, pg_program, start, wait};

/// A database that one test has to itself. Dropped with it, connections and all.
pub(crate) struct Database {
    name: String,
    server_dsn: String,
}

impl Database {
    /// A database on the default server, owned by its superuser. `name` is a hint for people:
    /// lower-case letters, digits and underscores.
    pub(crate) fn create(name: &str) -> Self {
        Self::create_at(env("PGSLUICE_TEST_DSN"), name)
    }

    /// A database on the server of this major version, 13 to 18.
    pub(crate) fn create_on(major: u32, name: &str) -> Self {
        Self::create_at(env(&format!("PGSLUICE_TEST_DSN_{major}")), name)
    }

    /// A database on a server that a test has to itself.
    pub(crate) fn create_at(server_dsn: String, name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(name.chars().all(plain) && name.len() <= 40, "{name:?}");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}_{}_{number}", std::process::id());
        Session::open(&server_dsn).execute(&format!("CREATE DATABASE {name}"));
        Self { name, server_dsn }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A URI that connects to it as superuser, without TLS being asked for.
    pub(crate) fn dsn(&self) -> String {
        self.dsn_of(&self.server_dsn)
    }

    /// Another role's URI, such as `PGSLUICE_TEST_SCRAM_DSN`, for this database.
    pub(crate) fn dsn_of(&self, server_dsn: &str) -> String {
        let (server, _) = server_dsn.rsplit_once('/').expect("a URI with a database");
        format!("{server}/{}", self.name)
    }

    /// The port of its server on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        let (server, _) = self
            .server_dsn
            .rsplit_once('/')
            .expect("a URI with a database");
        let (_, port) = server.rsplit_once(':').expect("a URI with a port");
        port.parse().expect("a port number")
    }

    /// Runs statements on a connection of their own.
    pub(crate) fn execute(&self, sql: &str) {
        self.session().execute(sql);
    }

    /// The first column of the first row, as text.
    pub(crate) fn query_one_text(&self, sql: &str) -> String {
        self.session().query_one_text(sql)
    }

    /// A connection that stays open, to hold a transaction or a lock.
    pub(crate) fn session(&self) -> Session {
        Session::open(&self.dsn())
    }

    /// Runs a pgbench script over and over, at `rate` transactions a second over all clients,
    /// until it is dropped.
    pub(crate) fn write_in_background(&self, script: &str, clients: u32, rate: u32) -> Writer {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(script.as_bytes()).expect("a written script");
        let mut pgbench = pg_program("pgbench");
        pgbench
            .args(["--no-vacuum", "--protocol=prepared", "--time=3600"])
            .arg(format!("--client={clients}"))
            .arg(format!("--rate={rate}"))
            .arg(format!("--file={}", file.path().display()))
            .arg(self.dsn());
        Writer {
            pgbench: start(&mut pgbench),
            _script: file,
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let dsn = self.server_dsn.clone();
        // The server may be gone already, and a panic here would hide the test's own.
        wait(async move {
            if let Ok(client) = connect(&dsn).await {
                let _ = client.batch_execute(&sql).await;
            }
        });
    }
}

/// Writes going on in the background; they end when it is dropped.
pub(crate) struct Writer {
    pgbench: Running,
    _script: tempfile::NamedTempFile,
}

impl Writer {
    /// Ends the writes, and fails when they had ended by themselves: then nothing was tested.
    pub(crate) fn stop(mut self) {
        assert!(
            self.pgbench.is_running(),
            "pgbench ended early:\n{}",
            self.pgbench.stderr()
        );
        self.pgbench.kill();
    }
}

/// One open connection.
pub(crate) struct Session {
    client: std::sync::Arc<Client>,
}

impl Session {
    /// Connects, without TLS.
    pub(crate) fn open(dsn: &str) -> Self {
        let dsn = dsn.to_owned();
        let client = wait(async move { connect(&dsn).await });
        let client = client.unwrap_or_else(|error| panic!("cannot connect: {}", told(&error)));
        Self {
            client: client.into(),
        }
    }

    /// Runs statements.
    pub(crate) fn execute(&self, sql: &str) {
        self.try_execute(sql)
            .unwrap_or_else(|error| panic!("{}\n{sql}", told(&error)));
    }

    /// Runs statements that may fail.
    pub(crate) fn try_execute(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        let (client, sql) = (self.client.clone(), sql.to_owned());
        wait(async move { client.batch_execute(&sql).await })
    }

    /// The first column of the first row, as text.
    pub(crate) fn query_one_text(&self, sql: &str) -> String {
        let rows = self.query_text(sql);
        let value = rows.first().and_then(|row| row.first().cloned()).flatten();
        value.unwrap_or_else(|| panic!("no value for: {sql}"))
    }

    /// Every row, each value as text or NULL.
    pub(crate) fn query_text(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let (client, query) = (self.client.clone(), sql.to_owned());
        let messages = wait(async move { client.simple_query(&query).await })
            .unwrap_or_else(|error| panic!("{}\n{sql}", told(&error)));
        let texts = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(
                (0..row.len())
                    .map(|i| row.get(i).map(str::to_owned))
                    .collect(),
            ),
            _ => None,
        });
        texts.collect()
    }
}

async fn connect(dsn: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await?;
    // It ends when the client is dropped; its errors come back through the client too.
    tokio::spawn(connection);
    Ok(client)
}

fn told(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    if let Some(server) = error.as_db_error() {
        write!(text, ": {server}").expect("a String takes any text");
    }
    text
}

#[test]
fn each_test_has_a_database_of_its_own_that_is_dropped() {
    let one = Database::create("rig");
    let two = Database::create("rig");
    one.execute("CREATE TABLE t AS SELECT 42 AS a");
    assert_eq!(one.query_one_text("SELECT a FROM t"), "42");
    assert_eq!(two.query_one_text("SELECT to_regclass('t') IS NULL"), "t");
    assert!(two.session().try_execute("SELECT * FROM t").is_err());
    let name = one.name().to_owned();
    drop(one);
    let count = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    assert_eq!(two.query_one_text(&count), "0");
}

#[test]
fn every_supported_version_answers() {
    for major in 13..=18 {
        let database = Database::create_on(major, "rig");
        let version = database.query_one_text("SHOW server_version_num");
        assert_eq!(version.parse::<u32>().unwrap() / 10_000, major);
        let port = database.query_one_text("SHOW port");
        assert_eq!(port, database.port().to_string());
    }
}

#[test]
fn background_writes_go_on_until_they_are_stopped() {
    let database = Database::create("rig_writer");
    database.execute("CREATE TABLE t (a int)");
    let writer = database.write_in_background("INSERT INTO t VALUES (1);", 1, 200);
    let count = || {
        database
            .query_one_text("SELECT count(*) FROM t")
            .parse::<u32>()
            .unwrap()
    };
    for _ in 0..500 {
        if count() >= 5 {
            writer.stop();
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("no rows after ten seconds");
}

#[test]
fn roles_of_the_default_server_authenticate_as_they_should() {
    let database = Database::create("rig_roles");
    let scram = Session::open(&database.dsn_of(&env("PGSLUICE_TEST_SCRAM_DSN")));
    assert_eq!(
        scram.query_one_text("SELECT current_user"),
        "pgsluice_scram"
    );
    let socket = format!(
        "host={} port={} user=postgres dbname={}",
        env("PGSLUICE_TEST_SOCKET_DIR"),
        database.port(),
        database.name()
    );
    let local = Session::open(&socket);
    assert_eq!(
        local.query_one_text("SELECT inet_client_addr() IS NULL"),
        "t"
    );
}
