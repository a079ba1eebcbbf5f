//! Names inside a dataset: folders, object keys, the log. Pure.
//!
//! Owns the injective encoding of table names into path components and the form of object keys.
//! It reads and writes nothing. What it returns is a store key as it stands: no adapter may
//! encode it again.

use std::fmt::Write as _;

use crate::chunk::{Bound, Chunk, ChunkId, Range};
use crate::error::{Error, ErrorKind, Result};
use crate::table::TableName;

/// The folder of pgsluice's own files in a dataset. Lake readers skip names that start with `_`.
pub(crate) const OWN_DIR: &str = "_pgsluice";
/// The folder of the manifest log.
pub(crate) const LOG_DIR: &str = "_pgsluice/log";
/// The heartbeat of the current writer.
pub(crate) const LEASE: &str = "_pgsluice/lease.json";
/// The consolidated manifest, written once, at the end.
pub(crate) const MANIFEST: &str = "_pgsluice/manifest.json";
/// The folder of the values that their columns could not hold. Lake readers skip it.
pub(crate) const EXCEPTIONS_DIR: &str = "_exceptions";
/// The last file of a complete dataset.
pub(crate) const SUCCESS: &str = "_SUCCESS";
/// The folder of run records, under the URL of a run.
pub(crate) const RUNS_DIR: &str = "_pgsluice/runs";

/// The key of a log entry, numbered from 1: 20 digits, so that names sort as numbers do.
#[must_use]
pub(crate) fn log_key(seq: u64) -> String {
    format!("{LOG_DIR}/{seq:020}.json")
}

/// The number of a key that [`log_key`] made; `None` for any other name.
#[must_use]
pub(crate) fn parse_log_key(key: &str) -> Option<u64> {
    let name = key.strip_prefix(LOG_DIR)?.strip_prefix('/')?;
    let seq = name.strip_suffix(".json")?.parse().ok()?;
    (log_key(seq) == key).then_some(seq)
}

/// The key of a file with which a store is tried; `token` is [`random_token`](super::random_token)'s.
#[must_use]
pub(crate) fn probe_key(token: &str) -> String {
    format!("{OWN_DIR}/probe-{token}")
}

/// Whether a key is one that [`probe_key`] made.
#[must_use]
pub(crate) fn is_probe_key(key: &str) -> bool {
    let name = key.strip_prefix(OWN_DIR);
    let token = name.and_then(|name| name.strip_prefix("/probe-"));
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    token.is_some_and(|token| token.len() == 32 && token.bytes().all(is_hex))
}

