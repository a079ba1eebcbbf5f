//! What goes wrong, each with secrets at hand that the message must not hold.

use std::process::Command;

use super::echo::{self, Form};
use super::{LIMIT, base64, canary, export, loud, table, watched, written};
use crate::rig::{self, Database, Root, S3Root, TempRoot};

/// Runs the command that `make` makes with each form of log; it must fail and hide the secret.
#[track_caller]
fn hides(what: &str, secrets: &[String], make: &dyn Fn() -> Command) {
    for json in [false, true] {
        let mut command = make();
        loud(&mut command, json);
        let outcome = watched(what, &mut command, secrets);
        assert!(matches!(outcome.code, Some(2..=8)), "{what}: {outcome}");
    }
}

#[test]
fn sources_that_cannot_be_reached_or_read() {
    let database = Database::create("secrets_source");
    let cell = canary();
    table(&database, &cell);
    let (_, bare) = super::scram(&database);
    let (port, secret) = (database.port(), canary());
    let secrets = [secret.clone(), cell];
    let root = TempRoot::new();
    let folder = tempfile::tempdir().unwrap();
    let with = |user: &str| bare.replace('@', &format!(":{user}@"));
    let other_ca = rig::env("PGSLUICE_TEST_OTHER_CA");
    let server = format!("127.0.0.1:{port}");
    let dsns = [
        with(&secret),
        with(&format!("p%40{secret}%2F%3A")),
        format!("postgresql://postgres:{secret}@no-such-host.invalid/db"),
        format!("postgresql://postgres:{secret}@127.0.0.1:1/db"),
        format!("postgresql://postgres:{secret}@{server}/no_such_database"),
        format!("postgresql://postgres:{secret}@{server}/postgres"),
        format!(
            "postgresql://postgres:{secret}@{server}/db?sslmode=verify-full&sslrootcert={other_ca}"
        ),
        format!(
            "postgresql://postgres:{secret}@{server}/db?sslmode=verify-ca&sslrootcert=/nowhere"
        ),
        format!("postgresql://postgres:{secret}@{server}/db?no_such_key={secret}"),
        format!("postgresql://u:{secret}@h:port/db"),
        format!("postgresql//u:{secret}@h/db"),
        format!("postgresql://u:{secret}@[::1/db"),
        format!("postgresql://u:{secret}%zz@h/db"),
        format!("mysql://u:{secret}@h/db"),
        format!("host=h password='{secret}"),
        format!("password={secret} nonsense"),
        format!("pasword={secret} host=h"),
        format!("host=h port={secret}"),
        format!("host=127.0.0.1 port={port} user=pgsluice_scram password = {secret}"),
    ];
    for dsn in &dsns {
        let shown = dsn.replace(&secret, "SECRET");
        hides(&shown, &secrets, &|| export(dsn, &root.url()));
        hides(&format!("PGSLUICE_FROM {shown}"), &secrets, &|| {
            let mut command = rig::pgsluice();
            command.args(["plan", "--table", "t", "--to", &root.url()]);
            command.env("PGSLUICE_FROM", dsn);
            command
        });
    }
    let passfile = written(folder.path(), "pass", &format!("*:*:*:*:{secret}\n"));
    let services =
        format!("[one]\nhost=127.0.0.1\nport={port}\nuser=pgsluice_scram\npassword={secret}\n");
    let services = written(folder.path(), "services", &services);
    let broken = written(
        folder.path(),
        "broken",
        &format!("[one]\npassword {secret}\n"),
    );
    for (name, value, dsn) in [
        ("PGPASSWORD", &secret, bare.as_str()),
        ("PGPASSFILE", &passfile, &bare),
        ("PGSERVICEFILE", &services, "service=one"),
        ("PGSERVICEFILE", &broken, "service=one"),
    ] {
        hides(name, &secrets, &|| {
            let mut command = export(dsn, &root.url());
            command.env(name, value);
            command
        });
    }
}

#[test]
fn rows_that_cannot_be_read() {
    let database = Database::create("secrets_rows");
    let cell = canary();
    table(&database, &cell);
    database.execute(&format!(
        "CREATE FUNCTION complain(text) RETURNS int LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'cannot take %', $1 USING DETAIL = $1, HINT = $1; END $$;
         CREATE VIEW v AS SELECT id, complain(note) AS n FROM t;
         CREATE TABLE far (id int PRIMARY KEY, note text, at date);
         INSERT INTO far VALUES (1, '{cell}', 'infinity')"
    ));
    let secrets = [cell];
    let queries = [
        "SELECT id, note::int AS n FROM t",
        "SELECT id, note::date AS n FROM t",
        "SELECT id, note::uuid AS n FROM t",
        "SELECT id, note::json AS n FROM t",
        "SELECT * FROM v",
        "SELECT id, at, note FROM far",
    ];
    for query in queries {
        let root = TempRoot::new();
        hides(query, &secrets, &|| {
            let mut command = rig::pgsluice();
            command.args(["export", "--query", query, "--name", "q", "--takeover"]);
            command.args(["--from", &database.dsn(), "--to", &root.url()]);
            command
        });
        for key in root.list("").keys() {
            let bytes = root.get(key).expect("a listed object");
            super::assert_hidden(key, &bytes, &secrets);
        }
    }
}

