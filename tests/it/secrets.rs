//! No password, token or key, and no cell of a table, in anything that is written: standard
//! output and error at the finest level, as text and JSON, the command line, the server's list of
//! sessions, and every object that holds no data. `failures` has the ways that go wrong.

mod echo;
mod failures;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::rig::{self, Database, Outcome, Root, Running, S3Root, TempRoot};

const LIMIT: Duration = Duration::from_secs(60);

/// Something that must not be shown. What is looked for has letters and digits alone, so that no
/// escaping hides it, and is what stands in no other text.
pub(super) fn canary() -> String {
    format!("Qz{:032x}", rand::random::<u128>())
}

/// Where a secret, or its first half, or its Base64 form stands in a text.
fn found(text: &[u8], secret: &str) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let half = &secret[..secret.len().div_ceil(2)];
    let forms = [half.to_owned(), base64(secret.as_bytes()), percent(secret)];
    let at = forms.iter().find_map(|form| text.find(form.as_str()))?;
    let context = text.char_indices().map(|(at, _)| at);
    let from = context.filter(|near| near + 80 >= at).min()?;
    Some(text[from..].chars().take(200).collect())
}

/// As encoders do it, without what depends on the bytes after the last whole group of three.
pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |group: &[u8]| {
        let bits = group
            .iter()
            .fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]))
    };
    bytes.chunks_exact(3).flat_map(group).collect()
}

fn percent(secret: &str) -> String {
    secret.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[track_caller]
fn assert_hidden(what: &str, text: &[u8], secrets: &[String]) {
    for secret in secrets {
        if let Some(context) = found(text, secret) {
            panic!("{what} shows a secret: ...{context}...");
        }
    }
}

/// Runs it to its end, its command line and those of its children looked at meanwhile.
#[track_caller]
pub(super) fn watched(what: &str, command: &mut Command, secrets: &[String]) -> Outcome {
    let mut running = rig::start(command);
    let given_as_argument = arguments(command);
    let until = Instant::now() + LIMIT;
    while running.is_running() && Instant::now() < until {
        look_at_process(what, &running, &given_as_argument, secrets);
        std::thread::sleep(Duration::from_millis(20));
    }
    let outcome = running.wait(LIMIT);
    assert_hidden(
        &format!("{what}: stdout"),
        outcome.stdout.as_bytes(),
        secrets,
    );
    assert_hidden(
        &format!("{what}: stderr"),
        outcome.stderr.as_bytes(),
        secrets,
    );
    outcome
}

fn arguments(command: &Command) -> String {
    let arguments = command
        .get_args()
        .map(|arg| arg.to_string_lossy().into_owned());
    arguments.collect::<Vec<_>>().join(" ")
}

/// What `ps` shows to others. A secret that a person gave as an argument cannot be hidden.
fn look_at_process(what: &str, running: &Running, given: &str, secrets: &[String]) {
    let pid = running.pid();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let children =
        tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    assert_eq!(
        children.collect::<String>().trim(),
        "",
        "{what}: it starts no other program"
    );
    let hidden = secrets
        .iter()
        .filter(|secret| !given.contains(secret.as_str()));
    let hidden: Vec<_> = hidden.cloned().collect();
    for file in ["cmdline", "comm"] {
        let shown = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        assert_hidden(&format!("{what}: {file}"), &shown, &hidden);
    }
}

/// Every object below a root: secrets in none, cells in data alone.
#[track_caller]
fn assert_objects_hide(root: &dyn Root, secrets: &[String], cell: &str) {
    let objects = root.list("");
    assert!(objects.len() > 4, "{objects:?}");
    for key in objects.keys() {
        let Some(bytes) = root.get(key) else { continue };
        assert_hidden(key, &bytes, secrets);
        if !key.contains("/part-") {
            assert_hidden(key, &bytes, &[cell.to_owned()]);
        }
    }
}

/// The finest log there is, of the program and of all that it is made of.
fn loud(command: &mut Command, json: bool) {
    command
        .env("PGSLUICE_LOG", "trace")
        .env("RUST_BACKTRACE", "full");
    if json {
        command.args(["--log-format", "json"]);
    } else {
        command.args(["--output", "json"]);
    }
}

/// The password of the role that has one, and the URI without it.
fn scram(database: &Database) -> (String, String) {
    let dsn = database.dsn_of(&rig::env("PGSLUICE_TEST_SCRAM_DSN"));
    let (before, rest) = dsn.split_once("://").expect("a URI");
    let (user, rest) = rest.split_once(':').expect("a password");
    let (password, rest) = rest.split_once('@').expect("a host");
    (password.to_owned(), format!("{before}://{user}@{rest}"))
}

fn table(database: &Database, cell: &str) {
    database.execute(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, note text);
         INSERT INTO t SELECT i, '{cell}' FROM generate_series(1, 1000) i; ANALYZE t;
         GRANT SELECT ON t TO pgsluice_scram"
    ));
}

