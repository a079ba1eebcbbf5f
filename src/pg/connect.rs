//! Opening a connection: hosts in turn, libpq's TLS fallbacks, login, identification.
//!
//! Owns which attempt follows which failure. Settings are pinned by `settings`, certificates
//! judged by `tls`.

use std::sync::Arc;

use chrono::DateTime;
use rand::seq::SliceRandom;
use secrecy::ExposeSecret;
use tokio::time::timeout;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::crash_point::{CrashPoint, step};
use crate::error::{Error, ErrorKind, Result};
use crate::pg::cancel::CancelHandle;
use crate::pg::conninfo::{ChannelBinding, ConnectOptions, HostAddress, HostSpec, TargetSession};
use crate::pg::error::{
    UNREACHABLE_ADVICE, is_handshake_failure, is_login_failure, source_error, sqlstate,
};
use crate::pg::session::{ServerIdentity, Session, SessionFacts, column};
use crate::pg::silence::Silence;
use crate::pg::tls_params::SslMode;
use crate::pg::{settings, tls};

/// The oldest server: earlier ones lack `pg_partition_tree` and what else planning needs.
const OLDEST_VERSION: u32 = 120_000;

/// A connection that is logged in, with no setting changed yet.
pub(super) struct RawSession {
    pub(super) client: Client,
    tls: MakeRustlsConnect,
    source: Arc<ConnectOptions>,
}

impl ConnectOptions {
    /// Connects, pins the session's settings and identifies the server.
    ///
    /// `purpose` becomes the `application_name`, such as `pgsluice 7f3a worker 1`. Hosts are
    /// tried in order; each attempt is bounded by the connect timeout. The connection's task
    /// runs on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`] when no server can be reached (retryable), or for a refused login or
    /// certificate; [`ErrorKind::Config`] for a database that does not exist or certificate
    /// files that cannot be used; [`ErrorKind::Unsupported`] for a server older than 12.
    pub(crate) async fn connect(&self, purpose: &str) -> Result<Session> {
        self.connect_raw(purpose).await?.pin().await
    }

    /// Connects and changes nothing.
    pub(super) async fn connect_raw(&self, purpose: &str) -> Result<RawSession> {
        let tls = tls::connector(&self.tls)?;
        let mut hosts: Vec<&HostSpec> = self.hosts.iter().collect();
        if self.is_shuffled {
            hosts.shuffle(&mut rand::rng());
        }
        let passes = match self.target {
            TargetSession::PreferStandby => vec![TargetSession::Standby, TargetSession::Any],
            target => vec![target],
        };
        let mut last = None;
        for target in passes {
            for host in &hosts {
                let connect = self.connect_host(host, &tls, purpose, target);
                match step(CrashPoint::Connect, connect).await {
                    Ok(client) => {
                        let source = Arc::new(self.clone());
                        return Ok(RawSession {
                            client,
                            tls,
                            source,
                        });
                    }
                    Err(error) if is_login_failure(&error) => return Err(error),
                    Err(error) => last = Some(keep_better(last, error)),
                }
            }
        }
        Err(last.unwrap_or_else(|| Error::new(ErrorKind::Config, "no host is given")))
    }

    /// Tries the addresses of one host, each by the ways that the TLS mode allows.
    async fn connect_host(
        &self,
        host: &HostSpec,
        tls: &MakeRustlsConnect,
        purpose: &str,
        target: TargetSession,
    ) -> Result<Client> {
        let mut last = None;
        for address in self.addresses_of(host).await? {
            for mode in ways(self.tls.mode, host) {
                let config = self.config_for(host, address, mode, purpose);
                match self.attempt(&config, tls, host, target).await {
                    Ok(client) => {
                        warn_if_plain(self.tls.mode, mode, host);
                        return Ok(client);
                    }
                    Err(error) => {
                        let stop = !may_go_other_way(&error);
                        last = Some(keep_better(last, error));
                        if stop {
                            break;
                        }
                    }
                }
            }
        }
        Err(last.unwrap_or_else(|| unreachable_host(host, "its name has no address")))
    }

    async fn addresses_of(&self, host: &HostSpec) -> Result<Vec<Option<std::net::IpAddr>>> {
        let HostAddress::Tcp { name, addr } = &host.address else {
            return Ok(vec![None]);
        };
        if addr.is_some() {
            return Ok(vec![*addr]);
        }
        let lookup = tokio::net::lookup_host((name.as_str(), host.port));
        match timeout(self.connect_timeout, lookup).await {
            Ok(Ok(found)) => {
                let mut found: Vec<_> = found.map(|address| Some(address.ip())).collect();
                if self.is_shuffled {
                    found.shuffle(&mut rand::rng());
                }
                Ok(found)
            }
            Ok(Err(error)) => {
                Err(unreachable_host(host, "its name cannot be resolved").with_source(error))
            }
            Err(_) => Err(unreachable_host(host, "looking its name up took too long")),
        }
    }

