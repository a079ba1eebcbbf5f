//! Kill after kill with options drawn at random, over small tables, so that very many fit into
//! the time: `PGSLUICE_TEST_KILLS=1000` is the long form, `PGSLUICE_TEST_SEED` repeats one.
//!
//! Owns the draw, the killing and the tally; what must hold of a dataset is in `checks`.

mod checks;
mod draw;

use std::collections::{BTreeSet, HashMap};
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;

use self::draw::{Draw, Kind};
use super::{LIMIT, WRITER_RATE, seeded};
use crate::rig::{Database, Dataset, Outcome, Root, S3Root, Session, TempRoot, pgsluice, start};

/// Rows of each table when it is filled; the writers add above them.
const ROWS: u64 = 4_000;
/// The tables that are written to in every way; `grown` only gets longer.
const TABLES: [&str; 3] = ["events", "others", "third"];
/// Kills of one dataset before it may end.
const KILLS_OF_ONE: usize = 15;
/// How long a run takes, before one was seen.
const FIRST_GUESS: Duration = Duration::from_millis(600);
/// Kills when nobody asks for more.
const DEFAULT_KILLS: usize = 8;

/// `odd` holds what no Parquet timestamp does.
const TABLE: &str = "
    CREATE TABLE events (
        id bigint PRIMARY KEY,
        kind integer NOT NULL,
        note text,
        amount numeric(12, 2) NOT NULL,
        at timestamptz NOT NULL,
        odd timestamptz
    );
    INSERT INTO events
    SELECT i, i % 100, CASE WHEN i % 7 > 0 THEN repeat(md5(i::text), 1 + i::int % 3) END, i / 100.0,
        timestamptz '2024-01-01 00:00:00+00' + i * interval '1 minute',
        CASE WHEN i % 97 = 1 THEN 'infinity' ELSE timestamptz '2024-01-01 00:00:00+00' END
    FROM generate_series(1::bigint, 4000) AS i;
    ANALYZE events;";

/// One transaction of the writers: of the old rows every tenth is updated, and every tenth goes
/// and comes, at its old time; rows are added above, and the oldest of those go.
const WRITES: &str = "
    \\set id 10 * random(1, 400)
    UPDATE events SET amount = amount + 1, note = md5(note) WHERE id = :id;
    DELETE FROM events WHERE id = :id - 5;
    INSERT INTO events SELECT 10 * i - 5, 1, 'again', 2,
        timestamptz '2024-01-01 00:00:00+00' + (10 * i - 5) * interval '1 minute', '2024-01-02'
        FROM (SELECT 1 + (random() * 399)::bigint AS i) AS drawn ON CONFLICT DO NOTHING;
    INSERT INTO events SELECT max(id) + 1 + (random() * 3)::bigint, 0, 'new', 1,
        timestamptz '2024-01-04' + random() * interval '1 day', '2024-01-01'
        FROM events ON CONFLICT DO NOTHING;
    DELETE FROM events WHERE id > 4000 AND id < (SELECT max(id) - 1500 FROM events);";

/// One row at a time, each above the last: what --incremental asks for.
const GROWTH: &str = "
    INSERT INTO grown SELECT max(id) + 1, 0, 'new', 1,
        timestamptz '2024-01-04' + random() * interval '1 day', '2024-01-01' FROM grown;";

#[test]
fn killed_over_and_over_with_options_at_random_every_dataset_ends_whole() {
    let kills = match std::env::var("PGSLUICE_TEST_KILLS") {
        Ok(kills) => kills.parse().expect("PGSLUICE_TEST_KILLS is a number"),
        Err(_) => DEFAULT_KILLS,
    };
    let database = Database::create("kill_cycles");
    for table in TABLES.into_iter().chain(["grown"]) {
        database.execute(&TABLE.replace("events", table));
    }
    let scripts = TABLES.map(|table| WRITES.replace("events", table));
    let writer = database.write_in_background(&scripts.concat(), 2, WRITER_RATE / 2);
    let appender = database.write_in_background(GROWTH, 1, WRITER_RATE);

    let mut cycles = Cycles::new(database);
    while cycles.kills < kills {
        cycles.one_dataset(kills);
    }
    writer.stop();
    appender.stop();
    println!("{}", cycles.tally());
}

/// The database, the random moments and what has happened so far.
struct Cycles {
    database: Database,
    rng: StdRng,
    kills: usize,
    /// Kills before a first chunk was committed, and after.
    midway: usize,
    completions: usize,
    mixed: usize,
    leftovers: usize,
    /// How long a whole run took last, by store and kind.
    times: HashMap<(bool, Kind), Duration>,
    from: Instant,
}

impl Cycles {
    fn new(database: Database) -> Self {
        Self {
            database,
            rng: seeded(),
            kills: 0,
            midway: 0,
            completions: 0,
            mixed: 0,
            leftovers: 0,
            times: HashMap::new(),
            from: Instant::now(),
        }
    }

    fn tally(&self) -> String {
        format!(
            "{} kills ({} with chunks committed), {} completions of which {} mixed, {} files \
             half written by the dead, in {:?}",
            self.kills,
            self.midway,
            self.completions,
            self.mixed,
            self.leftovers,
            self.from.elapsed()
        )
    }

