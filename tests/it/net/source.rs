//! Faults between the program and PostgreSQL, each once: what the proxy does, and how the run ends.

use std::process::Command;

use super::wire::Fault::{self, *};
use super::wire::Moment::{self, *};
use super::wire::Whose::{self, Catalog, From, Keeper, Worker};
use super::wire::{Rule, Wire};
use super::{Ends, Outcome, check_complete, check_end, side_by_side};
use crate::rig::{self, Database, TempRoot};

const ROWS: i64 = 2000;

/// What is struck, and how the run ends.
struct Case {
    rule: Rule,
    ends: Ends,
}

type Named = (&'static str, Case);

const fn case(name: &'static str, whose: Whose, when: Moment, what: Fault, ends: Ends) -> Named {
    let rule = Rule {
        whose,
        when,
        what,
        times: 1,
    };
    (name, Case { rule, ends })
}

/// The same fault at so many connections in a row.
const fn times(times: usize, named: Named) -> Named {
    let (name, mut case) = named;
    case.rule.times = times;
    (name, case)
}

const BROKEN: Ends = Ends::Well("source connection");
const SILENT: Ends = Ends::Well("source timeout");

const fn lost(says: &'static str) -> Ends {
    Ends::Loudly(3, says)
}

/// The kinds of fault, and what is expected of each: made good, with what the report says was
/// retried, or a loud end with an exit code and words.
const CASES: &[Named] = &[
    // At the beginning.
    case(
        "reset at the first connect",
        From(0),
        Connect,
        Reset,
        BROKEN,
    ),
    case("closed at the first connect", From(0), Connect, Cut, BROKEN),
    case(
        "silent at connect",
        From(0),
        Connect,
        Blackhole,
        lost("did not answer in time"),
    ),
    case(
        "garbage at login",
        From(0),
        Login,
        Garbage,
        Ends::Well("source connection"),
    ),
    times(
        1000,
        case(
            "another service",
            From(0),
            Login,
            Garbage,
            lost("host and port"),
        ),
    ),
    case(
        "full at login",
        From(0),
        Login,
        Error("53300"),
        Ends::Well("53300"),
    ),
    case(
        "starting up",
        From(0),
        Login,
        Error("57P03"),
        Ends::Well("57P03"),
    ),
    case(
        "wrong password",
        From(0),
        Login,
        Error("28P01"),
        lost("check the user"),
    ),
    // A worker's connection.
    case("worker reset at connect", From(2), Connect, Reset, BROKEN),
    case(
        "worker silent at login",
        Worker,
        Login,
        Blackhole,
        Ends::Well("source connection"),
    ),
    case(
        "worker full at login",
        Worker,
        Login,
        Error("53300"),
        Ends::Well("53300"),
    ),
    case("reset in the rows", Worker, Row(100), Reset, BROKEN),
    case("cut in the rows", Worker, Row(100), Cut, BROKEN),
    case(
        "half a message, half-closed",
        Worker,
        Row(100),
        HalfClose(9),
        BROKEN,
    ),
    case("cut before the trailer", Worker, Trailer, Cut, BROKEN),
    case("half a trailer", Worker, Trailer, HalfClose(6), BROKEN),
    case("cut after the trailer", Worker, Completion, Cut, BROKEN),
    case("cut before it is ready", Worker, Ready, Cut, BROKEN),
    case("blackhole in the rows", Worker, Row(100), Blackhole, SILENT),
    case("swallowed in the rows", Worker, Row(100), Swallow, SILENT),
    case("swallowed trailer", Worker, Trailer, Swallow, SILENT),
    case("swallowed completion", Worker, Completion, Swallow, SILENT),
    case("trickle", Worker, Row(100), Trickle(30), Ends::Well("")),
    case(
        "garbage in the rows",
        Worker,
        Row(100),
        Garbage,
        Ends::Well("source"),
    ),
    case(
        "flipped length",
        Worker,
        Row(100),
        Flip(1),
        Ends::Well("source"),
    ),
    case(
        "flipped field count",
        Worker,
        Row(100),
        Flip(5),
        Ends::Loudly(8, "field"),
    ),
    case(
        "flipped text",
        Worker,
        Row(100),
        Flip(30),
        Ends::Loudly(8, "UTF-8"),
    ),
    // What a server says.
    case(
        "terminated",
        Worker,
        Row(100),
        Error("57P01"),
        Ends::Well("57P01"),
    ),
    case(
        "crashed beside it",
        Worker,
        Row(100),
        Error("57P02"),
        Ends::Well("57P02"),
    ),
    case(
        "recovery conflict",
        Worker,
        Row(100),
        Error("40001"),
        Ends::Well("40001"),
    ),
    case(
        "out of memory",
        Worker,
        Row(100),
        Error("53200"),
        Ends::Well("53200"),
    ),
    case(
        "idle session",
        Worker,
        Row(100),
        Error("25P03"),
        Ends::Well("25P03"),
    ),
    case(
        "cancelled",
        Worker,
        Row(100),
        Error("57014"),
        lost("somebody cancelled"),
    ),
    case("disk full", Worker, Row(100), Error("53100"), lost("53100")),
    case(
        "damaged table",
        Worker,
        Row(100),
        Error("XX001"),
        lost("damaged"),
    ),
    // The keeper's, and the last look at the definition.
    case(
        "keeper swallowed",
        Keeper,
        WhileReading,
        Swallow,
        lost("start again"),
    ),
    case(
        "keeper reset",
        Keeper,
        WhileReading,
        Reset,
        lost("start again"),
    ),
    case("last look reset", Catalog, Login, Reset, Ends::Well("")),
];

#[test]
fn every_fault_on_the_way_to_postgresql_is_made_good_or_told() {
    let database = Database::create("net_source");
    database.execute(&format!(
        "CREATE TABLE rows AS SELECT i::bigint AS id, repeat(md5(i::text), 3) AS note \
         FROM generate_series(1, {ROWS}) AS i; \
         ALTER TABLE rows ADD PRIMARY KEY (id); ANALYZE rows;"
    ));
    side_by_side(CASES, |case| check(&database, case));
}

fn check(database: &Database, case: &Case) {
    let wire = Wire::before(database.port(), &[case.rule]);
    let root = TempRoot::in_memory();
    let outcome = export(database, wire.port, &root, case);
    assert!(wire.struck() > 0, "nothing was struck: {outcome}");
    check_end(&outcome, &case.ends);
    if let Ends::Loudly(..) = case.ends {
        // What was committed stays, and the same command goes on.
        let again = export(database, database.port(), &root, case);
        assert_eq!(again.code, Some(0), "{again}");
    }
    check_complete(database, &root, "public/rows", ROWS);
}

fn export(database: &Database, port: u16, root: &TempRoot, case: &Case) -> Outcome {
    let dsn = database.dsn();
    let dsn = dsn.replace(&format!(":{}/", database.port()), &format!(":{port}/"));
    let mut command: Command = rig::pgsluice();
    command
        .args(["export", "--from"])
        .arg(format!("{dsn}?sslmode=disable&connect_timeout=3"))
        .args(["--table", "rows", "--to"])
        .arg(root.path())
        .args(["--chunk-by", "key:id", "--chunk-rows", "500"])
        .args(["--source-timeout", "1s", "--lease-interval", "200ms"])
        .args(["--output", "json"]);
    if case.rule.whose == Whose::Keeper {
        // Long enough for the keeper to be asked.
        command.args(["--pause-between-chunks", "2s"]);
    }
    rig::run(&mut command, super::LIMIT)
}