    fn config_for(
        &self,
        host: &HostSpec,
        address: Option<std::net::IpAddr>,
        mode: SslMode,
        purpose: &str,
    ) -> Config {
        use tokio_postgres::config as wire;
        let mut config = Config::new();
        match &host.address {
            HostAddress::Unix(folder) => config.host_path(folder),
            HostAddress::Tcp { name, .. } => config.host(name),
        };
        if let Some(address) = address {
            config.hostaddr(address);
        }
        if let Some(password) = &host.password {
            config.password(password.expose_secret());
        }
        if let Some(options) = &self.options {
            config.options(options);
        }
        config
            .port(host.port)
            .user(&self.user)
            .dbname(&self.database)
            .application_name(application_name(purpose))
            .connect_timeout(self.connect_timeout)
            .keepalives(self.keepalive.is_on)
            .keepalives_idle(self.keepalive.idle)
            .keepalives_interval(self.keepalive.interval)
            .keepalives_retries(self.keepalive.count)
            .tcp_user_timeout(self.keepalive.user_timeout)
            .channel_binding(match self.channel_binding {
                ChannelBinding::Disable => wire::ChannelBinding::Disable,
                ChannelBinding::Prefer => wire::ChannelBinding::Prefer,
                ChannelBinding::Require => wire::ChannelBinding::Require,
            })
            .ssl_mode(match mode {
                SslMode::Disable | SslMode::Allow => wire::SslMode::Disable,
                SslMode::Prefer => wire::SslMode::Prefer,
                _ => wire::SslMode::Require,
            })
            .ssl_negotiation(match self.tls.is_direct {
                true => wire::SslNegotiation::Direct,
                false => wire::SslNegotiation::Postgres,
            });
        config
    }

    async fn attempt(
        &self,
        config: &Config,
        tls: &MakeRustlsConnect,
        host: &HostSpec,
        target: TargetSession,
    ) -> Result<Client> {
        let what = format!("cannot connect to {}", host.shown());
        let attempt = async {
            let (client, connection) = config
                .connect(tls.clone())
                .await
                .map_err(|error| source_error(what, error))?;
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    // Its text is the kind alone: no message of the server's.
                    tracing::debug!(%error, "connection ended");
                }
            });
            check_target(&client, target, host).await?;
            Ok(client)
        };
        match timeout(self.connect_timeout, attempt).await {
            Ok(outcome) => outcome,
            Err(_) => Err(unreachable_host(host, "it did not answer in time")),
        }
    }
}

impl RawSession {
    /// Identifies the server and pins the session's settings, within the connect timeout.
    pub(super) async fn pin(self) -> Result<Session> {
        let facts = self
            .within(async {
                let facts = read_facts(&self.client).await?;
                settings::pin(&self.client, facts.identity.version).await?;
                Ok(facts)
            })
            .await?;
        let started_at = facts.identity.started_at;
        let silence = Silence::new(self.source, facts.backend_pid, started_at);
        let cancel = CancelHandle::new(self.client.cancel_token(), self.tls);
        Ok(Session::new(Arc::new(self.client), cancel, silence, facts))
    }

    pub(super) async fn backend_pid(&self) -> Result<i32> {
        let sql = "SELECT pg_catalog.pg_backend_pid()";
        let what = "the connection could not be checked";
        self.within(scalar(&self.client, what, sql)).await
    }

    /// Runs one statement without a result.
    pub(super) async fn execute(&self, what: &str, sql: &str) -> Result<()> {
        let executed = async {
            let executed = self.client.batch_execute(sql).await;
            executed.map_err(|error| source_error(what, error))
        };
        self.within(executed).await
    }

    /// A server that took the login must answer its first questions as fast.
    async fn within<T>(&self, step: impl Future<Output = Result<T>>) -> Result<T> {
        let limit = self.source.connect_timeout;
        timeout(limit, step).await.unwrap_or_else(|_| {
            let message = "the server took the login and then did not answer in time";
            Err(Error::new(ErrorKind::Source, message)
                .with_retryable(true)
                .with_code("source timeout")
                .with_advice(UNREACHABLE_ADVICE))
        })
    }
}

/// The ways to try, in libpq's order: `allow` prefers plain, `prefer` falls back to it.
fn ways(mode: SslMode, host: &HostSpec) -> Vec<SslMode> {
    match mode {
        // A Unix socket has no TLS, and libpq ignores the mode there.
        _ if host.is_unix() => vec![SslMode::Disable],
        SslMode::Allow => vec![SslMode::Disable, SslMode::Require],
        SslMode::Prefer => vec![SslMode::Prefer, SslMode::Disable],
        mode => vec![mode],
    }
}

/// Whether another way (with or without TLS) can mend the failure: the handshake failed, or
/// `pg_hba.conf` has no line for this way. A wrong password stays wrong.
fn may_go_other_way(error: &Error) -> bool {
    let refused_by_hba = sqlstate(error).is_some_and(|code| code.code() == "28000");
    refused_by_hba || is_handshake_failure(error)
}

