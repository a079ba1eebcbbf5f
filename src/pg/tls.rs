//! TLS by libpq's `sslmode` meanings, over rustls.
//!
//! Owns what a certificate must prove in each mode. It opens no connection. Channel binding is
//! done by `tokio-postgres-rustls` from the certificate that was presented.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Error, ErrorKind, Result};
use crate::pg::conninfo::{Roots, SslMode, TlsOptions, TlsVersion};

/// A connector for these options; with `sslmode=disable` it is never used.
///
/// # Errors
///
/// [`ErrorKind::Config`] when certificates cannot be read, or a mode that must verify has
/// nothing to verify against.
pub(super) fn connector(options: &TlsOptions) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] =
        match (options.min_version, options.max_version) {
            (TlsVersion::V12, TlsVersion::V12) => &[&rustls::version::TLS12],
            (TlsVersion::V12, TlsVersion::V13) => rustls::ALL_VERSIONS,
            (TlsVersion::V13, _) => &[&rustls::version::TLS13],
        };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| bad("the TLS versions do not fit together").with_source(error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier::new(options, provider)?));
    let mut config = match &options.client_cert {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let (chain, key) = (certificates(&client.cert)?, private_key(&client.key)?);
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| bad("sslcert and sslkey do not fit").with_source(error))?
        }
    };
    config.enable_sni = options.sends_name;
    if options.is_direct {
        // Required by the server for a direct handshake ("SSL Session Encryption").
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(MakeRustlsConnect::new(config))
}

fn bad(message: &str) -> Error {
    Error::new(ErrorKind::Config, message)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad("a certificate file is no PEM").with_source(error))
        .and_then(|list| match list.is_empty() {
            true => Err(bad("a certificate file holds no certificate")),
            false => Ok(list),
        })
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>> {
    // The cause is not kept: nothing about a key's text belongs in an error.
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        bad("sslkey holds no private key that can be read")
            .with_advice("the key must be PEM without a passphrase")
    })
}

/// What a server's certificate has to prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// Nothing: encryption alone.
    Nothing,
    /// A trusted authority signed it.
    Chain,
    /// And it is for the host's name.
    ChainAndName,
}

#[derive(Debug)]
struct Verifier {
    proof: Proof,
    roots: RootCertStore,
    /// The certificates of the root file, byte for byte.
    pinned: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(options: &TlsOptions, provider: Arc<CryptoProvider>) -> Result<Self> {
        let proof = match (options.mode, &options.roots) {
            (SslMode::VerifyFull, _) => Proof::ChainAndName,
            (SslMode::VerifyCa, _) => Proof::Chain,
            // libpq: a root file turns require into verify-ca.
            (SslMode::Require, Roots::Pem { .. } | Roots::System) => Proof::Chain,
            _ => Proof::Nothing,
        };
        let mut roots = RootCertStore::empty();
        let mut pinned = Vec::new();
        match &options.roots {
            _ if proof == Proof::Nothing => {}
            Roots::None => {
                return Err(bad("sslmode asks to verify the server, but there is no root certificate")
                    .with_advice(
                        "name the authority's file in sslrootcert, or use sslrootcert=system",
                    ));
            }
            Roots::System => {
                let native = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(native.certs);
            }
            Roots::Pem { pem, .. } => {
                pinned = certificates(pem)?;
                roots.add_parsable_certificates(pinned.iter().cloned());
            }
        }
        if proof != Proof::Nothing && roots.is_empty() && pinned.is_empty() {
            return Err(bad("no usable root certificate was found"));
        }
        Ok(Self { proof, roots, pinned, provider })
    }

    fn check_chain(
        &self,
        end_entity: &CertificateDer<'_>,
        parsed: &ParsedCertificate<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
        let algorithms = self.provider.signature_verification_algorithms.all;
        let result = verify_server_cert_signed_by_trust_anchor(
            parsed,
            &self.roots,
            intermediates,
            now,
            algorithms,
        );
        match result {
            Ok(()) => Ok(()),
            Err(rustls::Error::InvalidCertificate(
                error @ (Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }),
            )) => Err(error.into()),
            // A self-signed server certificate that is itself the root file: webpki takes no
            // authority for a server, OpenSSL does. Dates are checked before that.
            Err(_) if self.pinned.iter().any(|pinned| pinned == end_entity) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.proof != Proof::Nothing {
            let parsed = ParsedCertificate::try_from(end_entity)?;
            self.check_chain(end_entity, &parsed, intermediates, now)?;
            if self.proof == Proof::ChainAndName {
                verify_server_name(&parsed, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
