//! The server as the oracle: every value of the corpus is exported, read back, encoded again, and
//! must be the bytes that the type's own send function gives.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pgsluice::TableSchema;
use pgsluice::codec::{
    self, CopyEncoder, Exception, MappingOptions, OnUnrepresentable, SelectAs, TableMapping,
    map_table,
};
use serde_json::Value;

use crate::corpus::{self, Corpus, Filled, MAJORS, Profile, SCHEMA};
use crate::rig::{Root, Session, TempRoot, chunk_entries, pgsluice, run};
use crate::scenario::LIMIT;

/// By id, the bytes of `v` on the wire in hex, NULL where it is.
type Wires = BTreeMap<i32, Option<String>>;

/// Random rows of each type on the two servers that together hold every type.
const MANY: u32 = 2500;
/// And on the others.
const FEW: u32 = 60;

#[test]
fn the_default_server_gets_back_every_byte_of_every_type() {
    send_what_the_server_sends(&[corpus::distribution_major()], MANY);
}

#[test]
fn the_newest_server_gets_back_every_byte_of_every_type() {
    send_what_the_server_sends(&[*MAJORS.end()], MANY);
}

#[test]
fn every_other_server_gets_back_every_byte_of_every_type() {
    let seen = [corpus::distribution_major(), *MAJORS.end()];
    let others: Vec<_> = MAJORS.filter(|major| !seen.contains(major)).collect();
    send_what_the_server_sends(&others, FEW);
}

