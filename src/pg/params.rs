//! Connection parameters as text, from the connection string, a service file and `PG*`
//! variables, in libpq's order of precedence. Pure: environment and files are given.
//!
//! Owns the list of known keys. What a value means is `conninfo`'s.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::pg::dsn;
use crate::pg::local_files::find_service;

/// A small local file, as far as the connection rules need it.
#[derive(Debug, Clone)]
pub(super) struct LocalFile {
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    /// Whether group or others have any access to it.
    pub(super) is_shared: bool,
}

/// Environment and files, so that the rules can be tested without either.
pub(super) struct Surroundings<'a> {
    /// A variable's value.
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    /// A file; `None` when there is none.
    pub(super) file: &'a dyn Fn(&Path) -> std::io::Result<Option<LocalFile>>,
}

impl Surroundings<'_> {
    /// `~/name`.
    pub(super) fn home(&self, name: &str) -> Option<PathBuf> {
        let home = (self.env)("HOME").filter(|home| !home.is_empty())?;
        Some(Path::new(&home).join(name))
    }

    /// A file that must be readable if it is there.
    pub(super) fn read(&self, path: &Path) -> Result<Option<LocalFile>> {
        (self.file)(path).map_err(|error| {
            Error::new(ErrorKind::Config, format!("cannot read {}", path.display()))
                .with_source(error)
        })
    }
}

/// What becomes of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Treatment {
    /// `conninfo` reads it.
    Used,
    /// It cannot change what is read or how safely: accepted and not needed.
    Ignored,
    /// Honouring it needs what pgsluice has not, and ignoring it would be unsafe. The values
    /// given ask for nothing.
    Refused(&'static [&'static str]),
}

use Treatment::{Ignored, Refused, Used};

/// Every key of libpq, its variable, and what becomes of it.
const KEYS: &[(&str, &str, Treatment)] = &[
    ("host", "PGHOST", Used),
    ("hostaddr", "PGHOSTADDR", Used),
    ("port", "PGPORT", Used),
    ("dbname", "PGDATABASE", Used),
    ("user", "PGUSER", Used),
    ("password", "PGPASSWORD", Used),
    ("passfile", "PGPASSFILE", Used),
    ("service", "PGSERVICE", Used),
    ("servicefile", "PGSERVICEFILE", Used),
    ("options", "PGOPTIONS", Used),
    ("connect_timeout", "PGCONNECT_TIMEOUT", Used),
    ("sslmode", "PGSSLMODE", Used),
    ("sslnegotiation", "PGSSLNEGOTIATION", Used),
    ("sslrootcert", "PGSSLROOTCERT", Used),
    ("sslcert", "PGSSLCERT", Used),
    ("sslkey", "PGSSLKEY", Used),
    ("sslsni", "PGSSLSNI", Used),
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", Used),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", Used),
    ("channel_binding", "PGCHANNELBINDING", Used),
    ("target_session_attrs", "PGTARGETSESSIONATTRS", Used),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS", Used),
    ("keepalives", "", Used),
    ("keepalives_idle", "", Used),
    ("keepalives_interval", "", Used),
    ("keepalives_count", "", Used),
    ("tcp_user_timeout", "", Used),
    ("application_name", "PGAPPNAME", Ignored),
    ("fallback_application_name", "", Ignored),
    ("client_encoding", "PGCLIENTENCODING", Ignored),
    ("sslcompression", "PGSSLCOMPRESSION", Ignored),
    ("krbsrvname", "PGKRBSRVNAME", Ignored),
    ("gsslib", "PGGSSLIB", Ignored),
    ("gssdelegation", "PGGSSDELEGATION", Ignored),
    ("min_protocol_version", "PGMINPROTOCOLVERSION", Refused(&["3.0"])),
    ("max_protocol_version", "PGMAXPROTOCOLVERSION", Ignored),
    ("gssencmode", "PGGSSENCMODE", Refused(&["disable", "prefer"])),
    ("replication", "", Refused(&["false", "off", "no", "0"])),
    ("requirepeer", "PGREQUIREPEER", Refused(&[])),
    ("require_auth", "PGREQUIREAUTH", Refused(&[])),
    ("sslpassword", "", Refused(&[])),
    ("sslcertmode", "PGSSLCERTMODE", Refused(&["allow"])),
    ("sslcrl", "PGSSLCRL", Refused(&[])),
    ("sslcrldir", "PGSSLCRLDIR", Refused(&[])),
    ("sslkeylogfile", "", Refused(&[])),
    ("scram_client_key", "", Refused(&[])),
    ("scram_server_key", "", Refused(&[])),
    ("oauth_issuer", "", Refused(&[])),
    ("oauth_client_id", "", Refused(&[])),
    ("oauth_client_secret", "", Refused(&[])),
    ("oauth_scope", "", Refused(&[])),
];

