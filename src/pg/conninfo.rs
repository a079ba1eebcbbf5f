//! Where and how to connect: typed options, by libpq's rules and defaults.
//!
//! Owns [`ConnectOptions`] and the meaning of each parameter. It opens no connection and reads
//! no certificate: `connect` and `tls` do. Passwords stay in `SecretString`.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use crate::error::{Error, ErrorKind, Result};
use crate::pg::local_files::{PasswordFor, find_password};
use crate::pg::params::{LocalFile, Params, Surroundings, bad, number, one_of, seconds};
use crate::pg::tls_params::{TlsOptions, read_tls};

/// How long one connection attempt may take, TLS and login included, unless
/// `connect_timeout` says otherwise.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a server may be silent before it is asked, over another connection, whether it works.
pub(crate) const DEFAULT_SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// Where PostgreSQL's socket is looked for when no host is given.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// Where the source is and how to log in to it. Cheap to clone; `Debug` shows no secret.
#[derive(Clone)]
pub struct ConnectOptions {
    pub(super) hosts: Vec<HostSpec>,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) options: Option<String>,
    pub(super) tls: TlsOptions,
    pub(super) channel_binding: ChannelBinding,
    pub(super) connect_timeout: Duration,
    pub(super) target: TargetSession,
    pub(super) is_shuffled: bool,
    pub(super) keepalive: Keepalive,
    pub(super) silence_limit: Duration,
}

/// One server to try.
#[derive(Clone)]
pub(super) struct HostSpec {
    pub(super) address: HostAddress,
    pub(super) port: u16,
    pub(super) password: Option<SecretString>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostAddress {
    /// The folder of a Unix socket.
    Unix(PathBuf),
    /// A name that certificates are checked against, and the address where it is given.
    Tcp { name: String, addr: Option<IpAddr> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChannelBinding {
    Disable,
    Prefer,
    Require,
}

/// Which servers of several will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TargetSession {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// TCP liveness, so that a vanished server is noticed within about a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keepalive {
    pub(super) is_on: bool,
    pub(super) idle: Duration,
    pub(super) interval: Duration,
    pub(super) count: u32,
    pub(super) user_timeout: Duration,
}

impl ConnectOptions {
    /// Options by libpq's rules: a URI or `key=value` pairs, then a service file, then `PG*`
    /// variables, then defaults. `None` uses the environment alone.
    ///
    /// Reads the password, service and certificate files; opens no connection.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for text, keys or values that cannot be read,
    /// [`ErrorKind::Unsupported`] for a parameter that must not be ignored. No message quotes
    /// the connection string.
    pub fn from_dsn(dsn: Option<&str>) -> Result<Self> {
        let env = |name: &str| std::env::var(name).ok();
        Self::resolve(
            dsn,
            &Surroundings {
                env: &env,
                file: &read_local,
            },
        )
    }

    /// Where this leads, for people: `host:port/database as user`. No secret.
    #[must_use]
    pub fn target(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(HostSpec::shown).collect();
        format!("{}/{} as {}", hosts.join(","), self.database, self.user)
    }

    /// The same with another limit on a server's silence.
    #[must_use]
    pub(crate) fn with_silence_limit(&self, limit: Duration) -> Self {
        Self {
            silence_limit: limit,
            ..self.clone()
        }
    }

    pub(super) fn resolve(dsn: Option<&str>, around: &Surroundings<'_>) -> Result<Self> {
        let params = Params::gather(dsn, around)?;
        let user = match params.get("user") {
            Some(user) => user.to_owned(),
            None => system_user(around)?,
        };
        let database = params.get("dbname").unwrap_or(&user).to_owned();
        let mut hosts = read_hosts(&params)?;
        set_passwords(&mut hosts, &user, &database, &params, around)?;
        let timeout = seconds(&params, "connect_timeout")?.filter(|timeout| !timeout.is_zero());
        Ok(Self {
            hosts,
            user,
            database,
            options: params.get("options").map(str::to_owned),
            tls: read_tls(&params, around)?,
            channel_binding: one_of(&params, "channel_binding", CHANNEL_BINDINGS)?,
            connect_timeout: timeout.unwrap_or(DEFAULT_CONNECT_TIMEOUT),
            target: one_of(&params, "target_session_attrs", TARGETS)?,
            is_shuffled: one_of(
                &params,
                "load_balance_hosts",
                &[("disable", false), ("random", true)],
            )?,
            keepalive: read_keepalive(&params)?,
            silence_limit: DEFAULT_SILENCE_LIMIT,
        })
    }
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("target", &self.target())
            .field("sslmode", &self.tls.mode)
            .finish_non_exhaustive()
    }
}

impl HostSpec {
    /// `name:port`, or the socket's path.
    pub(super) fn shown(&self) -> String {
        match &self.address {
            HostAddress::Unix(folder) => format!("{}:{}", folder.display(), self.port),
            HostAddress::Tcp { name, .. } if name.contains(':') => {
                format!("[{name}]:{}", self.port)
            }
            HostAddress::Tcp { name, .. } => format!("{name}:{}", self.port),
        }
    }