#[test]
fn settings_that_are_wrong() {
    let secret = canary();
    let secrets = [secret.clone()];
    let folder = tempfile::tempdir().unwrap();
    let dsn = format!("postgresql://u:{secret}@127.0.0.1:1/db");
    let files = [
        format!("from = \"{dsn}\ntable = 't'\n"),
        format!("frm = \"{dsn}\"\n"),
        format!("{secret} = 1\nfrom = 3\n").replace(&secret, "unknown"),
        format!("from = {{ a = \"{dsn}\" }}\n"),
        format!("chunk-rows = \"{secret}\"\nfrom = \"{dsn}\"\n"),
        format!("store-option = \"{secret}\"\nfrom = \"{dsn}\"\n"),
        format!(
            "[store-option]\naws_secret_access_key = \"{secret}\"\naws_nothing = \"{secret}\"\n"
        ),
    ];
    for file in files {
        let path = written(folder.path(), "job.toml", &file);
        hides(&file.replace(&secret, "SECRET"), &secrets, &|| {
            let mut command = rig::pgsluice();
            command.args([
                "export", "--table", "t", "--to", "s3://b/x", "--config", &path,
            ]);
            command
        });
    }
}

#[test]
fn command_lines_that_are_wrong() {
    let secret = canary();
    let secrets = [secret.clone()];
    let folder = tempfile::tempdir().unwrap();
    let dsn = format!("postgresql://u:{secret}@127.0.0.1:1/db");
    let to = folder.path().display().to_string();
    let lines: [&[&str]; 8] = [
        &["--form", &dsn],
        &[
            "--from", &dsn, "--table", "t", "--query", "SELECT 1", "--name", "q",
        ],
        &[
            "--from",
            &dsn,
            "--table",
            "t",
            "--store-option",
            &format!("aws_secret_access_key={secret}"),
        ],
        &["--from", &dsn, "--table", "t", "--chunk-rows", &dsn],
        &["--from", &dsn, "--table", &dsn],
        &["--from", &dsn, "--snapshot", "1", "--table", "t", &dsn],
        &[
            "--from",
            &dsn,
            "--table",
            "t",
            "--output",
            &format!("aws_session_token={secret}"),
        ],
        &["--from", &dsn, "--table", "t", "--config", "/nowhere"],
    ];
    for line in lines {
        hides(
            &line.join(" ").replace(&secret, "SECRET"),
            &secrets,
            &|| {
                let mut command = rig::pgsluice();
                command.args(["export", "--to", &to]).args(line);
                command
            },
        );
    }
}

#[test]
fn urls_that_hold_secrets() {
    let secret = canary();
    let secrets = [secret.clone()];
    let dsn = format!("postgresql://u:{secret}@127.0.0.1:1/db");
    for url in [
        format!("s3://key:{secret}@bucket/x"),
        format!("https://a.blob.core.windows.net/c/x?sv=1&sig={secret}"),
        format!("s3://bucket/x?X-Amz-Signature={secret}"),
        format!("az://c/x#{secret}"),
        format!("s4://u:{secret}@bucket"),
        format!("s3://u:{secret}@["),
    ] {
        for verb in ["export", "verify", "status"] {
            hides(
                &format!("{verb} {}", url.replace(&secret, "SECRET")),
                &secrets,
                &|| {
                    let mut command = rig::pgsluice();
                    match verb {
                        "export" => {
                            command.args([verb, "--table", "t", "--from", &dsn, "--to", &url])
                        }
                        _ => command.args([verb, &url]),
                    };
                    command
                },
            );
        }
    }
}