/// One safe, visible path component for any name, and a different one for a different name.
///
/// ASCII letters, digits, `_`, `-` and `.` stand as they are; every other byte of the UTF-8 form
/// becomes `%XX`. So do a leading `_` or `.` (lake readers hide such folders), a trailing `.` and
/// the first letter of a device name such as `CON` (Windows). The empty name becomes `%`. The
/// longest PostgreSQL name, 63 bytes, fits the 255 bytes of common file systems.
#[must_use]
pub(crate) fn encode_component(name: &str) -> String {
    if name.is_empty() {
        return "%".to_owned();
    }
    let last = name.len() - 1;
    let device = is_device_name(name);
    let mut encoded = String::with_capacity(name.len());
    for (at, byte) in name.bytes().enumerate() {
        let plain = match byte {
            b'_' => at > 0,
            b'.' => at > 0 && at < last,
            b'-' => true,
            _ => byte.is_ascii_alphanumeric() && !(at == 0 && device),
        };
        if plain {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// CON, PRN, AUX, NUL, COM0-9 and LPT0-9, in any case and before any extension.
fn is_device_name(name: &str) -> bool {
    let stem = name
        .split('.')
        .next()
        .unwrap_or_default()
        .to_ascii_uppercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix)
            .is_some_and(|rest| rest.len() == 1 && rest.as_bytes()[0].is_ascii_digit())
    };
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL") || numbered("COM") || numbered("LPT")
}

/// The folder of a table's dataset under the URL: `{schema}` and `{table}` in the template are
/// replaced by their encoded names. Empty for an empty template.
///
/// # Errors
///
/// [`ErrorKind::Config`] when the template has an unknown placeholder, an empty or hidden part,
/// `.` or `..`, or a character other than ASCII letters, digits and `._-=+@`.
pub(crate) fn dataset_folder(template: &str, table: &TableName) -> Result<String> {
    let template = template.trim_matches('/');
    if template.is_empty() {
        return Ok(String::new());
    }
    let mut parts = Vec::new();
    for part in template.split('/') {
        parts.push(layout_part(part, table).ok_or_else(|| bad_layout(template, part))?);
    }
    Ok(parts.join("/"))
}

fn layout_part(part: &str, table: &TableName) -> Option<String> {
    let mut folder = String::new();
    let mut rest = part;
    while let Some((literal, after)) = rest.split_once('{') {
        let (placeholder, after) = after.split_once('}')?;
        folder.push_str(literal);
        folder.push_str(&match placeholder {
            "schema" => encode_component(&table.schema),
            "table" => encode_component(&table.name),
            _ => return None,
        });
        rest = after;
    }
    folder.push_str(rest);
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-=+@%".contains(&byte);
    let literal_is_plain = part.bytes().all(|byte| byte != b'%');
    let visible = !folder.starts_with(['_', '.']) && !folder.ends_with('.');
    (literal_is_plain && visible && !folder.is_empty() && folder.bytes().all(legal))
        .then_some(folder)
}

fn bad_layout(template: &str, part: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("--layout {template:?}: {part:?} cannot be a folder"),
    )
    .with_advice(
        "build it from {schema}, {table}, ASCII letters, digits and ._-=+@, with no part empty \
         or starting with _ or .",
    )
}

/// The key of a chunk's object number `number`, from 1: `part-00000017-key_1000_2000-e1.parquet`,
/// then `part-00000017-key_1000_2000-e1-2.parquet`; below the chunk's folder, where it has one.
///
/// Chunk, epoch and number make it unique; the range is there for people. The same chunk read
/// again in the same epoch has the same keys.
#[must_use]
pub(crate) fn object_key(chunk: &Chunk, epoch: u64, number: u32) -> String {
    let name = object_name(chunk, epoch, number);
    match &chunk.folder {
        Some(folder) => format!("{folder}/{name}"),
        None => name,
    }
}

fn object_name(chunk: &Chunk, epoch: u64, number: u32) -> String {
    #[cfg(test)]
    let epoch = match crate::sabotage::is(crate::sabotage::Sabotage::KeyWithoutEpoch) {
        true => 1,
        false => epoch,
    };
    let further = match number {
        ..=1 => String::new(),
        number => format!("-{number}"),
    };
    format!(
        "part-{:08}-{}-e{epoch}{further}.parquet",
        chunk.id.0,
        range_text(&chunk.range)
    )
}

/// The key of the object with a chunk's exceptions: the name of its own first object, in a folder
/// that readers skip.
#[must_use]
pub(crate) fn exceptions_key(chunk: &Chunk, epoch: u64) -> String {
    format!("{EXCEPTIONS_DIR}/{}", object_name(chunk, epoch, 1))
}

fn range_text(range: &Range) -> String {
    fn bound<T: ToString>(value: Option<T>, open: &str) -> String {
        value.map_or_else(|| open.to_owned(), |value| value.to_string())
    }
    match range {
        Range::Whole => "whole".to_owned(),
        Range::NullKey => "null".to_owned(),
        Range::Key { lower, upper } => key_text(lower.as_ref(), upper.as_ref()),
        Range::Time { lower, upper } => {
            let text = |micros: Option<i64>| {
                let time = micros.and_then(chrono::DateTime::from_timestamp_micros)?;
                let text = time.format("%Y%m%dt%H%M%S").to_string();
                // The year 10000, an end, has a sign.
                Some(text.trim_start_matches('+').to_owned())
            };
            format!(
                "time_{}_{}",
                bound(text(*lower), "min"),
                bound(text(*upper), "max")
            )
        }
        Range::Ctid { lower, upper } => format!("ctid_{lower}_{}", bound(*upper, "end")),
        Range::Offset { lower, upper } => format!("offset_{lower}_{}", bound(*upper, "end")),
        Range::Pack { .. } => "pack".to_owned(),
    }
}