    /// One dataset, or several by one command, from nothing to done.
    fn one_dataset(&mut self, kills: usize) {
        let draw = Draw::new(&mut self.rng);
        let root: Box<dyn Root> = match draw.on_disk {
            true => Box::new(TempRoot::new()),
            false => Box::new(S3Root::new("kill-cycles")),
        };
        let holder = draw.kept_snapshot.then(|| {
            let holder = self.database.session();
            holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
            holder
        });
        let snapshot = holder
            .as_ref()
            .map(|holder| holder.query_one_text("SELECT pg_export_snapshot()"));
        let flags = draw.flags(&self.database.dsn(), snapshot.as_deref());
        println!("{} {}", root.url(), flags[2..].join(" "));

        for run in 0..draw.runs {
            self.kill_until_done(&draw, &*root, &flags, kills);
            self.completions += 1;
            self.check(&draw, &*root, holder.as_ref());
            println!("  run {run} is whole. {}", self.tally());
        }
        if draw.on_disk {
            self.leftovers += half_written(&root.url());
        }
    }

    fn kill_until_done(&mut self, draw: &Draw, root: &dyn Root, flags: &[String], kills: usize) {
        for of_this in 0.. {
            let may_end = of_this == KILLS_OF_ONE || self.kills >= kills;
            let takeover = may_end || self.rng.random_bool(0.85);
            let delay = if may_end {
                LIMIT
            } else {
                self.moment(draw, takeover)
            };
            if self.run_and_kill(draw, root, flags, delay, takeover) {
                return;
            }
            assert!(!may_end, "the last run did not end within {LIMIT:?}");
            self.kills += 1;
            let committed =
                |table: &&str| !Dataset::new(root, &folder(table)).committed().is_empty();
            self.midway += usize::from(draw.tables.iter().any(committed));
        }
    }

    /// A few milliseconds after the start, or anywhere in the time that a run takes.
    fn moment(&mut self, draw: &Draw, takeover: bool) -> Duration {
        // Without take-over it first waits for three still intervals of the lease.
        let wait = Duration::from_millis(if takeover { 0 } else { 300 });
        if self.rng.random_bool(0.2) {
            return Duration::from_millis(self.rng.random_range(0..40));
        }
        let full = self.times.get(&(draw.on_disk, draw.kind));
        let full = full.copied().unwrap_or(FIRST_GUESS);
        wait + full.mul_f64(self.rng.random_range(0.05..0.95))
    }

    /// One run: whether it was done before it was to be killed. What was there before it must
    /// stand unchanged, and no commit be given up but by those who start over.
    fn run_and_kill(
        &mut self,
        draw: &Draw,
        root: &dyn Root,
        flags: &[String],
        delay: Duration,
        takeover: bool,
    ) -> bool {
        let before = Seen::all(draw, root);
        let mut command = command(root, flags, takeover);
        let from = Instant::now();
        let outcome: Option<Outcome> = start(&mut command).wait_or_kill(delay);
        let took = from.elapsed();
        let after = Seen::all(draw, root);
        for (before, after) in before.iter().zip(&after) {
            before.assert_kept_by(after, draw);
        }
        // The machine may be busy: where kills let nothing be done, later ones come later.
        let full = self.times.entry((draw.on_disk, draw.kind));
        let full = full.or_insert(FIRST_GUESS);
        let Some(outcome) = outcome else {
            if before
                .iter()
                .zip(&after)
                .all(|(one, two)| one.log.len() == two.log.len())
            {
                *full = full.mul_f64(1.1).min(Duration::from_secs(10));
            }
            return false;
        };
        outcome.expect_code(0);
        *full = (full.mul_f64(0.8)).max(took);
        true
    }

    fn check(&mut self, draw: &Draw, root: &dyn Root, holder: Option<&Session>) {
        for table in &draw.tables {
            let consistency = checks::check(&self.database, draw, root, table, holder);
            self.mixed += usize::from(consistency == "mixed");
        }
        checks::verify(root);
    }
}

/// What a dataset's log held at some time.
struct Seen {
    log: std::collections::BTreeMap<String, Bytes>,
    committed: BTreeSet<u64>,
    plans: usize,
}

impl Seen {
    fn all(draw: &Draw, root: &dyn Root) -> Vec<Self> {
        let see = |table: &&str| {
            let dataset = Dataset::new(root, &folder(table));
            let (log, plans) = (dataset.raw_log(), dataset.plans());
            let committed = match draw.kind {
                Kind::Incremental => BTreeSet::new(),
                _ => dataset.committed(),
            };
            Self {
                log,
                committed,
                plans,
            }
        };
        draw.tables.iter().map(see).collect()
    }

    fn assert_kept_by(&self, after: &Self, draw: &Draw) {
        for (key, entry) in &self.log {
            assert_eq!(after.log.get(key), Some(entry), "{key} was changed");
        }
        let kept = after.committed.is_superset(&self.committed);
        let starts_over = draw.may_start_over() && after.plans > self.plans;
        assert!(kept || starts_over, "a commit was lost");
    }
}

fn command(root: &dyn Root, flags: &[String], takeover: bool) -> Command {
    let mut command = pgsluice();
    root.equip(&mut command)
        .args(flags)
        .args(["--to", &root.url()]);
    if takeover {
        command.arg("--takeover");
    }
    command
}

fn folder(table: &str) -> String {
    format!("public/{table}")
}

/// Files below a folder that the dead had not finished: their names end in `#` and a number.
fn half_written(folder: &str) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    let count = |entry: std::fs::DirEntry| {
        if entry.path().is_dir() {
            return half_written(entry.path().to_str().expect("UTF-8"));
        }
        usize::from(entry.file_name().to_string_lossy().contains('#'))
    };
    entries.map(count).sum()
}