#[test]
fn stores_that_refuse_or_cannot_be_reached() {
    let (secret, token) = (canary(), canary());
    let secrets = [secret.clone(), token.clone()];
    let good = S3Root::new("secrets-refused");
    let nowhere = format!("http://user:{secret}@127.0.0.1:1");
    let cases: [&[(&str, &str)]; 6] = [
        &[("AWS_SECRET_ACCESS_KEY", &secret)],
        &[
            ("AWS_SECRET_ACCESS_KEY", &secret),
            ("AWS_SESSION_TOKEN", &token),
        ],
        &[
            ("AWS_SECRET_ACCESS_KEY", &secret),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ],
        &[("AWS_ENDPOINT_URL", &nowhere)],
        &[
            ("AWS_SECRET_ACCESS_KEY", &secret),
            ("AWS_ALLOW_HTTP", &secret),
        ],
        &[
            ("AWS_SECRET_ACCESS_KEY", &secret),
            ("AWS_ENDPOINT_URL", "not a url"),
        ],
    ];
    for case in cases {
        let names: Vec<_> = case.iter().map(|(name, _)| *name).collect();
        hides(&names.join(" "), &secrets, &|| {
            let mut command = rig::pgsluice();
            good.equip(command.args(["status", &good.url()]));
            command.envs(case.iter().copied());
            command
        });
    }
    hides("no such bucket", &secrets, &|| {
        let mut command = rig::pgsluice();
        good.equip(command.args(["verify", "s3://no-such-bucket-here/x"]));
        command.env("AWS_SESSION_TOKEN", &token);
        command
    });
}

#[test]
fn stores_that_repeat_what_they_were_sent() {
    let database = Database::create("secrets_echo");
    database.execute("CREATE TABLE t (id int PRIMARY KEY)");
    let (secret, token) = (canary(), canary());
    let secrets = [secret.clone(), token.clone()];
    let account_key = base64(secret.as_bytes());
    let sas = format!("sv=2024-01-01&sp=rwdl&sig={token}");
    let service_account = format!("{{\"private_key\": \"{secret}\", \"client_email\": 3}}");
    for (status, form) in [
        ("403 Forbidden", Form::Xml),
        ("400 Bad Request", Form::Json),
        ("403 Forbidden", Form::Json),
        ("400 Bad Request", Form::Plain),
        ("401 Unauthorized", Form::Plain),
    ] {
        let address = echo::start(status, form);
        let http = format!("http://{address}");
        let azure = format!("{http}/account");
        let set = Set {
            http: &http,
            azure: &azure,
            secret: &secret,
            token: &token,
            account_key: &account_key,
            sas: &sas,
            service_account: &service_account,
        };
        let stores = set.stores();
        for (url, env) in stores {
            for verb in ["export", "status"] {
                hides(
                    &format!("{verb} {url}, {status}, {form:?}"),
                    &secrets,
                    &|| {
                        let mut command = rig::pgsluice();
                        command.arg(verb).envs(env.iter().copied());
                        match verb {
                            "export" => command.args([
                                "--table",
                                "t",
                                "--to",
                                url,
                                "--from",
                                &database.dsn(),
                            ]),
                            _ => command.arg(url),
                        };
                        command
                    },
                );
            }
        }
    }
}

#[test]
fn an_argument_with_a_password_is_warned_of() {
    let secret = canary();
    let root = TempRoot::new();
    let dsn = format!("postgresql://u:{secret}@127.0.0.1:1/db");
    let outcome = rig::run(&mut export(&dsn, &root.url()), LIMIT).expect_code(3);
    assert!(outcome.stderr.contains("PGPASSWORD"), "{outcome}");
    super::assert_hidden("stderr", outcome.stderr.as_bytes(), &[secret]);
}

/// What the stores of one test are reached by.
struct Set<'a> {
    http: &'a str,
    azure: &'a str,
    secret: &'a str,
    token: &'a str,
    account_key: &'a str,
    sas: &'a str,
    service_account: &'a str,
}

impl<'a> Set<'a> {
    /// A URL and the environment, of each kind of store and of credentials.
    fn stores(&self) -> [(&'static str, Vec<(&'static str, &'a str)>); 4] {
        [
            (
                "s3://bucket/x",
                vec![
                    ("AWS_ACCESS_KEY_ID", "key"),
                    ("AWS_SECRET_ACCESS_KEY", self.secret),
                    ("AWS_SESSION_TOKEN", self.token),
                    ("AWS_ENDPOINT_URL", self.http),
                    ("AWS_ALLOW_HTTP", "true"),
                ],
            ),
            (
                "az://container/x",
                vec![
                    ("AZURE_STORAGE_ACCOUNT_NAME", "account"),
                    ("AZURE_STORAGE_SAS_KEY", self.sas),
                    ("AZURE_STORAGE_ENDPOINT", self.azure),
                    ("AZURE_ALLOW_HTTP", "true"),
                ],
            ),
            (
                "az://container/x",
                vec![
                    ("AZURE_STORAGE_ACCOUNT_NAME", "account"),
                    ("AZURE_STORAGE_ACCOUNT_KEY", self.account_key),
                    ("AZURE_STORAGE_ENDPOINT", self.azure),
                    ("AZURE_ALLOW_HTTP", "true"),
                ],
            ),
            (
                "gs://bucket/x",
                vec![("GOOGLE_SERVICE_ACCOUNT_KEY", self.service_account)],
            ),
        ]
    }
}
