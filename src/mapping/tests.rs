//! The choices, from the catalog alone.

use arrow_schema::DataType;

use super::*;
use crate::pg_type::{TextReason, TypeRef};

fn column(name: &str, pg_type: PgType) -> Column {
    Column {
        type_name: "a type".to_owned(),
        ..Column::new(name, pg_type)
    }
}

fn mapped(pg_type: PgType) -> ColumnMapping {
    map_table(&[column("c", pg_type)], &MappingOptions::default())
        .unwrap()
        .columns
        .remove(0)
}

#[test]
fn only_numerics_that_decimal128_holds_exactly_are_decimals() {
    for (precision, scale, native) in [
        (1, 0, true),
        (15, 2, true),
        (38, 38, true),
        (38, 0, true),
        (39, 0, false),
        (5, -2, false),
        (2, 3, false),
        (1000, 1000, false),
    ] {
        let mapping = mapped(PgType::Numeric(Some(NumericModifier { precision, scale })));
        assert_eq!(mapping.select, SelectAs::Native);
        assert_eq!(
            mapping.codec != Codec::NumericText,
            native,
            "{precision},{scale}"
        );
        if native {
            let expected = DataType::Decimal128(precision as u8, scale as i8);
            assert_eq!(mapping.field.data_type(), &expected);
        }
    }
    assert_eq!(mapped(PgType::Numeric(None)).codec, Codec::NumericText);
}

#[test]
fn padded_text_is_never_cast_and_unknown_types_always_are() {
    assert_eq!(mapped(PgType::Bpchar).select, SelectAs::Native);
    let other = mapped(PgType::Other(TextReason::Unknown));
    assert_eq!((other.codec, other.select), (Codec::Text, SelectAs::Text));
    assert_eq!(other.field.metadata()[META_REPRESENTATION], "text");
}

#[test]
fn the_field_carries_what_a_restore_needs() {
    let mut enumeration = column(
        "mood",
        PgType::Enum {
            labels: vec!["sad".into(), "o\"k".into()],
        },
    );
    enumeration.not_null = true;
    enumeration.generated = true;
    enumeration.collation = Some("C".into());
    enumeration.typmod = 7;
    let mapping = map_table(&[enumeration], &MappingOptions::default()).unwrap();
    let field = mapping.schema.field(0);
    assert!(!field.is_nullable());
    assert_eq!(field.metadata()[META_ENUM_LABELS], r#"["sad","o\"k"]"#);
    assert_eq!(field.metadata()[META_PG_TYPE], "a type");
    assert_eq!(field.metadata()[META_COLLATION], "C");
    assert_eq!(field.metadata()[META_GENERATED], "true");
    assert_eq!(field.metadata()[META_TYPMOD], "7");
    assert_eq!(mapped(PgType::Time).field.metadata()[META_UNIT], "us");
}

#[test]
fn names_that_differ_only_by_case_are_refused() {
    let columns = [column("id", PgType::Int4), column("ID", PgType::Int4)];
    let error = map_table(&columns, &MappingOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.advice().unwrap().contains("--exclude-columns"));
}

fn array_of(pg_type: PgType) -> PgType {
    let element = Box::new(TypeRef { oid: 9, pg_type });
    PgType::Array { element }
}

fn with(options: &MappingOptions, pg_type: PgType) -> Result<ColumnMapping> {
    let mut column = column("c", pg_type);
    column.not_null = true;
    map_table(&[column], options).map(|mut mapping| mapping.columns.remove(0))
}

#[test]
fn what_holds_text_anywhere_is_text_as_a_whole() {
    let unknown = || PgType::Other(TextReason::Unknown);
    let attribute = |name: &str, pg_type| Attribute {
        name: name.to_owned(),
        of: TypeRef { oid: 8, pg_type },
    };
    let composite = |attributes| PgType::Composite { attributes };
    for pg_type in [
        array_of(unknown()),
        composite(vec![
            attribute("a", PgType::Int4),
            attribute("b", array_of(unknown())),
        ]),
        // Parquet has no empty struct, and some readers see one attribute in these two.
        composite(vec![]),
        composite(vec![
            attribute("a", PgType::Int4),
            attribute("A", PgType::Int4),
        ]),
    ] {
        let mapping = mapped(pg_type);
        assert_eq!(
            (mapping.codec, mapping.select),
            (Codec::Text, SelectAs::Text)
        );
    }
    let sound = mapped(composite(vec![attribute("a", array_of(PgType::Int4))]));
    assert_eq!(sound.select, SelectAs::Native);
    assert!(sound.field.metadata()[META_TYPE].contains("\"oid\":9"));
}

#[test]
fn only_columns_that_can_meet_an_exception_become_nullable_or_text() {
    let options = |on_unrepresentable| MappingOptions {
        on_unrepresentable,
        ..MappingOptions::default()
    };
    for (pg_type, partial) in [
        (PgType::Date, true),
        (array_of(PgType::Int4), true),
        (PgType::Int4, false),
        (PgType::Numeric(None), false),
    ] {
        let nullable = |choice| {
            let mapping = with(&options(choice), pg_type.clone()).unwrap();
            mapping.field.is_nullable()
        };
        assert!(!nullable(OnUnrepresentable::Error));
        assert_eq!(nullable(OnUnrepresentable::Exceptions), partial);
        let text = with(&options(OnUnrepresentable::Text), pg_type.clone()).unwrap();
        assert_eq!(text.select == SelectAs::Text, partial, "{pg_type:?}");
    }
}

#[test]
fn a_column_is_mapped_by_hand_only_to_what_its_type_can_be() {
    let mapped_to = |pg_type: PgType, to: &str| {
        let overrides = BTreeMap::from([("c".to_owned(), to.parse().unwrap())]);
        with(
            &MappingOptions {
                overrides,
                ..MappingOptions::default()
            },
            pg_type,
        )
    };
    let amount = mapped_to(PgType::Numeric(None), "decimal(20,4)").unwrap();
    assert_eq!(amount.field.data_type(), &DataType::Decimal128(20, 4));
    assert_eq!(amount.field.metadata()[META_MAP], "decimal(20,4)");
    let padded = mapped_to(PgType::Bpchar, "text").unwrap();
    assert_eq!(padded.select, SelectAs::Native);
    let shown = mapped_to(PgType::Date, "text").unwrap();
    assert_eq!(shown.select, SelectAs::Text);
    let id = mapped_to(PgType::Text, "uuid").unwrap();
    assert_eq!(id.field.metadata()["ARROW:extension:name"], "arrow.uuid");
    for (pg_type, to) in [(PgType::Date, "uuid"), (PgType::Int4, "decimal(9,0)")] {
        let error = mapped_to(pg_type, to).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
    let overrides = BTreeMap::from([("gone".to_owned(), MapTo::Text)]);
    let options = MappingOptions {
        overrides,
        ..MappingOptions::default()
    };
    assert!(with(&options, PgType::Int4).is_err());
}