fn warn_if_plain(asked: SslMode, used: SslMode, host: &HostSpec) {
    if asked == SslMode::Prefer && used == SslMode::Disable && !host.is_unix() {
        tracing::warn!(
            host = host.shown(),
            "connected without TLS after TLS failed, as sslmode=prefer allows; use sslmode=verify-full"
        );
    }
}

/// Of two failures the one that says more: a refused login rather than the fallback's.
fn keep_better(first: Option<Error>, second: Error) -> Error {
    match first {
        Some(first) if is_login_failure(&first) || !is_login_failure(&second) => first,
        _ => second,
    }
}

fn unreachable_host(host: &HostSpec, why: &str) -> Error {
    Error::new(
        ErrorKind::Source,
        format!("cannot connect to {}: {why}", host.shown()),
    )
    .with_retryable(true)
    .with_code("source connection")
    .with_advice(UNREACHABLE_ADVICE)
}

/// `application_name` holds 63 bytes.
fn application_name(purpose: &str) -> &str {
    let mut end = purpose.len().min(63);
    while !purpose.is_char_boundary(end) {
        end -= 1;
    }
    &purpose[..end]
}

async fn scalar<T>(client: &Client, what: &str, sql: &str) -> Result<T>
where
    T: for<'a> tokio_postgres::types::FromSql<'a>,
{
    let row = client
        .query_one(sql, &[])
        .await
        .map_err(|error| source_error(what, error))?;
    column(&row, 0)
}

async fn check_target(client: &Client, target: TargetSession, host: &HostSpec) -> Result<()> {
    let (question, wanted) = match target {
        TargetSession::Any | TargetSession::PreferStandby => return Ok(()),
        TargetSession::ReadWrite => (
            "NOT pg_catalog.current_setting('transaction_read_only')::bool",
            true,
        ),
        TargetSession::ReadOnly => (
            "pg_catalog.current_setting('transaction_read_only')::bool",
            true,
        ),
        TargetSession::Primary => ("pg_catalog.pg_is_in_recovery()", false),
        TargetSession::Standby => ("pg_catalog.pg_is_in_recovery()", true),
    };
    let what = "the server's role could not be read";
    let answer: bool = scalar(client, what, &format!("SELECT {question}")).await?;
    if answer == wanted {
        return Ok(());
    }
    let message = format!("{} is not what target_session_attrs asks for", host.shown());
    Err(Error::new(ErrorKind::Source, message).with_retryable(true))
}

async fn read_facts(client: &Client) -> Result<SessionFacts> {
    let what = "the server could not be identified";
    let sql = "SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4,
        pg_catalog.pg_is_in_recovery(),
        pg_catalog.floor(pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time()) * 1000000)
            ::pg_catalog.int8,
        pg_catalog.pg_backend_pid(),
        pg_catalog.current_database()::pg_catalog.text,
        pg_catalog.current_schemas(true)::pg_catalog.text[]";
    let row = client
        .query_one(sql, &[])
        .await
        .map_err(|error| source_error(what, error))?;
    let version = u32::try_from(column::<i32>(&row, 0)?).unwrap_or(0);
    if version < OLDEST_VERSION {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("the server's version {} is too old", version / 10_000),
        )
        .with_advice("pgsluice needs PostgreSQL 12 or later"));
    }
    let in_recovery: bool = column(&row, 1)?;
    let started_at = DateTime::from_timestamp_micros(column(&row, 2)?)
        .ok_or_else(|| Error::new(ErrorKind::Source, what))?;
    Ok(SessionFacts {
        identity: ServerIdentity {
            version,
            in_recovery,
            started_at,
            system_identifier: read_system_identifier(client).await?,
            timeline: read_timeline(client, in_recovery).await?,
        },
        backend_pid: column(&row, 3)?,
        database: column(&row, 4)?,
        search_path: column(&row, 5)?,
    })
}

async fn read_system_identifier(client: &Client) -> Result<u64> {
    let sql = "SELECT system_identifier FROM pg_catalog.pg_control_system()";
    let identifier: Result<i64> =
        scalar(client, "the system identifier could not be read", sql).await;
    // The catalog has no unsigned type: the bits are what counts.
    identifier
        .map(i64::cast_unsigned)
        .map_err(|error| match sqlstate(&error) {
            Some(code) if code.code() == "42501" => Error::new(
                ErrorKind::Source,
                "the user may not read the cluster's system identifier",
            )
            .with_source(error)
            .with_advice(
                "run GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() for this user",
            ),
            _ => error,
        })
}

/// On a primary the timeline being written; on a standby that of the last restart point, which
/// is all it tells an ordinary user.
async fn read_timeline(client: &Client, in_recovery: bool) -> Result<u32> {
    let what = "the timeline could not be read";
    if in_recovery {
        let sql = "SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()";
        return Ok(scalar::<i32>(client, what, sql).await?.cast_unsigned());
    }
    let sql = "SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn())";
    let file: String = scalar(client, what, sql).await?;
    // The first eight hexadecimal digits of a WAL file's name.
    file.get(..8)
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .ok_or_else(|| Error::new(ErrorKind::Source, what))
}
