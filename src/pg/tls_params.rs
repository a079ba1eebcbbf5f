//! What the TLS parameters mean, by libpq's rules: mode, authorities, client certificate.
//!
//! It reads the files' text; `tls` judges certificates by it.

use std::fmt;
use std::path::PathBuf;

use crate::error::Result;
use crate::pg::params::{Params, Surroundings, bad, one_of};

/// What TLS must prove, as libpq's `sslmode` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TlsOptions {
    pub(super) mode: SslMode,
    /// Handshake at once, without asking the server first (17 and later).
    pub(super) is_direct: bool,
    pub(super) roots: Roots,
    pub(super) client_cert: Option<ClientCert>,
    pub(super) sends_name: bool,
    pub(super) min_version: TlsVersion,
    pub(super) max_version: TlsVersion,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Roots {
    /// No file: nothing to verify against.
    None,
    /// The platform's trust store.
    System,
    /// PEM text of the authorities, and where it came from.
    Pem { path: PathBuf, pem: Vec<u8> },
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct ClientCert {
    pub(super) cert: Vec<u8>,
    pub(super) key: Vec<u8>,
}

impl fmt::Debug for ClientCert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCert(..)")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TlsVersion {
    V12,
    V13,
}

const SSL_MODES: &[(&str, SslMode)] = &[
    ("prefer", SslMode::Prefer),
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

/// Reads mode, roots, client certificate and versions.
pub(super) fn read_tls(params: &Params, around: &Surroundings<'_>) -> Result<TlsOptions> {
    let mut mode = one_of(params, "sslmode", SSL_MODES)?;
    let is_direct = one_of(
        params,
        "sslnegotiation",
        &[("postgres", false), ("direct", true)],
    )?;
    if is_direct && mode < SslMode::Require {
        return Err(bad(
            "sslnegotiation",
            "direct needs sslmode=require or stronger",
        ));
    }
    if params.get("sslrootcert") == Some("system") {
        // libpq: a public authority says nothing without the name.
        match params.get("sslmode") {
            None => mode = SslMode::VerifyFull,
            Some("verify-full") => {}
            Some(_) => return Err(bad("sslrootcert", "system needs sslmode=verify-full")),
        }
    }
    let version = |key, default| match params.get(key) {
        None => Ok(default),
        Some("TLSv1" | "TLSv1.1") if key == "ssl_min_protocol_version" => Ok(TlsVersion::V12),
        Some("TLSv1.2") => Ok(TlsVersion::V12),
        Some("TLSv1.3") => Ok(TlsVersion::V13),
        Some(_) => Err(bad(key, "only TLSv1.2 and TLSv1.3 are supported")),
    };
    let min_version = version("ssl_min_protocol_version", TlsVersion::V12)?;
    let max_version = version("ssl_max_protocol_version", TlsVersion::V13)?;
    if min_version > max_version {
        return Err(bad(
            "ssl_min_protocol_version",
            "above ssl_max_protocol_version",
        ));
    }
    let is_off = mode == SslMode::Disable;
    Ok(TlsOptions {
        mode,
        is_direct,
        roots: if is_off {
            Roots::None
        } else {
            read_roots(params, around)?
        },
        client_cert: if is_off {
            None
        } else {
            read_client_cert(params, around)?
        },
        sends_name: params.get("sslsni") != Some("0"),
        min_version,
        max_version,
    })
}

fn read_roots(params: &Params, around: &Surroundings<'_>) -> Result<Roots> {
    let given = params.get("sslrootcert");
    if given == Some("system") {
        return Ok(Roots::System);
    }
    let path = given
        .map(PathBuf::from)
        .or_else(|| around.home(".postgresql/root.crt"));
    let Some(path) = path else {
        return Ok(Roots::None);
    };
    // Stricter than libpq, which verifies nothing under `require` when the named file is missing.
    match around.read(&path)? {
        Some(file) => Ok(Roots::Pem {
            path,
            pem: file.bytes,
        }),
        None if given.is_some() => Err(bad("sslrootcert", "the file does not exist")),
        None => Ok(Roots::None),
    }
}

fn read_client_cert(params: &Params, around: &Surroundings<'_>) -> Result<Option<ClientCert>> {
    let given = params.get("sslcert");
    let path = |key: &str, usual: &str| match params.get(key) {
        Some(path) => Some(PathBuf::from(path)),
        None => around.home(usual),
    };
    let cert = match path("sslcert", ".postgresql/postgresql.crt") {
        Some(path) => around.read(&path)?,
        None => None,
    };
    let Some(cert) = cert else {
        return match given {
            Some(_) => Err(bad("sslcert", "the file does not exist")),
            None => Ok(None),
        };
    };
    let key_path = path("sslkey", ".postgresql/postgresql.key");
    let key = match &key_path {
        Some(path) => around.read(path)?,
        None => None,
    };
    let key = key.ok_or_else(|| bad("sslkey", "the client certificate has no key file"))?;
    if key.is_shared {
        return Err(bad(
            "sslkey",
            "group or others can access the file; its mode must be 0600",
        ));
    }
    Ok(Some(ClientCert {
        cert: cert.bytes,
        key: key.bytes,
    }))
}