/// Integers stand in the name; other values are kept out of it.
fn key_text(lower: Option<&Bound>, upper: Option<&Bound>) -> String {
    let text = |bound: Option<&Bound>, open: &str| match bound.map(|bound| bound.0.as_slice()) {
        None => Some(open.to_owned()),
        Some([one]) => one.parse::<i64>().ok().map(|number| number.to_string()),
        Some(_) => None,
    };
    match (text(lower, "min"), text(upper, "max")) {
        (Some(lower), Some(upper)) => format!("key_{lower}_{upper}"),
        _ => "key".to_owned(),
    }
}

/// The hive folder of an object's key, `name=value`; `None` for one in the dataset's root.
#[must_use]
pub(crate) fn folder_of(key: &str) -> Option<&str> {
    key.rsplit_once('/').map(|(folder, _)| folder)
}

/// The chunk and epoch of a key that [`object_key`] made; `None` for any other name.
#[must_use]
pub(crate) fn parse_object_key(key: &str) -> Option<(ChunkId, u64)> {
    let name = match key.split_once('/') {
        Some((folder, name)) if folder.contains('=') && !folder.starts_with(['_', '.', '=']) => {
            name
        }
        Some(_) => return None,
        None => key,
    };
    let body = name.strip_prefix("part-")?.strip_suffix(".parquet")?;
    let (id_text, rest) = body.split_once('-')?;
    let (range, end) = rest.rsplit_once("-e")?;
    let (epoch_text, number) = match end.split_once('-') {
        Some((epoch, number)) => (epoch, Some(number)),
        None => (end, None),
    };
    let in_range =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    if range.is_empty() || !range.bytes().all(in_range) {
        return None;
    }
    let id: u32 = id_text.parse().ok()?;
    let epoch: u64 = epoch_text.parse().ok()?;
    let is_number = |text: &str| {
        let number = text.parse::<u32>().ok().filter(|number| *number > 1);
        number.is_some_and(|number| number.to_string() == text)
    };
    let canonical = format!("{id:08}") == id_text
        && epoch.to_string() == epoch_text
        && epoch > 0
        && number.is_none_or(is_number);
    canonical.then_some((ChunkId(id), epoch))
}

