use pgsluice::ExportOptions;

use super::*;

/// The long help of one flag of a command.
fn help_of(command: &str, flag: &str) -> String {
    let root = Cli::command();
    let command = root.find_subcommand(command).unwrap();
    let arg = command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(flag))
        .unwrap();
    arg.get_help().unwrap().to_string()
}

#[test]
fn clap_finds_no_fault_in_the_definition() {
    Cli::command().debug_assert();
}

#[test]
fn the_defaults_in_the_help_are_the_librarys() {
    let options = ExportOptions::new(Vec::new());
    let size = |bytes: u64| format!("{}MiB", bytes >> 20);
    let duration = |duration| humantime::format_duration(duration).to_string();
    let defaults = [
        ("layout", options.layout.clone()),
        ("profile", options.profile.to_string()),
        ("on-unrepresentable", options.on_unrepresentable.to_string()),
        ("chunk-by", options.chunk_by.to_string()),
        ("target-object-size", size(options.target_object_bytes)),
        ("max-wait", duration(options.guards.max_wait)),
        ("check-interval", duration(options.guards.check_interval)),
        (
            "pause-between-chunks",
            duration(options.pace.pause_between_chunks),
        ),
        ("workers", options.workers.to_string()),
        ("attempts", options.chunk_attempts.to_string()),
        ("compression", options.compression.to_string()),
        ("row-group-bytes", size(options.row_group_bytes as u64)),
        ("batch-bytes", size(options.batch_bytes as u64)),
        ("batch-rows", options.batch_rows.to_string()),
        ("part-bytes", size(options.part_bytes as u64)),
        ("lock-timeout", duration(options.lock_timeout)),
        ("source-timeout", duration(options.source_timeout)),
        ("retry-budget", duration(options.retry_budget)),
        ("lease-interval", duration(options.lease_interval)),
    ];
    for (flag, default) in defaults {
        let help = help_of("export", flag);
        assert!(
            help.contains(&format!("[default: {default}]")),
            "--{flag}: {help}"
        );
    }
}

#[test]
fn every_flag_is_explained_and_can_stand_in_a_file() {
    let keys = known_keys();
    for command in Cli::command().get_subcommands() {
        for arg in command.get_arguments() {
            assert!(
                arg.get_help().is_some(),
                "{} {}",
                command.get_name(),
                arg.get_id()
            );
        }
    }
    for key in [
        "from",
        "table",
        "where",
        "store-option",
        "all-chunks",
        "output",
        "progress",
    ] {
        assert!(keys.iter().any(|known| known == key), "{key}");
    }
    for key in ["config", "help", "verbose"] {
        assert!(!keys.iter().any(|known| known == key), "{key}");
    }
}

#[test]
fn a_misplaced_connection_string_is_not_echoed() {
    let refused = |args: &[&str]| {
        let error = Cli::try_parse_from(args).err().unwrap();
        without_secrets(error).render().to_string()
    };
    for args in [
        &["pgsluice", "export", "postgres://u:hunter2@h/db"][..],
        &["pgsluice", "postgres://u:hunter2@h/db"],
        &["pgsluice", "export", "password=hunter2"],
        &["pgsluice", "--password=hunter2"],
        &["pgsluice", "export", "--password=hunter2"],
        &[
            "pgsluice",
            "export",
            "--output",
            "postgres://u:hunter2@h/db",
        ],
        &["pgsluice", "completions", "postgres://u:hunter2@h/db"],
        &["pgsluice", "status", "a", "postgres://u:hunter2@h/db"],
    ] {
        let shown = refused(args);
        assert!(!shown.contains("hunter2"), "{args:?}: {shown}");
    }
    assert!(refused(&["pgsluice", "export", "orders"]).contains("orders"));
}

#[test]
fn display_flags_stand_before_or_after_the_command() {
    for args in [
        ["pgsluice", "--output=json", "status"],
        ["pgsluice", "status", "--output=json"],
    ] {
        let cli = Cli::try_parse_from(args).ok().unwrap();
        assert_eq!(cli.display.output.as_deref(), Some("json"));
    }
}
