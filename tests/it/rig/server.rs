//! A PostgreSQL server that one test has to itself, for what would disturb others: standbys,
//! replication slots, counts over the whole server.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{Running, Session, env, run, start};

const LIMIT: Duration = Duration::from_secs(60);

/// A server of the default version on a free port of 127.0.0.1; it ends when it is dropped.
pub(crate) struct Server {
    // Dropped in this order: the process first, then its files.
    postgres: Running,
    folder: tempfile::TempDir,
    port: u16,
}

impl Server {
    /// A new cluster.
    pub(crate) fn primary() -> Self {
        let folder = folder();
        let mut initdb = program("initdb", &[]);
        initdb
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"])
            .args(["--locale=C.UTF-8", "-D"])
            .arg(data(&folder));
        run(&mut initdb, LIMIT).expect_code(0);
        Self::start(folder)
    }

    /// A standby that streams from this server.
    pub(crate) fn standby(&self) -> Self {
        let folder = folder();
        let mut backup = program("pg_basebackup", &[]);
        backup
            .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
            .args(["--dbname", &self.dsn(), "--pgdata"])
            .arg(data(&folder));
        run(&mut backup, LIMIT).expect_code(0);
        Self::start(folder)
    }

    fn start(folder: tempfile::TempDir) -> Self {
        let port = free_port();
        let server = Self {
            postgres: process(&folder, port),
            folder,
            port,
        };
        server.wait_until_ready();
        server
    }

    /// Ends it, connections and all, and starts it again.
    pub(crate) fn restart(&mut self) {
        self.postgres.interrupt();
        for _ in 0..600 {
            if !self.postgres.is_running() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.postgres = process(&self.folder, self.port);
        self.wait_until_ready();
    }

    fn wait_until_ready(&self) {
        for _ in 0..600 {
            let mut ready = program("pg_isready", &[]);
            ready.args(["--host=127.0.0.1", &format!("--port={}", self.port)]);
            if run(&mut ready, LIMIT).code == Some(0) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("no answer from the server in {:?}", self.folder.path());
    }

    /// A URI that connects to its `postgres` database as superuser.
    pub(crate) fn dsn(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// A connection to that database.
    pub(crate) fn session(&self) -> Session {
        Session::open(&self.dsn())
    }
}

fn process(folder: &tempfile::TempDir, port: u16) -> Running {
    // It ends with the test's process too, when no destructor can run.
    let mut postgres = program("postgres", &["--pdeathsig", "QUIT"]);
    postgres.arg("-D").arg(data(folder));
    let settings = [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        "unix_socket_directories=".to_owned(),
        "max_connections=50".to_owned(),
        "shared_buffers=16MB".to_owned(),
        "fsync=off".to_owned(),
        "autovacuum=off".to_owned(),
        "wal_level=logical".to_owned(),
        "wal_receiver_status_interval=1s".to_owned(),
    ];
    for setting in settings {
        postgres.args(["-c", &setting]);
    }
    start(&mut postgres)
}

/// A folder that the server's own user may use.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    if is_root() {
        let status = Command::new("chown")
            .arg("postgres")
            .arg(folder.path())
            .status();
        assert!(status.expect("chown runs").success());
    }
    folder
}

fn data(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("data")
}

/// A program of the default server. PostgreSQL refuses to run as root.
fn program(name: &str, options: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(options);
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command
        .arg("--")
        .arg(Path::new(&env("PGSLUICE_TEST_PGBIN")).join(name))
        .env_clear()
        .env("LC_ALL", "C.UTF-8")
        .env("PATH", "/usr/bin:/bin")
        .current_dir("/");
    command
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}
