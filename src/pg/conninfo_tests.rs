//! libpq's rules, with a given environment and given files.

use secrecy::ExposeSecret;

use super::*;

type Files<'a> = &'a [(&'a str, &'a str, bool)];

fn resolve(dsn: &str, env: &[(&str, &str)], files: Files<'_>) -> Result<ConnectOptions> {
    let around = Surroundings {
        env: &|name| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()),
        file: &|path| {
            let file = files.iter().find(|(name, _, _)| Path::new(name) == path);
            Ok(file.map(|(_, text, is_shared)| LocalFile {
                bytes: text.as_bytes().to_vec(),
                is_shared: *is_shared,
            }))
        },
    };
    ConnectOptions::resolve(Some(dsn), &around)
}

fn password(options: &ConnectOptions, host: usize) -> Option<&str> {
    options.hosts[host].password.as_ref().map(|password| password.expose_secret())
}

const ME: &[(&str, &str)] = &[("USER", "me"), ("HOME", "/h")];

#[test]
fn defaults_are_libpqs() {
    let options = resolve("", ME, &[]).unwrap();
    assert_eq!(options.target(), "/var/run/postgresql:5432,/tmp:5432/me as me");
    assert_eq!(options.tls.mode, SslMode::Prefer);
    assert_eq!(options.connect_timeout, DEFAULT_CONNECT_TIMEOUT);
    assert_eq!(resolve("", &[], &[]).unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn several_hosts_take_one_port_or_their_own() {
    let shown = |dsn: &str| resolve(dsn, ME, &[]).unwrap().target();
    assert_eq!(shown("host=a,b port=1 dbname=d"), "a:1,b:1/d as me");
    assert_eq!(shown("postgres://u@a:1,[::1],/d"), "a:1,[::1]:5432,/var/run/postgresql:5432,/tmp:5432/d as u");
    assert_eq!(shown("hostaddr=127.0.0.1 dbname=d"), "127.0.0.1:5432/d as me");
    for bad in ["host=a,b port=1,2,3", "host=a port=x", "host=a port=0", "hostaddr=x", "host=@a"] {
        assert_eq!(resolve(bad, ME, &[]).unwrap_err().kind(), ErrorKind::Config, "{bad}");
    }
}

#[test]
fn the_password_file_serves_each_host_unless_others_can_read_it() {
    let text = "a:*:*:*:pa\nlocalhost:*:*:*:pl\n";
    let dsn = "host=a,b,/tmp";
    let options = resolve(dsn, ME, &[("/h/.pgpass", text, false)]).unwrap();
    assert_eq!(password(&options, 0), Some("pa"));
    assert_eq!(password(&options, 1), None);
    assert_eq!(password(&options, 2), Some("pl"));
    let options = resolve(dsn, ME, &[("/h/.pgpass", text, true)]).unwrap();
    assert_eq!(password(&options, 0), None);
    let options = resolve("host=a password=x", ME, &[("/h/.pgpass", text, false)]).unwrap();
    assert_eq!(password(&options, 0), Some("x"));
}

#[test]
fn no_output_shows_a_password() {
    let options = resolve("postgres://u:hunter2@h/d", ME, &[]).unwrap();
    assert!(!format!("{options:?} {}", options.target()).contains("hunter2"));
    let error = resolve("postgres://u:hunter2@h/d?sslmode=hunter2", ME, &[]).unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[test]
fn tls_follows_sslmode_and_the_files() {
    let tls = |dsn: &str, files: Files<'_>| resolve(dsn, ME, files).map(|options| options.tls);
    let root = &[("/h/.postgresql/root.crt", "PEM", false)];
    assert!(matches!(tls("sslmode=require", root).unwrap().roots, Roots::Pem { .. }));
    assert_eq!(tls("sslmode=disable", root).unwrap().roots, Roots::None);
    assert_eq!(tls("sslrootcert=system", &[]).unwrap().mode, SslMode::VerifyFull);
    for bad in [
        "sslrootcert=system sslmode=require",
        "sslrootcert=/missing sslmode=require",
        "sslmode=verify",
        "sslnegotiation=direct",
        "sslcert=/missing",
        "ssl_min_protocol_version=SSLv3",
        "ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2",
    ] {
        assert_eq!(tls(bad, &[]).unwrap_err().kind(), ErrorKind::Config, "{bad}");
    }
    let shared = &[("/c", "PEM", false), ("/k", "KEY", true)];
    assert!(tls("sslcert=/c sslkey=/k", shared).is_err());
}
