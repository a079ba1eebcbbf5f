//! Exactness: what stands in the objects is what the server says it holds, type by type.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};

use crate::rig::{Database, TempRoot, read_rows};
use crate::scenario::export;

/// A column: its SQL type, the text of its edge values, and the SQL that shows the
/// value `$` the way [`shown`] does.
struct Case {
    sql_type: &'static str,
    values: &'static [&'static str],
    shown: &'static str,
}

const fn case(
    sql_type: &'static str,
    shown: &'static str,
    values: &'static [&'static str],
) -> Case {
    Case {
        sql_type,
        values,
        shown,
    }
}

const AS_TEXT: &str = "$::text";
/// Microseconds since 1970, from the wire form: `extract` is inexact before PostgreSQL 14.
const TIMESTAMP: &str = "((('x' || encode(timestamp_send($), 'hex'))::bit(64)::bigint)::numeric + 946684800000000)::text";
const TIMESTAMPTZ: &str = "((('x' || encode(timestamptz_send($), 'hex'))::bit(64)::bigint)::numeric + 946684800000000)::text";
const TIME: &str = "('x' || encode(time_send($), 'hex'))::bit(64)::bigint::text";

#[rustfmt::skip]
const CASES: &[Case] = &[
    case("bool", AS_TEXT, &["true", "false"]),
    case("int2", AS_TEXT, &["-32768", "32767", "0", "-1"]),
    case("int4", AS_TEXT, &["-2147483648", "2147483647", "0", "-1"]),
    case("int8", AS_TEXT, &["-9223372036854775808", "9223372036854775807", "0", "-1"]),
    case("oid", AS_TEXT, &["0", "4000000000", "4294967295"]),
    case("\"char\"", "ascii($::text)::text", &["a", "Z", "~"]),
    case("float4", "encode(float4send($), 'hex')", &["NaN", "Infinity", "-Infinity", "-0", "0", "1e-45", "3.4028235e38", "0.1"]),
    case("float8", "encode(float8send($), 'hex')", &["NaN", "Infinity", "-Infinity", "-0", "0", "5e-324", "1.7976931348623157e308", "0.1", "1e23"]),
    case("numeric(38,0)", AS_TEXT, &["99999999999999999999999999999999999999", "-99999999999999999999999999999999999999", "0", "1", "10000", "-10000"]),
    case("numeric(38,38)", AS_TEXT, &["0.99999999999999999999999999999999999999", "-0.00000000000000000000000000000000000001", "0"]),
    case("numeric(15,2)", AS_TEXT, &["9999999999999.99", "-0.01", "0.10", "1234.5", "100000000", "0"]),
    case("numeric(5,4)", AS_TEXT, &["9.9999", "0.0001", "-0.0010", "1"]),
    case("numeric(1,0)", AS_TEXT, &["9", "-9"]),
    case("numeric", AS_TEXT, &["NaN", "1.50", "1.5", "1e-200", "-123456789012345678901234567890.123456789", "0.000"]),
    case("numeric(60,10)", AS_TEXT, &["NaN", "12345678901234567890123456789012345678901234567890.0123456789"]),
    case("text", AS_TEXT, &["", " ", "a\tb\nc\\N", "żółć 漢字 🦀", "''"]),
    case("varchar(10)", AS_TEXT, &["", "ten chars ", "🦀🦀"]),
    case("char(5)", "convert_from(bpcharsend($), 'UTF8')", &["", "ab", "abcde", "é"]),
    case("name", AS_TEXT, &["", "x", "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"]),
    case("bytea", "encode($, 'hex')", &["\\x", "\\x00", "\\xff00ff"]),
    case("date", "($ - date '1970-01-01')::text", &["4713-01-01 BC", "5874897-12-31", "1970-01-01", "1582-10-14", "2000-02-29"]),
    case("time", TIME, &["00:00", "24:00", "23:59:59.999999"]),
    case("timestamp", TIMESTAMP, &["4713-01-01 BC", "294246-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999", "2000-01-01"]),
    case("timestamptz", TIMESTAMPTZ, &["4713-01-01 00:00+00 BC", "294246-12-31 23:59:59.999999+00", "2026-03-29 01:59:59+01", "2026-03-29 03:00:00+02"]),
    case("uuid", AS_TEXT, &["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "0123456789abcdef0123456789abcdef"]),
    case("json", AS_TEXT, &["{\"a\" :  1, \"a\":2}", "null", "\"\\u00e9\""]),
    case("jsonb", AS_TEXT, &["{\"b\": [1.10, null], \"a\": {}}", "null", "1e400"]),
    case("mood", AS_TEXT, &["sad", "so so", "häppy"]),
    case("price", AS_TEXT, &["0.00", "12345678.90"]),
    case("int4[]", AS_TEXT, &["{}", "{1,NULL,3}", "[0:1]={1,2}", "{{1,2},{3,4}}"]),
    case("char(3)[]", AS_TEXT, &["{a,NULL}"]),
    case("interval", AS_TEXT, &["1 year -2 mons 3 days 04:05:06.7", "-178000000 years", "0"]),
    case("timetz", AS_TEXT, &["24:00:00+00", "01:02:03.000004-15:59"]),
    case("money", AS_TEXT, &["-12.34", "92233720368547758.07"]),
    case("inet", AS_TEXT, &["10.0.0.1", "::1/64"]),
    case("cidr", AS_TEXT, &["10.0.0.0/8"]),
    case("macaddr", AS_TEXT, &["08:00:2b:01:02:03"]),
    case("bit(4)", AS_TEXT, &["1010"]),
    case("varbit", AS_TEXT, &["", "101"]),
    case("xml", AS_TEXT, &["<?xml version=\"1.0\"?><a/>", "<b>x</b>"]),
    case("int4range", AS_TEXT, &["empty", "[1,5)", "(,)", "[1,)"]),
    case("int4multirange", AS_TEXT, &["{}", "{[1,2),[5,)}"]),
    case("tsvector", AS_TEXT, &["'a':1 'b':2A"]),
    case("point", AS_TEXT, &["(1.5,-0)", "(NaN,Infinity)"]),
    case("pair", AS_TEXT, &["(1,\"a,b\")", "(,)"]),
    case("aclitem", AS_TEXT, &["postgres=r/postgres"]),
    case("regclass", AS_TEXT, &["pg_class", "-"]),
    case("pg_lsn", AS_TEXT, &["FFFFFFFF/FFFFFFFF"]),
    case("xid8", AS_TEXT, &["18446744073709551615"]),
    case("tid", AS_TEXT, &["(4294967295,65535)"]),
];

/// Whether the server was built with it: not all are.
const LIBXML: &str = "SELECT count(*) FROM pg_config() WHERE setting LIKE '%--with-libxml%'";

#[test]
fn every_type_lands_as_the_server_shows_it_on_every_version() {
    let mut with_xml = 0;
    for major in 13..=18 {
        let database = Database::create_on(major, "values");
        let has_xml = database.query_one_text(LIBXML) != "0";
        with_xml += u32::from(has_xml);
        // Multiranges came with 14.
        let known = |case: &&Case| match case.sql_type {
            "int4multirange" => major >= 14,
            "xml" => has_xml,
            _ => true,
        };
        let cases: Vec<&Case> = CASES.iter().filter(known).collect();
        land(&database, &cases);
    }
    assert!(
        with_xml > 0,
        "the distribution's server is built with libxml"
    );
}

fn land(database: &Database, cases: &[&Case]) {
    let rows = make_table(database, cases);
    let root = TempRoot::new();
    export(database, "public.v", &root, &["--chunk-rows", "3"]);
    let batches = read_rows(&root, "public/v");
    let read: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(read, rows);
    let session = database.session();
    session.execute("SET search_path = pg_catalog; SET TimeZone = 'UTC'");
    for (index, case) in cases.iter().enumerate() {
        let shown = case.shown.replace("$", &format!("c{index}"));
        let sql = format!("SELECT {shown} FROM public.v ORDER BY id");
        let expected: Vec<_> = session
            .query_text(&sql)
            .into_iter()
            .map(|mut row| row.remove(0))
            .collect();
        assert_eq!(column(&batches, index), expected, "{}", case.sql_type);
    }
}

/// One column a case; row r holds each case's r-th value, NULL where it has none. The first and
/// the last row are NULL throughout.
fn make_table(database: &Database, cases: &[&Case]) -> usize {
    database.execute(
        "CREATE TYPE mood AS ENUM ('sad', 'so so', 'häppy');
         CREATE TYPE pair AS (a int, b text);
         CREATE DOMAIN price AS numeric(10,2) CHECK (VALUE >= 0)",
    );
    let columns: Vec<String> = cases
        .iter()
        .enumerate()
        .map(|(i, case)| format!("c{i} {}", case.sql_type))
        .collect();
    database.execute(&format!(
        "CREATE TABLE v (id int PRIMARY KEY, {})",
        columns.join(", ")
    ));
    let most = cases.iter().map(|case| case.values.len()).max().unwrap();
    for row in 0..most + 2 {
        let values: Vec<String> = cases
            .iter()
            .map(
                |case| match row.checked_sub(1).and_then(|row| case.values.get(row)) {
                    Some(value) => format!("'{}'", value.replace('\'', "''")),
                    None => "NULL".to_owned(),
                },
            )
            .collect();
        database.execute(&format!(
            "INSERT INTO v VALUES ({row}, {})",
            values.join(", ")
        ));
    }
    database.execute("ANALYZE v");
    most + 2
}

/// A column over all batches, after `id`, in the order of `id`.
fn column(batches: &[RecordBatch], index: usize) -> Vec<Option<String>> {
    let mut cells = Vec::new();
    for batch in batches {
        let ids = batch.column(0).as_primitive::<Int32Type>();
        let array = batch.column(index + 1);
        for row in 0..batch.num_rows() {
            cells.push((
                ids.value(row),
                array.is_valid(row).then(|| shown(array, row)),
            ));
        }
    }
    cells.sort_by_key(|(id, _)| *id);
    cells.into_iter().map(|(_, cell)| cell).collect()
}

fn shown(array: &ArrayRef, row: usize) -> String {
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).to_string(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float32 => hex(&array.as_primitive::<Float32Type>().value(row).to_be_bytes()),
        DataType::Float64 => hex(&array.as_primitive::<Float64Type>().value(row).to_be_bytes()),
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Binary => hex(array.as_binary::<i32>().value(row)),
        DataType::Date32 => array.as_primitive::<Date32Type>().value(row).to_string(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => array
            .as_primitive::<TimestampMicrosecondType>()
            .value(row)
            .to_string(),
        DataType::Dictionary(..) => {
            let labels = array.as_dictionary::<Int32Type>();
            let key = labels.keys().value(row) as usize;
            labels.values().as_string::<i32>().value(key).to_owned()
        }
        other => panic!("no way to show {other}"),
    }
}

/// What a column cannot hold stops the chunk, says which column and row, and shows no value.
#[test]
fn unrepresentable_values_stop_the_chunk_without_showing_it() {
    let values = [
        ("timestamp", "infinity"),
        ("timestamptz", "-infinity"),
        ("timestamp", "294276-12-31 23:59:59"),
        ("date", "infinity"),
        ("numeric(10,2)", "NaN"),
    ];
    for (sql_type, value) in values {
        let database = Database::create("unrepresentable");
        database.execute(&format!(
            "CREATE TABLE t (id int PRIMARY KEY, \"The Column\" {sql_type});
             INSERT INTO t VALUES (1, NULL), (7351, '{value}')"
        ));
        let root = TempRoot::new();
        let outcome =
            crate::scenario::try_export(&database, "public.t", &root, &["--show-row-key"])
                .expect_code(8);
        assert!(outcome.stderr.contains("The Column"), "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains("7351"),
            "the row's key: {}",
            outcome.stderr
        );
        assert!(!root.path().join("public/t/_SUCCESS").exists());
    }
}
