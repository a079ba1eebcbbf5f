//! Faults between the program and an S3 server: what the proxy does, and how the run ends.

use std::process::Command;

use super::web::Fault::{self, *};
use super::web::{Rule, Web};
use super::{Ends, Outcome, check_complete, check_end, side_by_side};
use crate::rig::{self, Database, Root, S3Root, env};

/// Rows of the small table, in four chunks, and of the large one, whose only object has two parts.
const ROWS: i64 = 800;
const LARGE_ROWS: i64 = 120;

/// What is struck, and how the run ends.
struct Case {
    rule: Rule,
    ends: Ends,
}

/// A method, and what path and query hold.
type Request = (&'static str, &'static str);
type Named = (&'static str, Case);

impl Case {
    /// Only the large one is uploaded in parts.
    fn table(&self) -> &'static str {
        let holds = self.rule.holds;
        match holds.contains("partNumber") || holds.contains("uploadId") {
            true => "large",
            false => "small",
        }
    }
}

const fn case(name: &'static str, request: Request, fault: Fault, ends: Ends) -> Named {
    let (method, holds) = request;
    let rule = Rule {
        method,
        holds,
        fault,
        times: 1,
    };
    (name, Case { rule, ends })
}

/// The same fault at so many requests in a row.
const fn times(named: Named, times: usize) -> Named {
    let (name, mut case) = named;
    case.rule.times = times;
    (name, case)
}

const OBJECT: Request = ("PUT", "/part-");
const PART: Request = ("PUT", "partNumber=");
const COMPLETE: Request = ("POST", "uploadId=");
const OPEN: Request = ("PUT", "/log/00000000000000000001");
const COMMIT: Request = ("PUT", "/log/00000000000000000002");
const FOOTER: Request = ("GET", "/part-");
const SUCCESS: Request = ("PUT", "/_SUCCESS");
const BROKEN: Ends = Ends::Well("store connection");
const SILENT: Ends = Ends::Well("store timeout");

/// The kinds of fault, and what is expected of each.
const CASES: &[Named] = &[
    case("object: reset before it is heard", OBJECT, Reset, BROKEN),
    case(
        "object: cut in the middle",
        OBJECT,
        CutUpload,
        Ends::Well("store"),
    ),
    case("object: reply lost", OBJECT, LoseReply, BROKEN),
    case("object: blackhole", OBJECT, Blackhole, SILENT),
    case("object: reply swallowed", OBJECT, SwallowReply, SILENT),
    case("object: no HTTP", OBJECT, Garbage, Ends::Well("store")),
    case(
        "object: 500",
        OBJECT,
        Answer(500, "InternalError"),
        Ends::Well("store 500"),
    ),
    case(
        "object: 503",
        OBJECT,
        Answer(503, "SlowDown"),
        Ends::Well("store 503"),
    ),
    case(
        "object: 429",
        OBJECT,
        Answer(429, "TooManyRequests"),
        Ends::Well("store 429"),
    ),
    case(
        "object: timeout of the server",
        OBJECT,
        Answer(400, "RequestTimeout"),
        Ends::Well("store 400"),
    ),
    times(
        case(
            "object: expired for a while",
            OBJECT,
            Answer(403, "ExpiredToken"),
            Ends::Well("store 403"),
        ),
        3,
    ),
    times(
        case(
            "object: expired",
            OBJECT,
            Answer(403, "ExpiredToken"),
            Ends::Loudly(4, "renew them"),
        ),
        1000,
    ),
    case(
        "object: denied",
        OBJECT,
        Answer(403, "AccessDenied"),
        Ends::Loudly(2, "allow this identity"),
    ),
    case("object: late", OBJECT, Late(1500), Ends::Well("")),
    case("part: reset", PART, Reset, BROKEN),
    case("part: reply lost", PART, LoseReply, BROKEN),
    case(
        "part: cut in the middle",
        PART,
        CutUpload,
        Ends::Well("store"),
    ),
    case(
        "part: 503",
        PART,
        Answer(503, "SlowDown"),
        Ends::Well("store 503"),
    ),
    case("completion: reset", COMPLETE, Reset, BROKEN),
    case("completion: reply lost", COMPLETE, LoseReply, BROKEN),
    case(
        "completion: 500",
        COMPLETE,
        Answer(500, "InternalError"),
        Ends::Well("store 500"),
    ),
    case("open entry: reply lost", OPEN, LoseReply, BROKEN),
    case("commit entry: reset", COMMIT, Reset, BROKEN),
    case("commit entry: reply lost", COMMIT, LoseReply, BROKEN),
    case(
        "commit entry: reply swallowed",
        COMMIT,
        SwallowReply,
        SILENT,
    ),
    case(
        "commit entry: 503",
        COMMIT,
        Answer(503, "SlowDown"),
        Ends::Well("store 503"),
    ),
    times(
        case(
            "commit entry: expired for a while",
            COMMIT,
            Answer(403, "ExpiredToken"),
            Ends::Well(""),
        ),
        8,
    ),
    case("footer: truncated", FOOTER, Truncate, BROKEN),
    case("footer: too short for its length", FOOTER, TooLong, BROKEN),
    case("footer: blackhole", FOOTER, Blackhole, SILENT),
    case("footer: trickle", FOOTER, Trickle, Ends::Well("")),
    case(
        "footer: 404",
        FOOTER,
        Answer(404, "NoSuchKey"),
        Ends::Well(""),
    ),
    case("success: reply lost", SUCCESS, LoseReply, BROKEN),
    case(
        "lease: 500",
        ("PUT", "lease.json"),
        Answer(500, "InternalError"),
        Ends::Well("store 500"),
    ),
    times(
        case(
            "down for good",
            ("PUT", "/log/0000000000000000000"),
            Answer(503, "SlowDown"),
            Ends::Loudly(4, "overloaded"),
        ),
        1000,
    ),
];

