//! The command line as a script meets it: help, exit codes, what is printed where, what never is.
//!
//! Nothing here needs a server: each case ends before one is asked, or asks where none listens.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A closed port: nothing listens on 1, and the kernel says so at once.
const NOWHERE: &str = "host=127.0.0.1 port=1 user=nobody dbname=nothing connect_timeout=5";

/// The binary, away from this machine's own settings.
fn pgsluice() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgsluice"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("PGSLUICE_") || name.starts_with("PG") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    pgsluice().args(args).output().expect("the binary starts")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("the binary ends by itself")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("output is UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("output is UTF-8")
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("the folder can be written to");
    path.to_str().expect("temporary paths are UTF-8").to_owned()
}

#[test]
fn help_teaches_commands_settings_and_exit_codes() {
    let root = run(&["--help"]);
    assert_eq!(code(&root), 0);
    for said in [
        "export",
        "plan",
        "status",
        "types",
        "completions",
        "PGSLUICE_",
        "Examples:",
        "130  stopped",
    ] {
        assert!(stdout(&root).contains(said), "{said}");
    }
    for command in ["export", "plan", "status", "types", "completions"] {
        let help = run(&[command, "--help"]);
        assert_eq!(code(&help), 0, "{command}");
        assert!(stdout(&help).contains("Examples:"), "{command}");
        assert!(stderr(&help).is_empty(), "{command}");
        assert!(
            stdout(&help)
                .lines()
                .all(|line| line.chars().count() <= 100),
            "{command}"
        );
    }
    assert!(stdout(&run(&["--version"])).starts_with("pgsluice "));
}

#[test]
fn usage_errors_end_with_2_on_standard_error() {
    let cases: &[&[&str]] = &[
        &[],
        &["exprot"],
        &["export", "--no-such-flag"],
        &["export", "--output", "xml", "--table", "t"],
        &["export", "-v", "-q", "--table", "t"],
        &["completions", "tcsh"],
        &["export", "--to", "x"],
        &["export", "--table", "t"],
        &["export", "--table", "a.b.c", "--to", "x"],
        &["export", "--table", "t", "--to", "x", "--workers", "0"],
        &["export", "--table", "t", "--to", "x", "--chunk-by", "hash"],
        &[
            "export",
            "--table",
            "t",
            "--to",
            "x",
            "--columns",
            "a",
            "--exclude-columns",
            "b",
        ],
        &["plan", "--table", "t", "--chunk-bytes", "1"],
        &["plan", "--table", "t", "--lock-timeout", "5"],
        &["plan", "--table", "t", "--config", "/no/such/file.toml"],
        &["status"],
    ];
    for args in cases {
        let output = run(args);
        assert_eq!(code(&output), 2, "{args:?}: {}", stderr(&output));
        assert!(stdout(&output).is_empty(), "{args:?}");
        assert!(!stderr(&output).is_empty(), "{args:?}");
    }
}

#[test]
fn an_error_says_where_the_bad_value_stood() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = write(folder.path(), "job.toml", "table = 't'\nworkers = 'few'\n");
    let args = ["plan", "--config", &file];
    assert!(
        stderr(&run(&args)).contains("workers in "),
        "{}",
        stderr(&run(&args))
    );
    let env = pgsluice()
        .args(args)
        .env("PGSLUICE_WORKERS", "many")
        .output()
        .expect("it starts");
    assert!(
        stderr(&env).starts_with("error: PGSLUICE_WORKERS: expected"),
        "{}",
        stderr(&env)
    );
    let flag = pgsluice()
        .args(args)
        .args(["-w", "none"])
        .env("PGSLUICE_WORKERS", "2")
        .output();
    let flag = flag.expect("it starts");
    assert!(
        stderr(&flag).starts_with("error: --workers: expected"),
        "{}",
        stderr(&flag)
    );
}