/// The chunk and epoch of a key that [`exceptions_key`] made; `None` for any other name.
#[must_use]
pub(crate) fn parse_exceptions_key(key: &str) -> Option<(ChunkId, u64)> {
    let name = key.strip_prefix(EXCEPTIONS_DIR)?.strip_prefix('/')?;
    parse_object_key(name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const ODD: &[&str] = &[
        "orders", "Orders", "_hidden", ".dot", "a.", ".", "..", "a/b", "a\\b", "a%b", "%2E", "a=b",
        "CON", "con.txt", "COM1", "COM10", "nul", "NULL", "a\"b", "a;b", "a\nb", "a\0b", "ä",
        "名前", " ", "#1", "a#1", "a?b", "{x}", "~", "a b", "-", "a*b", "%", "",
    ];

    #[test]
    fn odd_names_become_distinct_safe_visible_components() {
        let mut seen = HashMap::new();
        for name in ODD {
            let encoded = encode_component(name);
            assert!(
                encoded
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-%".contains(&b)),
                "{encoded}"
            );
            assert!(
                !encoded.starts_with(['_', '.']) && !encoded.ends_with('.'),
                "{encoded}"
            );
            assert_eq!(seen.insert(encoded.clone(), name), None, "{encoded}");
        }
        assert_eq!(encode_component("orders_2"), "orders_2");
        assert_eq!(encode_component("_x=1/.."), "%5Fx%3D1%2F.%2E");
        assert!(encode_component(&"名".repeat(21)).len() <= 255);
    }

    proptest! {
        #[test]
        fn encoding_is_reversible(name in ".{1,20}") {
            let encoded = encode_component(&name);
            let decoded = percent_encoding::percent_decode_str(&encoded).decode_utf8().unwrap();
            prop_assert_eq!(decoded, name);
        }

        #[test]
        fn no_text_makes_the_key_parser_panic(text in ".{0,60}") {
            let _ = parse_object_key(&text);
        }
    }

    #[test]
    fn object_keys_are_read_back() {
        let int = |number: i64| Some(Bound::one(number.to_string()));
        let ranges = [
            Range::Whole,
            Range::NullKey,
            Range::Pack { upper: 9 },
            Range::Key {
                lower: None,
                upper: int(-5),
            },
            Range::Key {
                lower: int(i64::MIN),
                upper: int(i64::MAX),
            },
            Range::Key {
                lower: Some(Bound::one("a/b-e1")),
                upper: None,
            },
            Range::Key {
                lower: None,
                upper: Some(Bound(vec!["1".into(), "2".into()])),
            },
            Range::Time {
                lower: Some(-1),
                upper: Some(1_795_305_600_000_000),
            },
            Range::Offset {
                lower: 7,
                upper: None,
            },
            Range::Ctid {
                lower: 7,
                upper: Some(u32::MAX),
            },
        ];
        for (range, folder) in ranges
            .into_iter()
            .zip([None, Some("day=2026-11-22")].into_iter().cycle())
        {
            for (id, epoch, number) in [(0, 1, 1), (17, 9, 2), (u32::MAX, u64::MAX, u32::MAX)] {
                let chunk = Chunk {
                    id: ChunkId(id),
                    relation: 0,
                    range: range.clone(),
                    folder: folder.map(str::to_owned),
                    estimated_rows: 0,
                    estimated_bytes: 0,
                };
                let key = object_key(&chunk, epoch, number);
                assert_eq!(parse_object_key(&key), Some((ChunkId(id), epoch)), "{key}");
                assert_eq!(folder_of(&key), folder);
                assert_eq!(parse_exceptions_key(&key), None, "{key}");
                let key = exceptions_key(&chunk, epoch);
                assert_eq!(
                    parse_exceptions_key(&key),
                    Some((ChunkId(id), epoch)),
                    "{key}"
                );
                assert_eq!(parse_object_key(&key), None, "{key}");
            }
        }
    }

    #[test]
    fn other_names_are_not_taken_for_objects() {
        for name in [
            "part-17-whole-e1.parquet",
            "part-00000017-whole-e01.parquet",
            "part-00000017-whole-e0.parquet",
            "part-00000017-whole-e+1.parquet",
            "part-00000017-whole-e1.parquet.tmp",
            "part-00000017-e1.parquet",
            "part-00000017--e1.parquet",
            "part-00000017-a/b-e1.parquet",
            "part-00000-4f0a-c000.snappy.parquet",
            "x/part-00000017-whole-e1.parquet",
            "_a=b/part-00000017-whole-e1.parquet",
            "a=b/c=d/part-00000017-whole-e1.parquet",
            "part-00000017-whole-e1-1.parquet",
            "part-00000017-whole-e1-02.parquet",
            "part-00000017-whole-e1-2-3.parquet",
        ] {
            assert_eq!(parse_object_key(name), None, "{name}");
        }
    }

    #[test]
    fn layouts_are_filled_in_or_refused() {
        let table = TableName::new("public", "Order/s");
        let folder = |template: &str| dataset_folder(template, &table);
        assert_eq!(folder("{schema}/{table}").unwrap(), "public/Order%2Fs");
        assert_eq!(folder("").unwrap(), "");
        assert_eq!(
            folder("/raw/v=1/t_{table}/").unwrap(),
            "raw/v=1/t_Order%2Fs"
        );
        for bad in [
            "a//b",
            "..",
            "a/./b",
            "{x}",
            "{table",
            "_x/{table}",
            "a b",
            "%41",
            "a\\b",
        ] {
            let error = folder(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
        }
    }
}