/// Parameters by key. No `Debug`: one of them is the password.
pub(super) struct Params(BTreeMap<&'static str, String>);

impl Params {
    /// Gathers all parameters: the connection string, then the service, then variables.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an unknown key or service, or text that cannot be read;
    /// [`ErrorKind::Unsupported`] for a setting that must not be ignored.
    pub(super) fn gather(dsn: Option<&str>, around: &Surroundings<'_>) -> Result<Self> {
        let mut params = Self(BTreeMap::new());
        let mut given = BTreeMap::new();
        let mut seen_password = false;
        for (key, value) in dsn::parse(dsn.unwrap_or(""))? {
            let known = known_key(&key, seen_password)?;
            seen_password |= known == "password";
            given.insert(known, value);
        }
        params.fill(given);
        let variables = KEYS.iter().filter(|(_, variable, _)| !variable.is_empty());
        let env: BTreeMap<_, _> = variables
            .filter_map(|(key, variable, _)| Some((*key, (around.env)(variable)?)))
            .collect();
        let service = params.get("service").or_else(|| env.get("service").map(String::as_str));
        if let Some(service) = service.filter(|service| !service.is_empty()) {
            let file = params.get("servicefile").or(env.get("servicefile").map(String::as_str));
            let pairs = load_service(service, file, around)?;
            params.fill(pairs);
        }
        params.fill(env);
        params.refuse_unsafe()?;
        Ok(params)
    }

    /// A parameter that has a value.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Adds what is not there yet. An empty value is as good as none.
    fn fill(&mut self, more: BTreeMap<&'static str, String>) {
        for (key, value) in more.into_iter().filter(|(_, value)| !value.is_empty()) {
            self.0.entry(key).or_insert(value);
        }
    }

    fn refuse_unsafe(&self) -> Result<()> {
        for (key, _, treatment) in KEYS {
            let (Refused(harmless), Some(value)) = (treatment, self.get(key)) else {
                continue;
            };
            if !harmless.contains(&value) {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("the connection parameter {key} is not supported with this value"),
                )
                .with_advice(format!("leave {key} out; pgsluice does not ignore it silently")));
            }
        }
        Ok(())
    }
}

/// The key as the table has it. An unknown one is shown only where no part of a password can
/// have been taken for a key.
fn known_key(key: &str, seen_password: bool) -> Result<&'static str> {
    if let Some((known, _, _)) = KEYS.iter().find(|(known, _, _)| *known == key) {
        return Ok(known);
    }
    let nearest = KEYS
        .iter()
        .map(|(known, _, _)| (*known, strsim::jaro_winkler(known, key)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .filter(|(_, score)| *score > 0.85);
    let plain = key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let message = if plain && !seen_password {
        format!("unknown connection parameter {key}")
    } else {
        "unknown connection parameter".to_owned()
    };
    let error = Error::new(ErrorKind::Config, message);
    Err(match nearest {
        Some((nearest, _)) => error.with_advice(format!("did you mean {nearest}?")),
        None => error.with_advice("see \"Parameter Key Words\" in PostgreSQL's libpq manual"),
    })
}

fn load_service(
    service: &str,
    file: Option<&str>,
    around: &Surroundings<'_>,
) -> Result<BTreeMap<&'static str, String>> {
    let mut paths: Vec<PathBuf> = match file.filter(|file| !file.is_empty()) {
        Some(file) => vec![file.into()],
        None => around.home(".pg_service.conf").into_iter().collect(),
    };
    if let Some(folder) = (around.env)("PGSYSCONFDIR") {
        paths.push(Path::new(&folder).join("pg_service.conf"));
    }
    for path in &paths {
        let Some(file) = around.read(path)? else {
            continue;
        };
        let text = String::from_utf8_lossy(&file.bytes);
        if let Some(pairs) = find_service(&text, service)? {
            let keyed = pairs.into_iter().map(|(key, value)| Ok((known_key(&key, true)?, value)));
            return keyed.collect();
        }
    }
    Err(Error::new(
        ErrorKind::Config,
        format!("the connection service {service:?} is not defined"),
    )
    .with_advice("define it in ~/.pg_service.conf, or name the file in PGSERVICEFILE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(dsn: &str, env: &[(&str, &str)]) -> Result<Params> {
        let service = "[s]\nhost=service\nport=1\n";
        let around = Surroundings {
            env: &|name| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()),
            file: &|path| {
                let is_service = path == Path::new("/home/me/.pg_service.conf");
                Ok(is_service.then(|| LocalFile { bytes: service.into(), is_shared: false }))
            },
        };
        Params::gather(Some(dsn), &around)
    }

    #[test]
    fn the_string_goes_before_the_service_and_the_service_before_variables() {
        let env = [("HOME", "/home/me"), ("PGHOST", "env"), ("PGPORT", "2"), ("PGUSER", "me")];
        let params = gather("service=s port=3 dbname=''", &env).unwrap();
        assert_eq!(params.get("host"), Some("service"));
        assert_eq!(params.get("port"), Some("3"));
        assert_eq!(params.get("user"), Some("me"));
        assert_eq!(params.get("dbname"), None);
        assert!(gather("service=t", &env).is_err());
    }

    #[test]
    fn unknown_keys_are_refused_without_showing_a_password() {
        let error = gather("sslmod=require", &[]).err().unwrap();
        assert_eq!(error.to_string(), "unknown connection parameter sslmod");
        assert_eq!(error.advice(), Some("did you mean sslmode?"));
        let error = gather("password=my hunter=2", &[]).err().unwrap();
        assert!(!format!("{error:?}").contains("hunter"));
    }

    #[test]
    fn what_must_not_be_ignored_is_refused() {
        for dsn in ["sslcrl=/x", "require_auth=scram-sha-256", "gssencmode=require"] {
            assert_eq!(gather(dsn, &[]).err().unwrap().kind(), ErrorKind::Unsupported, "{dsn}");
        }
        assert!(gather("gssencmode=prefer application_name=x", &[]).is_ok());
    }
}