fn send_what_the_server_sends(majors: &[u32], random: u32) {
    let mut wrong = Vec::new();
    for &major in majors {
        let corpus = Corpus::create(major, &corpus::all(), random);
        let session = corpus.session();
        for profile in [Profile::Portable, Profile::Native] {
            let root = TempRoot::new();
            export_all(&corpus, profile, &root);
            for table in &corpus.tables {
                let found = compare(&session, &root, table, profile);
                let place = format!("{major}, {profile:?}, {}", table.case.name);
                wrong.extend(found.into_iter().map(|what| format!("{place}: {what}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// One run for all tables. Chunks are small, so that rows are counted over several.
pub(crate) fn export_all(corpus: &Corpus, profile: Profile, root: &TempRoot) {
    let names = corpus.tables.iter().map(|table| table.case.name);
    let tables = names.flat_map(|name| ["--table".to_owned(), format!("{SCHEMA}.{name}")]);
    let mut export = pgsluice();
    export
        .args([
            "export",
            "--from",
            &corpus.database.dsn(),
            "--to",
            &root.url(),
        ])
        .args([
            "--profile",
            profile.flag(),
            "--on-unrepresentable",
            "exceptions",
        ])
        .args(["--chunk-rows", "1000", "--quiet"])
        .args(tables);
    run(&mut export, LIMIT * 3).expect_code(0);
    // The objects alone lead to the hash of what the server sent.
    let mut verify = pgsluice();
    verify.args(["verify", &root.url(), "--quiet"]);
    run(&mut verify, LIMIT * 3).expect_code(0);
}

/// What is wrong with a table's dataset.
fn compare(session: &Session, root: &TempRoot, table: &Filled, profile: Profile) -> Vec<String> {
    let dataset = Exported::open(root, table.case.name, profile);
    let as_text = dataset.mapping.columns[1].select == SelectAs::Text;
    if as_text != table.case.shape_in(profile).is_cast() {
        return vec![format!("travels as text: {as_text}")];
    }
    let sent = expected_wire(session, table, profile);
    let expected = Corpus::column(session, table.case.name, &sent);
    let (wires, excepted) = match dataset.encode() {
        Ok(encoded) => encoded,
        Err(error) => return vec![error],
    };
    let mut wrong = differences("wire", &expected, &wires);
    let unrepresentable = Corpus::unrepresentable(session, table.case, profile);
    wrong.extend(differences("exception", &unrepresentable, &excepted));
    if expected.len() < table.edges {
        wrong.push(format!("{} of {} edges", expected.len(), table.edges));
    }
    wrong
}

/// SQL of the bytes in hex that a value must be encoded to: those that the server sends. But an
/// array's null flag says only that there is room for NULLs, and a slice has it without any: a
/// column of lists holds the plain form of such a value, which its text is read to.
fn expected_wire(session: &Session, table: &Filled, profile: Profile) -> String {
    let (case, shape) = (table.case, table.case.shape_in(profile));
    if shape.is_cast() {
        return "encode(textsend(v::text), 'hex')".to_owned();
    }
    let send = send_call(session, case.name);
    let as_sent = format!("encode({}, 'hex')", send.replace('$', "v"));
    if !shape.holds_arrays() {
        return as_sent;
    }
    let plain = send.replace('$', &format!("v::text::{}", case.sql_type));
    let unrepresentable = case.unrepresentable(profile);
    format!("CASE WHEN {unrepresentable} THEN {as_sent} ELSE encode({plain}, 'hex') END")
}

/// SQL that sends `$` as `v`'s type does, or the type that its domains are over. Some types borrow
/// another's function and are not that type to the parser, and a domain is no enum to it: a cast
/// makes them so.
fn send_call(session: &Session, name: &str) -> String {
    session.query_one_text(&format!(
        "WITH RECURSIVE base(oid, is_domain) AS (
           SELECT atttypid, false FROM pg_attribute WHERE attrelid = '{SCHEMA}.{name}'::regclass AND attname = 'v'
           UNION ALL SELECT typbasetype, true FROM pg_type JOIN base USING (oid) WHERE typbasetype <> 0)
         SELECT format('%I.%I($%s)', nspname, proname,
           CASE WHEN taken.typtype = 'p' AND base.is_domain THEN '::' || t.oid::regtype
                WHEN taken.typtype <> 'p' AND taken.oid <> t.oid THEN '::' || taken.oid::regtype END)
         FROM base JOIN pg_type t USING (oid) JOIN pg_proc p ON p.oid = t.typsend
         JOIN pg_type taken ON taken.oid = p.proargtypes[0]
         JOIN pg_namespace n ON n.oid = p.pronamespace WHERE t.typbasetype = 0"
    ))
}

/// The first few rows where two columns differ.
fn differences(what: &str, expected: &Wires, seen: &Wires) -> Vec<String> {
    let ids: BTreeSet<_> = expected.keys().chain(seen.keys()).collect();
    let short = |value: Option<&Option<String>>| match value {
        None => "no row".to_owned(),
        Some(None) => "NULL".to_owned(),
        Some(Some(text)) => text.chars().take(160).collect(),
    };
    let wrong: Vec<_> = ids
        .into_iter()
        .filter(|id| expected.get(id) != seen.get(id))
        .map(|id| (id, short(expected.get(id)), short(seen.get(id))))
        .collect();
    let shown = wrong.iter().take(4).map(|(id, expected, seen)| {
        format!(
            "{what} of row {id}: expected {expected}, got {seen} ({} such)",
            wrong.len()
        )
    });
    shown.collect()
}

/// A dataset of the corpus, its objects and the exceptions beside them.
struct Exported<'a> {
    root: &'a TempRoot,
    folder: String,
    manifest: Value,
    mapping: TableMapping,
}

/// One row of an exceptions object.
struct Excepted {
    row: u64,
    text: String,
    wire: Vec<u8>,
}

impl<'a> Exported<'a> {
    fn open(root: &'a TempRoot, name: &str, profile: Profile) -> Self {
        let folder = format!("{SCHEMA}/{name}");
        let manifest = root.get_json(&format!("{folder}/_pgsluice/manifest.json"));
        let schema: TableSchema =
            serde_json::from_value(manifest["schema"].clone()).expect("the manifest's schema");
        let options = MappingOptions {
            profile: match profile {
                Profile::Portable => codec::Profile::Portable,
                Profile::Native => codec::Profile::Native,
            },
            on_unrepresentable: OnUnrepresentable::Exceptions,
            ..MappingOptions::default()
        };
        let mapping = map_table(&schema.columns, &options).expect("a mapping");
        Self {
            root,
            folder,
            manifest,
            mapping,
        }
    }

    /// Every value's bytes on the wire, and the texts of those that stand in `_exceptions`.
    fn encode(&self) -> Result<(Wires, Wires), String> {
        let mut exceptions = self.exceptions();
        let (mut wires, mut texts) = (Wires::new(), Wires::new());
        for chunk in chunk_entries(&self.manifest) {
            let id = chunk["chunk"].as_i64().expect("a chunk id");
            let excepted = exceptions.remove(&id).unwrap_or_default();
            let mut first = 0;
            for batch in self.batches(chunk) {
                let until = first + batch.num_rows() as u64;
                let here: Vec<_> = excepted
                    .iter()
                    .filter(|one| (first..until).contains(&one.row))
                    .collect();
                let rows = self.encode_batch(&batch, first, &here)?;
                for one in &here {
                    let (id, _) = &rows[(one.row - first) as usize];
                    texts.insert(*id, Some(one.text.clone()));
                }
                wires.extend(rows);
                first = until;
            }
        }
        match exceptions.keys().next() {
            Some(chunk) => Err(format!("exceptions of chunk {chunk}, which is not there")),
            None => Ok((wires, texts)),
        }
    }

    /// Id and bytes of each row of a batch; its first row is this one of the chunk.
    fn encode_batch(
        &self,
        batch: &RecordBatch,
        first: u64,
        excepted: &[&Excepted],
    ) -> Result<Vec<(i32, Option<String>)>, String> {
        let exceptions: Vec<_> = excepted
            .iter()
            .map(|one| Exception {
                row: one.row - first,
                column: 1,
                wire: one.wire.clone().into(),
            })
            .collect();
        let mut rows = Vec::with_capacity(batch.num_rows());
        CopyEncoder::new(&self.mapping)
            .encode(batch, &exceptions, |bytes, ends| {
                let mut start = 0;
                for end in ends {
                    rows.push(id_and_value(&bytes[start..*end as usize]));
                    start = *end as usize;
                }
            })
            .map_err(|error| error.to_string())?;
        Ok(rows)
    }

    fn batches(&self, chunk: &Value) -> Vec<RecordBatch> {
        let objects = chunk["objects"].as_array().expect("objects");
        let keys = objects
            .iter()
            .map(|object| object["key"].as_str().expect("a key"));
        keys.flat_map(|key| self.read(key)).collect()
    }

    /// By chunk, in the order of the rows. No column but the second may have any.
    fn exceptions(&self) -> BTreeMap<i64, Vec<Excepted>> {
        let mut found: BTreeMap<i64, Vec<Excepted>> = BTreeMap::new();
        let keys = self.root.list(&format!("{}/_exceptions", self.folder));
        for key in keys.into_keys() {
            let key = key
                .strip_prefix(&format!("{}/", self.folder))
                .expect("below it");
            for batch in self.read(key) {
                let number = |name: &str| batch[name].as_primitive::<Int64Type>().clone();
                let text = |name: &str| batch[name].as_string::<i32>().clone();
                let (chunks, rows) = (number("chunk"), number("row"));
                let (columns, texts) = (text("column"), text("text"));
                let wires = batch["wire"].as_binary::<i32>();
                for at in 0..batch.num_rows() {
                    assert_eq!(columns.value(at), "v");
                    found.entry(chunks.value(at)).or_default().push(Excepted {
                        row: rows.value(at) as u64,
                        text: texts.value(at).to_owned(),
                        wire: wires.value(at).to_owned(),
                    });
                }
            }
        }
        for rows in found.values_mut() {
            rows.sort_by_key(|one| one.row);
        }
        found
    }

    fn read(&self, key: &str) -> Vec<RecordBatch> {
        let bytes = self
            .root
            .get(&format!("{}/{key}", self.folder))
            .unwrap_or_else(|| panic!("there is no {key:?}"));
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
            .and_then(|builder| builder.build())
            .unwrap_or_else(|error| panic!("{key:?}: {error}"));
        reader
            .map(|batch| batch.expect("a readable batch"))
            .collect()
    }
}

/// The two fields of a tuple of binary COPY, as PostgreSQL's documentation of COPY has it.
fn id_and_value(row: &[u8]) -> (i32, Option<String>) {
    let word = |at: usize| i32::from_be_bytes(row[at..at + 4].try_into().unwrap());
    assert_eq!((&row[..2], word(2)), (&[0, 2][..], 4));
    let (id, length) = (word(6), word(10));
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let value = match usize::try_from(length) {
        Ok(length) => {
            assert_eq!(row.len(), 14 + length);
            Some(hex(&row[14..]))
        }
        Err(_) => {
            assert_eq!((row.len(), length), (14, -1));
            None
        }
    };
    (id, value)
}

/// The comparison sees what a broken exporter would do: a NULL for a value, another byte, a row
/// too few or too many.
#[test]
fn a_wrong_value_is_told_from_a_right_one() {
    let column = |values: &[(i32, Option<&str>)]| -> Wires {
        let values = values.iter();
        values
            .map(|(id, value)| (*id, value.map(str::to_owned)))
            .collect()
    };
    let right = column(&[(0, None), (1, Some("00")), (2, Some("7f"))]);
    assert!(differences("wire", &right, &right).is_empty());
    for wrong in [
        column(&[(0, None), (1, None), (2, Some("7f"))]),
        column(&[(0, None), (1, Some("01")), (2, Some("7f"))]),
        column(&[(0, None), (1, Some("00"))]),
        column(&[(0, None), (1, Some("00")), (2, Some("7f")), (3, None)]),
    ] {
        assert_eq!(differences("wire", &right, &wrong).len(), 1);
    }
    let tuple = [0, 2, 0, 0, 0, 4, 0, 0, 0, 9, 0, 0, 0, 1, 0xab];
    assert_eq!(id_and_value(&tuple), (9, Some("ab".to_owned())));
}