#[test]
fn every_fault_on_the_way_to_the_store_is_made_good_or_told() {
    let database = database("net_store");
    side_by_side(CASES, |case| check(&database, case));
}

fn database(name: &str) -> Database {
    let database = Database::create(name);
    database.execute(&format!(
        "CREATE TABLE small AS SELECT i::bigint AS id, md5(i::text) AS note \
         FROM generate_series(1, {ROWS}) AS i; \
         CREATE TABLE large AS SELECT i::bigint AS id, \
         (SELECT string_agg(decode(md5(i::text || j::text), 'hex'), '') \
          FROM generate_series(1, 4096) AS j) AS bytes FROM generate_series(1, {LARGE_ROWS}) AS i; \
         ALTER TABLE small ADD PRIMARY KEY (id); ALTER TABLE large ADD PRIMARY KEY (id); \
         ANALYZE small; ANALYZE large;"
    ));
    database
}

fn check(database: &Database, case: &Case) {
    let server = env("PGSLUICE_TEST_S3_ENDPOINT");
    let server = server.strip_prefix("http://").expect("plain HTTP");
    let web = Web::before(server, case.rule);
    let root = S3Root::new("net");
    let outcome = export(
        database,
        case,
        &root,
        &format!("http://127.0.0.1:{}", web.port),
    );
    assert!(web.struck() > 0, "nothing was struck: {outcome}");
    check_end(&outcome, &case.ends);
    if let Ends::Loudly(..) = case.ends {
        // What was committed stays, and the same command goes on.
        let again = export(database, case, &root, &format!("http://{server}"));
        assert_eq!(again.code, Some(0), "{again}");
    }
    let rows = if case.table() == "large" {
        LARGE_ROWS
    } else {
        ROWS
    };
    check_complete(database, &root, &format!("public/{}", case.table()), rows);
}

fn export(database: &Database, case: &Case, root: &S3Root, endpoint: &str) -> Outcome {
    let mut command: Command = rig::pgsluice();
    command
        .args(["export", "--from", &database.dsn()])
        .args(["--table", case.table(), "--to", &root.url()])
        .args(["--chunk-by", "key:id", "--chunk-rows", "200"])
        .args(["--compression", "none", "--part-bytes", "5MiB"])
        .args(["--store-option", "timeout=3s", "--lease-interval", "300ms"])
        .args(["--output", "json"]);
    root.equip(&mut command).env("AWS_ENDPOINT_URL", endpoint);
    rig::run(&mut command, super::LIMIT)
}

/// Where no server is, or another than was meant: told at once, and nothing is written.
#[test]
fn a_store_that_cannot_be_reached_is_told_at_once() {
    let database = database("net_no_store");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = closed.local_addr().expect("an address").port();
    drop(closed);
    let server = env("PGSLUICE_TEST_S3_ENDPOINT");
    let nobody = format!("http://127.0.0.1:{port}");
    let plain = server.replace("http://", "https://");
    for endpoint in [&nobody, "http://no-such-host.invalid:9000", &plain] {
        let root = S3Root::new("net-none");
        let rule = ("PUT", "/part-");
        let (_, case) = case("", rule, Fault::Reset, Ends::Well(""));
        let outcome = export(&database, &case, &root, endpoint);
        check_end(&outcome, &Ends::Loudly(4, "check the endpoint"));
        assert!(root.list("").is_empty(), "{endpoint}");
    }
}