fn export(dsn: &str, to: &str) -> Command {
    let mut command = rig::pgsluice();
    command.args([
        "export",
        "--table",
        "t",
        "--chunk-by",
        "key:id",
        "--chunk-rows",
        "100",
    ]);
    command.args(["--lease-interval", "200ms", "--from", dsn, "--to", to]);
    command
}

fn written(folder: &Path, name: &str, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a written file");
    let own = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&path, own).expect("own file");
    path.display().to_string()
}

#[test]
fn a_run_that_ends_well_shows_no_secret_however_it_was_given() {
    let database = Database::create("secrets_well");
    let cell = canary();
    table(&database, &cell);
    let (password, bare) = scram(&database);
    let with_password = bare.replace('@', &format!(":{password}@"));
    let keys = [
        rig::env("AWS_SECRET_ACCESS_KEY"),
        password.clone(),
        cell.clone(),
    ];
    let folder = tempfile::tempdir().unwrap();
    let passfile = written(folder.path(), "pass", &format!("*:*:*:*:{password}\n"));
    let config = written(
        folder.path(),
        "job.toml",
        &format!("from = \"{with_password}\"\n"),
    );
    let session = database.session();
    for (at, way) in ["argument", "variable", "file", "settings"]
        .into_iter()
        .enumerate()
    {
        let root = S3Root::new("secrets");
        let mut command = export(&bare, &root.url());
        match way {
            "argument" => command = export(&with_password, &root.url()),
            "variable" => drop(command.env("PGPASSWORD", &password)),
            "file" => drop(command.env("PGPASSFILE", &passfile)),
            _ => {
                command = rig::pgsluice();
                command.args([
                    "export",
                    "--table",
                    "t",
                    "--to",
                    &root.url(),
                    "--config",
                    &config,
                ]);
            }
        }
        root.equip(&mut command).arg("--pause-between-chunks=20ms");
        loud(&mut command, at % 2 == 0);
        let sessions = std::thread::scope(|scope| {
            let run = scope.spawn(|| watched(way, &mut command, &keys).expect_code(0));
            let mut seen = String::new();
            while !run.is_finished() {
                let rows = session.query_text(
                    "SELECT application_name, query FROM pg_stat_activity
                     WHERE datname = current_database() AND pid <> pg_backend_pid()",
                );
                seen += &format!("{rows:?}");
                std::thread::sleep(Duration::from_millis(20));
            }
            let outcome = run.join().expect("the run is watched to its end");
            let warned = outcome.stderr.contains("PGPASSWORD");
            assert_eq!(warned, way == "argument", "{outcome}");
            seen
        });
        assert!(sessions.contains("pgsluice "), "no session was seen");
        assert_hidden("pg_stat_activity", sessions.as_bytes(), &keys);
        assert_objects_hide(&root, &keys[..2], &cell);
        for verb in ["verify", "status"] {
            let mut command = rig::pgsluice();
            root.equip(command.args([verb, &root.url()]));
            loud(&mut command, at % 2 == 1);
            watched(verb, &mut command, &keys).expect_code(0);
        }
    }
}

#[test]
fn killed_and_fenced_runs_leave_no_secret() {
    let database = Database::create("secrets_killed");
    let cell = canary();
    table(&database, &cell);
    let (password, bare) = scram(&database);
    let secrets = [password.clone(), cell.clone()];
    let root = TempRoot::new();
    let begin = || {
        let mut command = export(&bare, &root.url());
        command
            .env("PGPASSWORD", &password)
            .args(["--takeover", "--workers", "1"]);
        loud(&mut command, false);
        command
    };
    let logged = |entries: usize| {
        let until = Instant::now() + LIMIT;
        while root.list("public/t/_pgsluice/log").len() < entries && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let mut killed = rig::start(begin().arg("--pause-between-chunks=5s"));
    logged(3);
    killed.kill();
    assert_hidden("killed", killed.stderr().as_bytes(), &secrets);
    let fenced = rig::start(begin().arg("--pause-between-chunks=2s"));
    logged(5);
    watched("taking over", &mut begin(), &secrets).expect_code(0);
    let outcome = fenced.wait(LIMIT).expect_code(6);
    assert_hidden("fenced", outcome.to_string().as_bytes(), &secrets);
    assert_objects_hide(&root, &secrets[..1], &cell);
}

#[test]
fn a_shown_secret_is_found_in_each_form() {
    let secret = canary();
    for text in [
        format!("password={secret}"),
        format!("...{}", &secret[..20]),
        format!("Basic {}", base64(secret.as_bytes())),
        percent(&secret),
    ] {
        assert!(found(text.as_bytes(), &secret).is_some(), "{text}");
    }
    assert!(found(canary().as_bytes(), &secret).is_none());
    let caught = std::panic::catch_unwind(|| {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "echo $SECRET >&2"])
            .env("SECRET", &secret);
        watched("a shell", &mut shell, std::slice::from_ref(&secret));
    });
    assert!(caught.is_err());
}
