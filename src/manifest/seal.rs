//! The bytes of a log entry: one JSON object whose last field is the SHA-256 of all before it.
//!
//! Owns that form alone. A store may hand out bytes that nobody wrote; a flipped bit in a number
//! is still JSON, so parsing does not show it, and the seal does.

use bytes::Bytes;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::model::{Entry, VERSION};
use crate::error::{Error, ErrorKind, Result};
use crate::store::hex;

/// What comes before the hex digits of the seal, in place of the object's last brace.
const SEAL_START: &[u8] = b",\"sha256\":\"";
/// What comes after them.
const SEAL_END: &[u8] = b"\"}";
/// Digits of a SHA-256.
const HEX_DIGITS: usize = 64;

impl Entry {
    /// The entry as it stands in the store: one line of JSON, `{…,"sha256":"<hex>"}`. The hash is
    /// that of the object without this field, its last brace included.
    pub(crate) fn to_bytes(&self) -> Result<Bytes> {
        let mut json = serde_json::to_vec(self).map_err(|cause| {
            Error::new(
                ErrorKind::Internal,
                "a manifest entry cannot be written as JSON",
            )
            .with_source(cause)
        })?;
        let seal = hex(&Sha256::digest(&json));
        json.pop();
        json.extend_from_slice(SEAL_START);
        json.extend_from_slice(seal.as_bytes());
        json.extend_from_slice(SEAL_END);
        Ok(json.into())
    }

    /// Reads an entry back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] for an entry of a later version, [`ErrorKind::Conflict`] for
    /// anything that is no entry, whose seal does not fit, or that has another number.
    pub(crate) fn from_bytes(seq: u64, bytes: &[u8]) -> Result<Self> {
        let damaged = || {
            Error::new(
                ErrorKind::Conflict,
                format!("manifest log entry {seq} is damaged"),
            )
            .with_advice("something else wrote under _pgsluice/log: export to a fresh root")
        };
        let sealed = unseal(bytes);
        let parsed = serde_json::from_slice::<Self>(sealed.as_deref().unwrap_or(bytes));
        let version = match &parsed {
            Ok(entry) => entry.version,
            // Another version's entry need not parse, nor be sealed so: its number still is there.
            Err(_) => EntryHeader::from_bytes(bytes).ok_or_else(damaged)?.version,
        };
        if version != VERSION {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("manifest log entry {seq} has version {version}"),
            )
            .with_advice(
                "it was written by another version of pgsluice: use that one, or a later",
            ));
        }
        if sealed.is_none() {
            return Err(damaged().with_source("its checksum does not fit"));
        }
        let entry = parsed.map_err(|cause| damaged().with_source(cause))?;
        if entry.seq == seq {
            Ok(entry)
        } else {
            Err(damaged())
        }
    }
}

/// The object without its seal; `None` when there is none, or it does not fit.
fn unseal(bytes: &[u8]) -> Option<Vec<u8>> {
    let rest = bytes.strip_suffix(SEAL_END)?;
    let (rest, seal) = rest.split_at_checked(rest.len().checked_sub(HEX_DIGITS)?)?;
    let mut json = rest.strip_suffix(SEAL_START)?.to_vec();
    json.push(b'}');
    (hex(&Sha256::digest(&json)).as_bytes() == seal).then_some(json)
}

/// What identifies an entry's writer, read without the rest.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct EntryHeader {
    pub(crate) version: u32,
    #[serde(default)]
    pub(crate) epoch: u64,
    #[serde(default)]
    pub(crate) token: String,
}

impl EntryHeader {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Change;

    fn entry() -> Entry {
        Entry {
            version: VERSION,
            seq: 7,
            epoch: 1,
            token: "t".into(),
            nonce: "n".into(),
            at: chrono::DateTime::UNIX_EPOCH,
            change: Change::Pause {
                reason: "asked \"to\" stop".into(),
            },
        }
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let sound = entry().to_bytes().unwrap();
        assert_eq!(Entry::from_bytes(7, &sound).unwrap(), entry());
        for bit in 0..sound.len() * 8 {
            let mut flipped = sound.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Entry::from_bytes(7, &flipped).is_err(), "bit {bit}");
        }
        for length in 0..sound.len() {
            assert!(Entry::from_bytes(7, &sound[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn an_entry_without_a_seal_is_damaged() {
        let bare = serde_json::to_vec(&entry()).unwrap();
        let error = Entry::from_bytes(7, &bare).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }

    #[test]
    fn another_version_is_told_from_damage_with_and_without_a_seal() {
        let later = Entry {
            version: VERSION + 1,
            ..entry()
        };
        let sealed = later.to_bytes().unwrap();
        for bytes in [&sealed[..], b"{\"version\":9,\"new\":[]}"] {
            let error = Entry::from_bytes(7, bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
    }
}
