use std::num::NonZeroUsize;

use pgsluice::{ChunkBy, Compression, ErrorKind, MapTo, OnUnrepresentable, Profile};

use super::*;
use crate::cli::layers::ConfigFile;

const NO_ENV: &dyn Fn(&str) -> Option<String> = &|_| None;

fn args(table: &str) -> JobArgs {
    let mut args = JobArgs::default();
    args.source.table = vec![table.to_owned()];
    args
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn file(text: &str) -> Option<ConfigFile> {
    let known = crate::cli::known_keys();
    Some(ConfigFile::parse("job.toml", text, &known).unwrap())
}

#[test]
fn nothing_but_a_table_gives_the_librarys_defaults() {
    let job = job(&args("orders"), &Layers::new(NO_ENV, None)).unwrap();
    assert_eq!(
        job.options,
        ExportOptions::new(vec!["orders".parse().unwrap()])
    );
    assert!(job.dsn.is_none() && job.target.is_none() && job.warnings.is_empty());
}

#[test]
fn every_flag_reaches_its_field() {
    let mut args = args("public.orders");
    args.source.columns = vec![r#"ID, "Total, net""#.to_owned()];
    args.source.filter = some("id > 5");
    args.source.snapshot = some("00000003-0000001B-1");
    args.source.lock_timeout = some("2min");
    args.target.to = some("s3://lake/x");
    args.target.layout = some("{table}");
    args.store.store_option = vec!["aws_region=a,b".to_owned()];
    args.types.profile = some("native");
    args.types.map = vec!["Total, net=decimal(20,4)".to_owned()];
    args.types.on_unrepresentable = some("exceptions");
    args.chunks.chunk_by = some("key:id");
    args.chunks.chunk_rows = some("1_000");
    args.chunks.chunk_bytes = some("1GiB");
    args.chunks.workers = some("8");
    args.chunks.attempts = some("7");
    args.file.compression = some("zstd:9");
    args.file.row_group_bytes = some("64MiB");
    args.file.batch_bytes = some("1048576");
    args.file.batch_rows = some("1000");
    args.file.part_bytes = some("16 MiB");
    args.run.require_consistent = some("true");
    args.run.takeover = some("true");
    args.run.show_row_key = some("true");
    args.run.lease_interval = some("500ms");
    let job = job(&args, &Layers::new(NO_ENV, None)).unwrap();

    let mut expected = ExportOptions::new(vec!["public.orders".parse().unwrap()]);
    expected.columns = Some(vec!["id".into(), "Total, net".into()]);
    expected.filter = some("id > 5");
    expected.snapshot = some("00000003-0000001B-1");
    expected.lock_timeout = Duration::from_secs(120);
    expected.layout = "{table}".into();
    expected.profile = Profile::Native;
    let decimal = MapTo::Decimal {
        precision: 20,
        scale: 4,
    };
    expected.maps.insert("Total, net".into(), decimal);
    expected.on_unrepresentable = OnUnrepresentable::Exceptions;
    expected.chunk_by = ChunkBy::Key(vec!["id".into()]);
    expected.chunk_rows = Some(1000);
    expected.chunk_bytes = Some(1 << 30);
    expected.workers = NonZeroUsize::new(8).unwrap();
    expected.chunk_attempts = 7;
    expected.compression = Compression::Zstd(9);
    expected.row_group_bytes = 64 << 20;
    expected.batch_bytes = 1 << 20;
    expected.batch_rows = 1000;
    expected.part_bytes = 16 << 20;
    expected.require_consistent = true;
    expected.takeover = true;
    expected.show_row_key = true;
    expected.lease_interval = Duration::from_millis(500);
    assert_eq!(job.options, expected);
    let target = job.target.unwrap();
    assert_eq!(target.url, "s3://lake/x");
    assert_eq!(target.store_options, [("aws_region".into(), "a,b".into())]);
}

#[test]
fn a_flag_can_take_back_what_the_file_switches_on() {
    let mut args = args("orders");
    let layers = Layers::new(NO_ENV, file("takeover = true\nworkers = 4"));
    assert!(job(&args, &layers).unwrap().options.takeover);
    assert_eq!(job(&args, &layers).unwrap().options.workers.get(), 4);
    args.run.takeover = some("false");
    assert!(!job(&args, &layers).unwrap().options.takeover);
}

#[test]
fn an_empty_layout_on_the_command_line_is_a_value() {
    let mut args = args("orders");
    args.target.layout = some("");
    assert_eq!(
        job(&args, &Layers::new(NO_ENV, None))
            .unwrap()
            .options
            .layout,
        ""
    );
}

#[test]
fn tables_come_from_any_layer_as_sql_lists() {
    let env = |name: &str| (name == "PGSLUICE_TABLE").then(|| r#"a, "B,c""#.to_owned());
    let layers = Layers::new(&env, file("table = ['x']"));
    let options = job(&JobArgs::default(), &layers).unwrap().options;
    let names: Vec<_> = options
        .tables
        .iter()
        .map(|table| table.name.as_exact().unwrap())
        .collect();
    assert_eq!(names, ["a", "B,c"]);
    assert!(job(&args("a,b,a"), &Layers::new(NO_ENV, None)).is_err());
    assert!(job(&JobArgs::default(), &Layers::new(NO_ENV, None)).is_err());
}

#[test]
fn a_bad_value_is_told_with_its_place_and_kind() {
    let env = |name: &str| (name == "PGSLUICE_WORKERS").then(|| "many".to_owned());
    let error = job(&args("a"), &Layers::new(&env, None)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        error.to_string(),
        "PGSLUICE_WORKERS: expected a number from 1 to 64"
    );
    let error = job(&args("a"), &Layers::new(NO_ENV, file("chunk-by = 'hash'")))
        .err()
        .unwrap();
    assert_eq!(error.to_string(), "chunk-by in job.toml: bad value");

    let bad = |change: fn(&mut JobArgs)| {
        let mut args = args("a");
        change(&mut args);
        job(&args, &Layers::new(NO_ENV, None))
            .err()
            .unwrap()
            .to_string()
    };
    assert!(
        bad(|args| args.chunks.chunk_bytes = some("lots")).starts_with("--chunk-bytes: expected")
    );
    assert!(
        bad(|args| args.source.lock_timeout = some("10")).starts_with("--lock-timeout: expected")
    );
    assert!(bad(|args| args.file.batch_rows = some("-1")).starts_with("--batch-rows: expected"));
    assert!(bad(|args| args.run.takeover = some("maybe")).starts_with("--takeover: expected"));
    assert!(
        bad(|args| args.source.columns = vec!["a,,b".into()]).starts_with("--columns: expected")
    );
    assert!(bad(|args| args.chunks.chunk_by = some("hash")).starts_with("--chunk-by hash"));
    assert!(bad(|args| args.chunks.workers = some("65")).contains("at most 64"));
}

#[test]
fn only_a_password_on_the_command_line_is_warned_of() {
    let mut args = args("a");
    let dsn = "postgres://u:hunter2@h/db";
    let layers = Layers::new(NO_ENV, None);
    args.source.from = some(dsn);
    let warnings = job(&args, &layers).unwrap().warnings;
    assert!(
        warnings.len() == 1 && warnings[0].contains("PGPASSWORD"),
        "{warnings:?}"
    );
    assert!(!warnings[0].contains("hunter2"));
    args.source.from = None;
    let env = |name: &str| (name == "PGSLUICE_FROM").then(|| dsn.to_owned());
    assert!(
        job(&args, &Layers::new(&env, None))
            .unwrap()
            .warnings
            .is_empty()
    );
    args.target.to = some("s3://b");
    args.store.store_option = vec!["aws_secret_access_key=hunter2".into()];
    let warnings = job(&args, &layers).unwrap().warnings;
    assert!(
        warnings.len() == 1 && !warnings[0].contains("hunter2"),
        "{warnings:?}"
    );
}

#[test]
fn status_takes_its_argument_or_the_to_of_a_file() {
    let url =
        |args: &StatusArgs, layers: &Layers<'_>| status(args, layers).map(|(target, _)| target.url);
    let layers = Layers::new(NO_ENV, file("to = './lake'"));
    assert_eq!(url(&StatusArgs::default(), &layers).unwrap(), "./lake");
    let args = StatusArgs {
        url: some("x"),
        ..StatusArgs::default()
    };
    assert_eq!(url(&args, &layers).unwrap(), "x");
    assert!(url(&StatusArgs::default(), &Layers::new(NO_ENV, None)).is_err());
}

#[test]
fn column_names_are_read_as_sql_reads_them() {
    assert_eq!(column_name("Id").as_deref(), Some("id"));
    assert_eq!(column_name("ÄB").as_deref(), Some("Äb"));
    assert_eq!(column_name(r#""a""b""#).as_deref(), Some("a\"b"));
    for bad in ["", "a b", "a.b", "\"", "\"\"", "\"a", "a\"", "\"a\"b\""] {
        assert_eq!(column_name(bad), None, "{bad:?}");
    }
}

#[test]
fn a_map_ends_its_column_at_the_last_equals_sign_wherever_it_stands() {
    let read = |flags: &[&str], env: Option<&'static str>, text: &str| {
        let mut args = args("t");
        args.types.map = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let env = move |name: &str| env.filter(|_| name == "PGSLUICE_MAP").map(str::to_owned);
        job(&args, &Layers::new(&env, file(text))).map(|job| {
            let maps = job.options.maps.into_iter();
            maps.map(|(column, to)| format!("{column}|{to}"))
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(read(&["a=b=text"], None, "").unwrap(), ["a=b|text"]);
    assert_eq!(read(&["A,b=uuid"], None, "").unwrap(), ["A,b|uuid"]);
    let listed = read(&[], Some("a=decimal(9,2),b=json"), "map = ['c=text']");
    assert_eq!(listed.unwrap(), ["a|decimal(9,2)", "b|json"]);
    let table = "[map]\namount = 'decimal(9,2)'\n'x y' = 'binary'\n";
    assert_eq!(
        read(&[], None, table).unwrap(),
        ["amount|decimal(9,2)", "x y|binary"]
    );
    for bad in ["a", "=text", "a=", "a=int8", "a=decimal(4,5)"] {
        let error = read(&[bad], None, "").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
    }
    assert!(read(&["a=text", "a=uuid"], None, "").is_err());
}

#[test]
fn a_map_takes_a_single_table() {
    let mut args = args("a,b");
    args.types.map = vec!["x=text".to_owned()];
    let error = job(&args, &Layers::new(NO_ENV, None)).err().unwrap();
    assert!(error.to_string().contains("--map takes a single --table"));
}
