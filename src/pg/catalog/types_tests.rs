//! Walks over types that were read, without a server.

use super::*;

/// What an oid stands for in these tests.
fn types(rows: impl IntoIterator<Item = (u32, Kind)>) -> Types {
    let row = |(oid, kind)| {
        let row = TypeRow {
            name: format!("t{oid}"),
            extension: None,
            kind,
            has_binary: true,
        };
        (oid, row)
    };
    Types {
        rows: rows.into_iter().map(row).collect(),
        attributes: HashMap::new(),
        money_scale: 2,
    }
}

fn numeric_typmod(precision: i32, scale: i32) -> i32 {
    ((precision << 16) | scale) + 4
}

fn as_json(pg_type: &PgType) -> serde_json::Value {
    serde_json::to_value(pg_type).unwrap()
}

#[test]
fn a_modifier_reaches_the_elements_and_a_domains_own_wins() {
    let domain = Kind::Domain {
        base: 1700,
        typmod: numeric_typmod(5, 1),
    };
    let types = types([
        (1700, Kind::Base),
        (1231, Kind::Array { element: 1700 }),
        (9000, domain),
        (9001, Kind::Array { element: 9000 }),
        (
            9002,
            Kind::Domain {
                base: 1231,
                typmod: numeric_typmod(7, 3),
            },
        ),
    ]);
    let element = |oid, typmod| {
        let PgType::Array { element } = types.resolve(oid, typmod).unwrap() else {
            panic!("an array");
        };
        let PgType::Numeric(Some(modifier)) = element.pg_type else {
            panic!("{element:?}");
        };
        (element.oid, modifier.precision, modifier.scale)
    };
    assert_eq!(element(1231, numeric_typmod(10, 2)), (1700, 10, 2));
    // The domain's own oid stands on the wire, and its modifier holds.
    assert_eq!(element(9001, -1), (9000, 5, 1));
    assert_eq!(element(9002, -1), (1700, 7, 3));
}

#[test]
fn composites_keep_the_order_and_the_oids_of_their_attributes() {
    let mut types = types([
        (23, Kind::Base),
        (
            9000,
            Kind::Domain {
                base: 23,
                typmod: -1,
            },
        ),
        (9001, Kind::Composite { relation: 50 }),
    ]);
    let attribute = |name: &str, type_oid| AttributeRow {
        name: name.into(),
        type_oid,
        typmod: -1,
    };
    types
        .attributes
        .insert(50, vec![attribute("b", 9000), attribute("a", 23)]);
    let composite = types.resolve(9001, -1).unwrap();
    assert_eq!(
        as_json(&composite),
        serde_json::json!({"composite": {"attributes": [
            {"name": "b", "oid": 9000, "type": "int4"},
            {"name": "a", "oid": 23, "type": "int4"},
        ]}})
    );
}

#[test]
fn what_is_not_known_has_no_binary_form_or_says_more_as_text_is_text() {
    let mut types = types([
        (142, Kind::Base),
        (22, Kind::Base),
        (9000, Kind::Base),
        (9001, Kind::Base),
        (2277, Kind::Pseudo),
        (9002, Kind::Array { element: 9001 }),
    ]);
    types.rows.get_mut(&9001).unwrap().has_binary = false;
    let reason = |oid| types.resolve(oid, -1).unwrap().text_reason();
    assert_eq!(reason(142), Some(TextReason::TextIsExact));
    assert_eq!(reason(22), Some(TextReason::TextIsExact));
    assert_eq!(reason(9000), Some(TextReason::Unknown));
    assert_eq!(reason(9001), Some(TextReason::NoBinaryForm));
    assert_eq!(reason(2277), Some(TextReason::NoBinaryForm));
    assert_eq!(reason(9002), Some(TextReason::NoBinaryForm));
}

#[test]
fn a_type_of_the_users_own_is_not_taken_for_an_extensions() {
    let mut types = types([(9000, Kind::Base)]);
    let row = types.rows.get_mut(&9000).unwrap();
    row.name = "hstore".into();
    assert_eq!(
        types.resolve(9000, -1).unwrap(),
        PgType::Other(TextReason::Unknown)
    );
    types.rows.get_mut(&9000).unwrap().extension = Some("hstore".into());
    assert_eq!(types.resolve(9000, -1).unwrap(), PgType::Hstore);
}

/// Composites of two attributes, each level of the one below it, 23 at the bottom.
fn nested(levels: u32) -> Types {
    let composite = |level: u32| (100 + level, Kind::Composite { relation: level });
    let mut types = types((1..=levels).map(composite).chain([(23, Kind::Base)]));
    for level in 1..=levels {
        let type_oid = if level == 1 { 23 } else { 99 + level };
        let attribute = |name: &str| AttributeRow {
            name: name.into(),
            type_oid,
            typmod: -1,
        };
        let attributes = vec![attribute("a"), attribute("b")];
        types.attributes.insert(level, attributes);
    }
    types
}

#[test]
fn nesting_without_end_and_without_number_is_text() {
    let reason = |levels| {
        let resolved = nested(levels).resolve(100 + levels, -1).unwrap();
        resolved.text_reason()
    };
    assert_eq!(reason(8), None);
    // 2^14 parts are too many, and 17 levels too deep.
    assert_eq!(reason(14), Some(TextReason::Unknown));
    assert_eq!(reason(40), Some(TextReason::Unknown));
}

#[test]
fn the_deepest_type_can_be_read_back_from_a_manifest() {
    let mut types = nested(MAX_DEPTH - 1);
    for attributes in types.attributes.values_mut() {
        attributes.pop();
    }
    let deepest = types.resolve(100 + MAX_DEPTH - 1, -1).unwrap();
    assert_eq!(deepest.text_reason(), None);
    let levels = 24;
    let json = format!(
        "{}{}{}",
        "[".repeat(levels),
        as_json(&deepest),
        "]".repeat(levels)
    );
    assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
}

#[test]
fn a_type_that_was_dropped_meanwhile_is_an_error() {
    let types = types([(9000, Kind::Array { element: 9001 })]);
    let error = types.resolve(9000, -1).unwrap_err();
    assert!(error.is_retryable() && error.kind() == ErrorKind::Source);
    let looped = Kind::Domain {
        base: 1,
        typmod: -1,
    };
    assert!(self::types([(1, looped)]).resolve(1, -1).is_err());
}
