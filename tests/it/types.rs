//! The catalog's types, walked down to what they are made of, on several servers.

use serde_json::{Value, json};

use crate::rig::{self, Database};
use crate::scenario::LIMIT;

const ZOO: &str = "
    CREATE TYPE mood AS ENUM ('b', 'a');
    CREATE DOMAIN amount AS numeric(10,2) CHECK (VALUE > 0);
    CREATE DOMAIN net AS amount;
    CREATE DOMAIN amounts AS amount[];
    CREATE TYPE pair AS (a int, gone text, \"B b\" net[]);
    ALTER TYPE pair DROP ATTRIBUTE gone;
    CREATE TYPE nested AS (p pair, m mood);
    CREATE TYPE secret AS (a int, acl aclitem);
    CREATE TYPE span AS RANGE (subtype = timestamptz);
    CREATE TYPE hollow AS ();
    CREATE TABLE t (
        mood mood, net net, amounts amounts, pair pair, pairs pair[], nested nested,
        secret secret, secrets secret[], span span, spans span[], hollow hollow,
        wide numeric(5,2)[], big numeric(1000), any_numeric numeric, cash money,
        c \"char\", n name, tag regclass, x8 xid8, lsn pg_lsn, path jsonpath,
        vec int2vector, oids oidvector, lexemes tsvector, tid tid, x xml, p point, ps point[]);
";

/// What `plan` says of each column: name, the type's JSON, why it is text.
fn columns(database: &Database) -> Vec<(String, Value, Option<String>)> {
    let mut command = rig::pgsluice();
    command.args([
        "plan",
        "--from",
        &database.dsn(),
        "--table",
        "t",
        "--output",
        "json",
    ]);
    let plan = rig::run(&mut command, LIMIT).expect_code(0).json();
    let table = &plan["tables"][0];
    let schema = table["schema"]["columns"].as_array().unwrap();
    let plans = table["columns"].as_array().unwrap();
    let columns = schema.iter().zip(plans).map(|(column, plan)| {
        (
            column["name"].as_str().unwrap().to_owned(),
            column["pg_type"].clone(),
            plan["text_reason"].as_str().map(str::to_owned),
        )
    });
    columns.collect()
}

/// A type without the oids of the types it is made of, which every database numbers anew.
fn without_oids(mut pg_type: Value) -> Value {
    match &mut pg_type {
        Value::Object(fields) => {
            fields.remove("oid");
            fields
                .values_mut()
                .for_each(|field| *field = without_oids(field.take()));
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| *item = without_oids(item.take())),
        _ => {}
    }
    pg_type
}

fn check_zoo(major: u32) {
    let database = Database::create_on(major, "zoo");
    database.execute(ZOO);
    let columns = columns(&database);
    let found = |name: &str| {
        let column = columns.iter().find(|(column, ..)| column == name);
        let (_, pg_type, reason) = column.unwrap_or_else(|| panic!("no {name}"));
        (without_oids(pg_type.clone()), reason.as_deref())
    };
    let amount = json!({"numeric": {"precision": 10, "scale": 2}});
    let array = |of: &Value| json!({"array": {"element": {"type": of}}});
    let pair = json!({"composite": {"attributes": [
        {"name": "a", "type": "int4"}, {"name": "B b", "type": array(&amount)}
    ]}});
    let mood = json!({"enum": {"labels": ["b", "a"]}});
    let nested = json!({"composite": {"attributes": [
        {"name": "p", "type": pair}, {"name": "m", "type": mood}
    ]}});
    let span = json!({"range": {"subtype": {"type": "timestamptz"}}});
    for (name, expected) in [
        ("mood", &mood),
        ("net", &amount),
        ("amounts", &array(&amount)),
        ("pair", &pair),
        ("pairs", &array(&pair)),
        ("nested", &nested),
        ("span", &span),
        ("spans", &array(&span)),
        ("cash", &json!({"money": {"scale": 2}})),
        ("any_numeric", &json!({"numeric": null})),
        ("c", &json!("char")),
        ("n", &json!("name")),
        ("tag", &json!("oid")),
        ("x8", &json!("xid8")),
        ("lsn", &json!("pg_lsn")),
        ("path", &json!("versioned_text")),
        ("ps", &array(&json!("point"))),
    ] {
        assert_eq!(found(name), (expected.clone(), None), "{name} on {major}");
    }
    let (no_binary, exact) = (
        "it has no binary form",
        "its text says what its binary form does not",
    );
    for (name, reason) in [
        ("secret", no_binary),
        ("secrets", no_binary),
        ("hollow", "its attributes make no Parquet struct"),
        ("vec", exact),
        ("oids", exact),
        ("lexemes", exact),
        ("tid", exact),
        ("x", exact),
    ] {
        assert_eq!(found(name).1, Some(reason), "{name} on {major}");
    }
}

#[test]
fn types_are_walked_alike_on_the_oldest_server() {
    check_zoo(13);
}

#[test]
fn types_are_walked_alike_on_a_middle_server() {
    check_zoo(15);
}

#[test]
fn types_are_walked_alike_on_the_newest_server() {
    check_zoo(18);
}

#[test]
fn multiranges_are_walked_to_their_bounds() {
    let database = Database::create_on(14, "multiranges");
    database.execute(
        "CREATE DOMAIN amount AS numeric(10,2);
         CREATE TYPE amounts AS RANGE (subtype = amount);
         CREATE TABLE t (i int4multirange, a amounts_multirange)",
    );
    let multirange = |of: Value| json!({"multirange": {"subtype": {"type": of}}});
    let amount = json!({"numeric": {"precision": 10, "scale": 2}});
    let found: Vec<_> = columns(&database)
        .into_iter()
        .map(|(_, pg_type, reason)| (without_oids(pg_type), reason))
        .collect();
    assert_eq!(
        found,
        [
            (multirange(json!("int4")), None),
            (multirange(amount), None)
        ]
    );
}