#[test]
fn an_unknown_key_of_the_file_is_refused_with_the_nearest_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = write(folder.path(), "job.toml", "tables = ['t']\n");
    let output = run(&["plan", "--config", &file]);
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains("unknown key \"tables\""),
        "{}",
        stderr(&output)
    );
    assert!(
        stderr(&output).contains("advice: did you mean table?"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn an_error_as_json_is_one_document_on_standard_output() {
    let output = run(&["plan", "--table", "a.b.c", "--output", "json"]);
    assert_eq!(code(&output), 2);
    let document: Value = serde_json::from_str(&stdout(&output)).expect("one JSON document");
    assert_eq!(document["ok"], false);
    assert_eq!(document["exit_code"], 2);
    let error = document["error"].as_object().expect("an object");
    let fields: Vec<_> = error.keys().map(String::as_str).collect();
    assert_eq!(
        fields,
        [
            "kind",
            "message",
            "table",
            "chunk",
            "causes",
            "advice",
            "retryable"
        ]
    );
    assert_eq!(error["kind"], "config");
    assert!(
        stderr(&output).starts_with("error: "),
        "{}",
        stderr(&output)
    );
}

#[test]
fn json_logs_keep_standard_error_json_line_by_line() {
    let args = [
        "plan",
        "--table",
        "t",
        "--from",
        NOWHERE,
        "--output",
        "json",
        "--log-format",
        "json",
    ];
    let output = run(&args);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    for line in stderr(&output).lines() {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        assert!(line.is_object());
    }
}

#[test]
fn a_server_that_is_not_there_ends_with_3_for_every_form_of_output() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lake = folder.path().join("lake");
    let lake = lake.to_str().expect("temporary paths are UTF-8");
    for args in [
        &["export", "--table", "t", "--to", lake, "--from", NOWHERE][..],
        &["plan", "--table", "t", "--from", NOWHERE],
    ] {
        let text = run(args);
        assert_eq!(code(&text), 3, "{}", stderr(&text));
        assert!(stdout(&text).is_empty());
        assert!(stderr(&text).contains("error: "), "{}", stderr(&text));
        let json = run(&[args, &["--output=json"]].concat());
        let document: Value = serde_json::from_str(&stdout(&json)).expect("one JSON document");
        assert_eq!(document["error"]["kind"], "source");
    }
}

#[test]
fn a_password_is_warned_of_and_never_shown() {
    let secret = "hunter2canary";
    let uri = format!("postgresql://nobody:{secret}@127.0.0.1:1/nothing?connect_timeout=5");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = write(
        folder.path(),
        "job.toml",
        &format!("table = 't'\nfrom = '{uri}'\n"),
    );
    let broken = write(folder.path(), "broken.toml", &format!("from = '{uri}\n"));
    let cases: &[&[&str]] = &[
        &["plan", "--table", "t", "--from", &uri, "-vv"],
        &[
            "plan",
            "--table",
            "t",
            "--from",
            &uri,
            "--output",
            "json",
            "--log-format",
            "json",
        ],
        &["plan", "--config", &file, "-vv"],
        &["plan", "--config", &broken],
        &["plan", &uri],
        &["plan", "--table", &uri],
        &["export", "--columns", &uri, "--table", "t"],
        &["status", &uri, "extra"],
    ];
    for args in cases {
        let output = run(args);
        assert_ne!(code(&output), 0);
        let shown = stdout(&output) + &stderr(&output);
        assert!(!shown.contains(secret), "{args:?}: {shown}");
    }
    let warned = |output: Output| stderr(&output).contains("PGPASSWORD");
    assert!(warned(run(cases[0])));
    assert!(!warned(run(cases[2])));
}

#[test]
fn colours_stay_out_of_pipes() {
    let output = pgsluice()
        .args(["plan", "--table", "a.b.c"])
        .env("TERM", "xterm-256color")
        .output();
    let output = output.expect("it starts");
    assert!(!output.stderr.contains(&0x1b), "{}", stderr(&output));
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = run(&["completions", shell]);
        assert_eq!(code(&output), 0, "{shell}");
        assert!(stdout(&output).contains("require-consistent"), "{shell}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    for args in [&["completions", "bash"][..], &["export", "--help"]] {
        let mut child = pgsluice()
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("the binary ends");
        assert_eq!(code(&output), 0, "{args:?}");
        assert!(stderr(&output).is_empty(), "{args:?}: {}", stderr(&output));
    }
}
