//! What patterns take, without a server.

use super::*;

const PATH: [&str; 2] = ["app", "public"];

/// `public`: plain tables, a table with two levels of partitions, a parent with a child, a view,
/// a foreign table; `app`: one that hides `public.orders`.
fn database() -> Vec<Found> {
    let of = |oid, schema, name, relkind| Found {
        relkind,
        ..Found::plain(oid, schema, name)
    };
    let below = |oid, name, relkind, parent, is_partition| Found {
        parents: vec![parent],
        is_partition,
        ..of(oid, "public", name, relkind)
    };
    vec![
        of(1, "app", "orders", b'r'),
        of(2, "public", "orders", b'r'),
        of(3, "public", "order_items", b'r'),
        of(4, "public", "Odd name", b'r'),
        of(10, "public", "events", b'p'),
        below(11, "events_2025", b'p', 10, true),
        below(12, "events_2025_01", b'r', 11, true),
        below(13, "events_2026", b'r', 10, true),
        Found {
            has_children: true,
            ..of(20, "public", "base", b'r')
        },
        below(21, "child", b'r', 20, false),
        of(30, "public", "totals", b'v'),
        of(31, "public", "cached", b'm'),
        of(40, "far", "away", b'f'),
        Found {
            is_of_extension: true,
            ..of(41, "far", "spatial_ref_sys", b'r')
        },
    ]
}

fn selection(tables: &[&str]) -> Selection {
    Selection {
        tables: tables.iter().map(|table| table.parse().unwrap()).collect(),
        inheritance: Some(Inheritance::IncludeChildren),
        ..Selection::default()
    }
}

/// The names that a selection's patterns choose, and what is said of the rest.
fn chosen(selection: &Selection) -> Result<(Vec<String>, Vec<String>)> {
    let listed = database();
    let catalog = Catalog::new(&listed, &PATH.map(str::to_owned));
    let mut selected = Selected::default();
    let chosen = catalog.choose(selection, &[])?;
    chosen.add_to(&mut selected, selection, false)?;
    let names = selected.tables.iter().map(|table| table.name.to_string());
    Ok((names.collect(), selected.warnings))
}

fn names(selection: &Selection) -> Vec<String> {
    chosen(selection).unwrap().0
}

#[test]
fn a_pattern_takes_what_it_matches_along_the_search_path() {
    assert_eq!(
        names(&selection(&["order*"])),
        ["app.orders", "public.order_items"]
    );
    assert_eq!(
        names(&selection(&["public.order*"])),
        ["public.order_items", "public.orders"]
            .map(str::to_owned)
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
    );
    assert_eq!(
        names(&selection(&["*.order?"])),
        ["app.orders", "public.orders"]
    );
    assert_eq!(names(&selection(&["\"Odd \"*"])), ["public.\"Odd name\""]);
}

#[test]
fn partitions_and_children_come_with_their_table_or_alone() {
    assert_eq!(names(&selection(&["public.event*"])), ["public.events"]);
    assert_eq!(
        names(&selection(&["public.events_2025*"])),
        ["public.events_2025"],
        "a leaf of a chosen partition of a table that was not chosen"
    );
    assert_eq!(
        names(&selection(&["public.events_2026*"])),
        ["public.events_2026"]
    );
    assert_eq!(
        names(&selection(&["public.base*", "public.chil*"])),
        ["public.base"]
    );
    let mut only = selection(&["public.base*", "public.chil*"]);
    only.inheritance = Some(Inheritance::Only);
    assert_eq!(names(&only), ["public.base", "public.child"]);
}

#[test]
fn everything_is_tables_and_materialized_views_and_views_when_asked() {
    let mut all = selection(&[]);
    all.all = true;
    let (tables, warnings) = chosen(&all).unwrap();
    let expected = [
        "app.orders",
        "public.orders",
        "public.order_items",
        "public.\"Odd name\"",
        "public.events",
        "public.base",
        "public.cached",
    ];
    assert_eq!(tables, expected);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings.iter().any(|one| one.contains("far.away")),
        "{warnings:?}"
    );
    assert!(
        warnings
            .iter()
            .any(|one| one.contains("far.spatial_ref_sys"))
    );
    all.include_views = true;
    assert!(names(&all).contains(&"public.totals".to_owned()));
}

#[test]
fn what_is_excluded_is_silent_and_takes_its_partitions_along() {
    let mut some = selection(&[]);
    some.all = true;
    some.exclude = ["far.*", "events", "o*", "public.\"Odd\"*"]
        .map(|pattern| pattern.parse().unwrap())
        .to_vec();
    let (tables, warnings) = chosen(&some).unwrap();
    assert_eq!(tables, ["public.orders", "public.base", "public.cached"]);
    assert!(warnings.is_empty(), "{warnings:?}");
    some.exclude = vec!["nothing".parse().unwrap()];
    let (_, warnings) = chosen(&some).unwrap();
    assert!(warnings.iter().any(|one| one.contains("--exclude nothing")));
}

#[test]
fn a_pattern_that_matches_nothing_is_an_error_with_the_nearest_names() {
    let error = chosen(&selection(&["publc.order_*"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let advice = error.advice().unwrap();
    assert!(advice.contains("public.order_items"), "{advice}");
    let error = chosen(&selection(&["tot*"])).unwrap_err();
    assert!(error.advice().unwrap().contains("--include-views"));
    let mut schema = selection(&[]);
    schema.schemas = vec!["pubic".parse().unwrap()];
    let error = chosen(&schema).unwrap_err();
    assert!(error.advice().unwrap().contains("\"public\""));
}

#[test]
fn what_becomes_of_children_must_be_said() {
    let mut unsaid = selection(&["*.*"]);
    unsaid.inheritance = None;
    let error = chosen(&unsaid).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("public.base"), "{error}");
    unsaid.inheritance = Some(Inheritance::Only);
    let error = chosen(&unsaid).unwrap_err();
    assert!(error.to_string().contains("public.events"), "{error}");
}
