//! A database filled with the corpus, and what its server says of the values.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Need, Profile, TypeCase, all};
use crate::rig::{Database, Session, env};

/// The servers that `tests/run.sh` starts.
pub(crate) const MAJORS: std::ops::RangeInclusive<u32> = 13..=18;

/// The version of the default server.
pub(crate) fn distribution_major() -> u32 {
    let server = Session::open(&env("PGSLUICE_TEST_DSN"));
    let number: u32 = server
        .query_one_text("SHOW server_version_num")
        .parse()
        .expect("a number");
    number / 10_000
}

/// Where the tables are: apart from the types, since a table's name is a type's too.
pub(crate) const SCHEMA: &str = "corpus";

/// The id of the first random row, minus one.
const RANDOM_IDS: usize = 1_000_000;

/// A database on one server, and the cases that it can hold.
pub(crate) struct Corpus {
    pub(crate) database: Database,
    pub(crate) tables: Vec<Filled>,
}

/// A filled table.
pub(crate) struct Filled {
    pub(crate) case: &'static TypeCase,
    /// Edge values, whatever way they are given.
    pub(crate) edges: usize,
}

impl Corpus {
    /// Fills a new database on this server with those of `cases` that it can hold, each with this
    /// many random rows.
    pub(crate) fn create(major: u32, cases: &[&'static TypeCase], random: u32) -> Self {
        let database = Database::create_on(major, "corpus");
        let session = database.session();
        session.execute(include_str!("random.sql"));
        let xml = session.try_execute("SELECT '<a/>'::xml").is_ok();
        let mut tables = Vec::new();
        for case in cases {
            if can_hold(&session, major, xml, case) {
                let edges = fill(&session, major, case, random);
                tables.push(Filled { case, edges });
            }
        }
        session.execute("ANALYZE");
        Self { database, tables }
    }

    /// A session under the settings that text is read with.
    pub(crate) fn session(&self) -> Session {
        let session = self.database.session();
        session.execute(
            "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; \
             SET extra_float_digits = 1; SET bytea_output = 'hex'",
        );
        session
    }

    /// One value of every row of a table, by id: that of this SQL, as text.
    pub(crate) fn column(
        session: &Session,
        name: &str,
        sql: &str,
    ) -> BTreeMap<i32, Option<String>> {
        let rows = session.query_text(&format!("SELECT id, {sql} FROM {SCHEMA}.{name}"));
        rows.into_iter()
            .map(|mut row| {
                let id = row[0].as_deref().expect("an id").parse().expect("a number");
                (id, row.remove(1))
            })
            .collect()
    }

    /// The ids and the texts of the values that the column cannot hold.
    pub(crate) fn unrepresentable(
        session: &Session,
        case: &TypeCase,
        profile: Profile,
    ) -> BTreeMap<i32, Option<String>> {
        let sql = format!(
            "CASE WHEN {} THEN v::text END",
            case.unrepresentable(profile)
        );
        let mut found = Self::column(session, case.name, &sql);
        found.retain(|_, text| text.is_some());
        found
    }
}

fn can_hold(session: &Session, major: u32, xml: bool, case: &TypeCase) -> bool {
    case.needs.iter().all(|need| match need {
        Need::Since(since) => major >= *since,
        Need::Xml => xml,
        Need::Extension(name) => {
            let count =
                format!("SELECT count(*) FROM pg_available_extensions WHERE name = '{name}'");
            session.query_one_text(&count) == "1"
        }
    })
}

fn fill(session: &Session, major: u32, case: &TypeCase, random: u32) -> usize {
    let TypeCase { name, sql_type, .. } = case;
    for need in case.needs {
        if let Need::Extension(name) = need {
            session.execute(&format!(
                "CREATE EXTENSION IF NOT EXISTS \"{name}\" CASCADE"
            ));
        }
    }
    session.execute(case.setup);
    session.execute(&format!(
        "CREATE TABLE {SCHEMA}.{name} (id int PRIMARY KEY, v {sql_type}); \
         INSERT INTO {SCHEMA}.{name} VALUES (0, NULL)"
    ));
    let newer = case.newer.iter().filter(|(since, _)| major >= *since);
    let literals = case.edges.iter().chain(newer.flat_map(|(_, edges)| *edges));
    let rows: Vec<_> = literals
        .zip(1..)
        .map(|(literal, id)| format!("({id}, '{}')", literal.replace('\'', "''")))
        .collect();
    let mut edges = rows.len();
    if edges > 0 {
        session.execute(&format!(
            "INSERT INTO {SCHEMA}.{name} VALUES {}",
            rows.join(", ")
        ));
    }
    for query in case.queries {
        session.execute(&format!(
            "INSERT INTO {SCHEMA}.{name} SELECT {edges} + row_number() OVER (), q.v \
             FROM ({query}) q(v)"
        ));
        let count = format!("SELECT count(*) - 1 FROM {SCHEMA}.{name}");
        edges = session.query_one_text(&count).parse().expect("a count");
    }
    assert!(
        edges >= 30 || !case.few.is_empty() || !case.newer.is_empty(),
        "{name}: {edges} edge values"
    );
    let mut sql = String::from("SELECT setseed(0.25);");
    write!(
        sql,
        "INSERT INTO {SCHEMA}.{name} SELECT {RANDOM_IDS} + i, {} FROM generate_series(1, {random}) i;{}",
        case.random, case.after
    )
    .expect("a String takes any text");
    session.execute(&sql);
    edges
}

#[test]
fn every_case_is_held_by_some_server_and_every_shape_is_sql() {
    let mut missing: BTreeMap<_, _> = all().into_iter().map(|case| (case.name, case)).collect();
    for major in MAJORS.rev() {
        let corpus = Corpus::create(major, &all(), 5);
        let session = corpus.session();
        for table in &corpus.tables {
            missing.remove(table.case.name);
            for profile in [Profile::Portable, Profile::Native] {
                let shown =
                    Corpus::column(&session, table.case.name, &table.case.canonical(profile));
                assert_eq!(shown[&0], None, "{}", table.case.name);
            }
        }
    }
    assert!(missing.is_empty(), "no server for {:?}", missing.keys());
}