    pub(super) fn is_unix(&self) -> bool {
        matches!(self.address, HostAddress::Unix(_))
    }
}

const CHANNEL_BINDINGS: &[(&str, ChannelBinding)] = &[
    ("prefer", ChannelBinding::Prefer),
    ("disable", ChannelBinding::Disable),
    ("require", ChannelBinding::Require),
];

const TARGETS: &[(&str, TargetSession)] = &[
    ("any", TargetSession::Any),
    ("read-write", TargetSession::ReadWrite),
    ("read-only", TargetSession::ReadOnly),
    ("primary", TargetSession::Primary),
    ("standby", TargetSession::Standby),
    ("prefer-standby", TargetSession::PreferStandby),
];

/// The operating system's user, as far as the environment tells.
fn system_user(around: &Surroundings<'_>) -> Result<String> {
    let named = |name: &&str| (around.env)(name).filter(|user| !user.is_empty());
    ["USER", "LOGNAME"].iter().find_map(named).ok_or_else(|| {
        Error::new(ErrorKind::Config, "no user is given")
            .with_advice("name one in the connection string (user=…) or in PGUSER")
    })
}

fn read_hosts(params: &Params) -> Result<Vec<HostSpec>> {
    let list = |key: &str| -> Vec<String> {
        let items = params.get(key).into_iter().flat_map(|list| list.split(','));
        items.map(|item| item.trim().to_owned()).collect()
    };
    let (names, addrs, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = names.len().max(addrs.len());
    if !names.is_empty() && !addrs.is_empty() && names.len() != addrs.len() {
        return Err(bad("hostaddr", "its entries do not match those of host"));
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(bad("port", "its entries do not match those of host"));
    }
    let text_of = |list: &[String], at: usize| list.get(at).cloned().unwrap_or_default();
    let mut hosts = Vec::new();
    for at in 0..count.max(1) {
        let port = if ports.len() == 1 {
            ports[0].clone()
        } else {
            text_of(&ports, at)
        };
        let port = match port.as_str() {
            "" => 5432,
            text => match text.parse::<u16>() {
                Ok(port) if port > 0 => port,
                _ => return Err(bad("port", "not a number from 1 to 65535")),
            },
        };
        for address in addresses(text_of(&names, at), &text_of(&addrs, at))? {
            hosts.push(HostSpec {
                address,
                port,
                password: None,
            });
        }
    }
    Ok(hosts)
}

/// One entry of `host` and `hostaddr`; without either, the usual socket folders.
fn addresses(name: String, addr: &str) -> Result<Vec<HostAddress>> {
    let addr = match addr {
        "" => None,
        text => Some(
            text.parse::<IpAddr>()
                .map_err(|_| bad("hostaddr", "not an IP address"))?,
        ),
    };
    if name.starts_with('@') {
        return Err(bad("host", "abstract socket names are not supported"));
    }
    Ok(match (name.as_str(), addr) {
        ("", None) => SOCKET_FOLDERS
            .map(|folder| HostAddress::Unix(folder.into()))
            .to_vec(),
        ("", Some(addr)) => vec![HostAddress::Tcp {
            name: addr.to_string(),
            addr: Some(addr),
        }],
        (folder, None) if folder.starts_with('/') => vec![HostAddress::Unix(folder.into())],
        (_, addr) => vec![HostAddress::Tcp { name, addr }],
    })
}

fn set_passwords(
    hosts: &mut [HostSpec],
    user: &str,
    database: &str,
    params: &Params,
    around: &Surroundings<'_>,
) -> Result<()> {
    if let Some(password) = params.get("password") {
        for host in hosts {
            host.password = Some(SecretString::from(password.to_owned()));
        }
        return Ok(());
    }
    let path = match params.get("passfile") {
        Some(path) => Some(PathBuf::from(path)),
        None => around.home(".pgpass"),
    };
    let Some((path, file)) = path.and_then(|path| {
        let file = around.read(&path).transpose()?;
        Some((path, file))
    }) else {
        return Ok(());
    };
    let file = file?;
    if file.is_shared {
        tracing::warn!(
            file = %path.display(),
            "password file ignored: group or others can access it; its mode should be 0600"
        );
        return Ok(());
    }
    let text = String::from_utf8_lossy(&file.bytes);
    for host in hosts {
        let name = match &host.address {
            HostAddress::Tcp { name, .. } => name.clone(),
            // libpq looks the usual socket folder up as localhost.
            HostAddress::Unix(folder) if SOCKET_FOLDERS.iter().any(|f| Path::new(f) == folder) => {
                "localhost".to_owned()
            }
            HostAddress::Unix(folder) => folder.display().to_string(),
        };
        let wanted = PasswordFor {
            host: &name,
            port: host.port,
            database,
            user,
        };
        host.password = find_password(&text, wanted).map(SecretString::from);
    }
    Ok(())
}

fn read_keepalive(params: &Params) -> Result<Keepalive> {
    let or = |given: Option<Duration>, default: u64| match given {
        Some(given) if !given.is_zero() => given,
        _ => Duration::from_secs(default),
    };
    let user_timeout = number::<u64>(params, "tcp_user_timeout")?.map(Duration::from_millis);
    let count = number::<u32>(params, "keepalives_count")?.filter(|count| *count > 0);
    Ok(Keepalive {
        is_on: params.get("keepalives") != Some("0"),
        idle: or(seconds(params, "keepalives_idle")?, 30),
        interval: or(seconds(params, "keepalives_interval")?, 10),
        count: count.unwrap_or(3),
        user_timeout: or(user_timeout, 60),
    })
}

/// Reads a file that may be missing. A folder in its place counts as missing.
fn read_local(path: &Path) -> std::io::Result<Option<LocalFile>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            use std::io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
            let missing = matches!(error.kind(), NotFound | NotADirectory | IsADirectory);
            return if missing { Ok(None) } else { Err(error) };
        }
    };
    Ok(Some(LocalFile {
        bytes,
        is_shared: is_shared(path)?,
    }))
}

#[cfg(unix)]
fn is_shared(path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path)?;
    // libpq's rule for keys: a file of root's may be read by its group.
    let forbidden = if meta.uid() == 0 { 0o037 } else { 0o077 };
    Ok(meta.mode() & forbidden != 0)
}

#[cfg(not(unix))]
fn is_shared(_path: &Path) -> std::io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
#[path = "conninfo_tests.rs"]
mod tests;
