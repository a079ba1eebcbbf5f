//! Random tables: types, values, indexes and methods, all drawn from a seed.

/// What the tables need in their database.
pub(super) const SETUP: &str = "
    CREATE EXTENSION citext; CREATE COLLATION icu (provider = icu, locale = 'und');
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'fine', 'glad'); ALTER TYPE mood ADD VALUE 'bad' BEFORE 'ok';
    CREATE DOMAIN positive AS int8 CHECK (VALUE IS NULL OR true); CREATE DOMAIN deep AS positive;
    CREATE DOMAIN word AS citext; CREATE DOMAIN latin AS text COLLATE \"C\"";

/// A type of key: its name in SQL, an expression of the int8 `v`, values that are hard to cut at,
/// and the first version that has them.
struct KeyType(&'static str, &'static str, &'static [&'static str], u32);

const TEXT: &str = "CASE WHEN v % 5 = 0 THEN 'é''\"\\' || v ELSE chr(97 + (v & 15)::int) || v END";
const TEXTS: &[&str] = &["''", "' '", "'ZZZ'", "E'\\t'", "'𝄞'", "'a''b'", "'\\'"];

const TYPES: [KeyType; 34] = [
    KeyType(
        "int8",
        "v",
        &["'-9223372036854775808'", "'9223372036854775807'", "0", "-1"],
        13,
    ),
    KeyType(
        "int4",
        "(v % 2147483647)::int4",
        &["'-2147483648'", "'2147483647'"],
        13,
    ),
    KeyType("int2", "(v % 32767)::int2", &["'-32768'", "'32767'"], 13),
    KeyType(
        "uuid",
        "md5(v::text)::uuid",
        &[
            "'00000000-0000-0000-0000-000000000000'",
            "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
        ],
        13,
    ),
    KeyType("text", TEXT, TEXTS, 13),
    KeyType(
        "date",
        "date '2000-01-01' + (v % 700000)::int",
        &[
            "'infinity'",
            "'-infinity'",
            "'4713-01-01 BC'",
            "'5874897-12-31'",
        ],
        13,
    ),
    KeyType(
        "timestamptz",
        "timestamptz '2000-01-01 00:00Z' + (v % 10000000000) * interval '1 ms'",
        &[
            "'infinity'",
            "'-infinity'",
            "'4713-01-01 00:00Z BC'",
            "'294276-12-31 23:59Z'",
        ],
        13,
    ),
    KeyType(
        "numeric",
        "v::numeric / 1000",
        &["'NaN'", "1e130", "-1e130", "1e-130", "1.0", "1.00"],
        13,
    ),
    KeyType(
        "numeric",
        "v::numeric / 7",
        &["'NaN'", "'Infinity'", "'-Infinity'"],
        14,
    ),
    KeyType(
        "bytea",
        "decode(md5(v::text), 'hex')",
        &["''", "'\\x00'", "'\\xffffff'"],
        13,
    ),
    KeyType(
        "float8",
        "v::float8 / 3",
        &[
            "'NaN'",
            "'-0'",
            "'0'",
            "'Infinity'",
            "'-Infinity'",
            "'5e-324'",
        ],
        13,
    ),
    KeyType(
        "citext",
        "CASE WHEN v % 2 = 0 THEN 'Word' ELSE 'wORD' END || v % 700",
        TEXTS,
        13,
    ),
    KeyType(
        "mood",
        "(enum_range(NULL::mood))[1 + abs(v % 5)]",
        &["'bad'", "'glad'"],
        13,
    ),
    KeyType(
        "timestamp",
        "timestamp '2000-01-01' + (v % 10000000000) * interval '1 ms'",
        &[
            "'infinity'",
            "'-infinity'",
            "'294276-12-31 23:59:59.999999'",
        ],
        13,
    ),
    KeyType("text COLLATE icu", TEXT, TEXTS, 13),
    KeyType(
        "bpchar",
        "CASE WHEN v % 3 = 0 THEN 'x  ' WHEN v % 3 = 1 THEN 'x' ELSE v || '  ' END",
        TEXTS,
        13,
    ),
    KeyType("varchar(80)", TEXT, TEXTS, 13),
    KeyType(
        "deep",
        "v",
        &["'-9223372036854775808'", "'9223372036854775807'"],
        13,
    ),
    KeyType(
        "word",
        "CASE WHEN v % 2 = 0 THEN 'Word' ELSE 'wORD' END || v % 700",
        TEXTS,
        13,
    ),
    KeyType("latin", TEXT, TEXTS, 13),
    KeyType(
        "char(12)",
        "(v % 100000000)::text",
        &["''", "'x'", "'x  '"],
        13,
    ),
    KeyType(
        "float4",
        "v::float4 / 3",
        &["'NaN'", "'-0'", "'Infinity'", "'1e-45'"],
        13,
    ),
    KeyType("oid", "(v & 4294967295)::oid", &["'0'", "'4294967295'"], 13),
    KeyType(
        "interval",
        "(v % 100000) * interval '1 minute'",
        &[
            "'1 mon'",
            "'30 days'",
            "'-178000000 years'",
            "'24:00'",
            "'1 day'",
        ],
        13,
    ),
    KeyType(
        "time",
        "time '00:00' + (v % 86400) * interval '1 s'",
        &["'24:00'", "'0:00'"],
        13,
    ),
    KeyType(
        "timetz",
        "timetz '00:00+00' + (v % 86400) * interval '1 s'",
        &["'24:00+15'", "'12:00+01'", "'13:00+02'"],
        13,
    ),
    KeyType(
        "inet",
        "'0.0.0.0'::inet + (v & 4294967295)",
        &["'::/0'", "'10.0.0.0/8'", "'10.0.0.0'"],
        13,
    ),
    KeyType("name", "('n' || v % 1000)::name", &["''", "'Ä'"], 13),
    KeyType(
        "\"char\"",
        "chr(32 + abs(v % 90)::int)::\"char\"",
        &["'~'", "''''"],
        13,
    ),
    KeyType(
        "jsonb",
        "jsonb_build_object('k', v % 1000)",
        &["'null'", "'1.0'", "'1.00'", "'[]'"],
        13,
    ),
    KeyType(
        "int4[]",
        "ARRAY[(v % 1000)::int, NULL, 3]",
        &["'{}'", "'{NULL}'", "'{{1,2},{3,4}}'"],
        13,
    ),
    KeyType(
        "int8range",
        "int8range(v % 1000, NULL)",
        &["'empty'", "'(,)'", "'[1,1]'"],
        13,
    ),
    KeyType("bool", "v % 2 = 0", &["true"], 13),
    KeyType(
        "varbit",
        "(v & 255)::int::bit(8)::varbit",
        &["''", "'0'", "'00'"],
        13,
    ),
];

/// Numbers drawn from a seed, the same everywhere (splitmix64).
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64, case: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ case.wrapping_mul(0xD129_0C3A_55B5_1CB5))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

/// One table and how it is to be cut.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) type_name: &'static str,
    pub(super) sql: String,
    pub(super) chunk_by: String,
    pub(super) chunk_rows: u64,
}

/// How `v` comes from the row's number `i` and its hash `h`. The first two suit every type.
const SHAPES: [&str; 5] = [
    "i",
    "h",
    "(h % 9) * 1000000000000000000",
    "CASE WHEN h % 3 = 0 THEN 7 ELSE h % 1000 END",
    "h % 4",
];

const SINGLE_INDEXES: [&str; 6] = [
    "",
    "CREATE INDEX ON t (k)",
    "CREATE INDEX ON t (k DESC)",
    "CREATE INDEX ON t (k NULLS FIRST)",
    "CREATE INDEX ON t (k, row_id)",
    "CREATE INDEX ON t (k) WHERE row_id > 5",
];

const PAIR_INDEXES: [&str; 5] = [
    "",
    "CREATE INDEX ON t (k, j)",
    "CREATE INDEX ON t (k DESC, j)",
    "CREATE UNIQUE INDEX ON t (k, j, row_id)",
    "CREATE INDEX ON t (k)",
];

impl Case {
    /// The first cases take each type in turn, with values that can be cut; then all is drawn.
    pub(super) fn draw(mut draw: Draw, number: u64, major: u32) -> Self {
        let known: Vec<&KeyType> = TYPES.iter().filter(|one| one.3 <= major).collect();
        let many = known.len() as u64;
        let is_first = number < many;
        let first = known[(number % many) as usize];
        let (shape, rows) = match is_first {
            true => (draw.of(&SHAPES[..2]), [700, 3000][draw.below(2) as usize]),
            false => (
                draw.of(&SHAPES),
                [0, 1, 2, 40, 700, 3000][draw.below(6) as usize],
            ),
        };
        let second = known[draw.below(many) as usize];
        let is_pair = !is_first && draw.one_in(3) && second.is_citext() == first.is_citext();
        let chunk_by = match draw.below(8) {
            _ if is_pair => "key:k,j",
            0 if !is_first => "auto",
            1 if !is_first && major >= 14 => "ctid",
            _ => "key:k",
        };
        let (indexes, both) = match is_pair {
            true => (&PAIR_INDEXES[..], [first, second]),
            false => (&SINGLE_INDEXES[..], [first, first]),
        };
        Self {
            type_name: first.0,
            sql: table_sql(&mut draw, both, shape, rows, indexes),
            chunk_by: chunk_by.to_owned(),
            chunk_rows: rows / (2 + draw.below(40)) + 1,
        }
    }
}

impl KeyType {
    fn is_citext(&self) -> bool {
        ["citext", "word"].contains(&self.0)
    }

    /// Its value for `v`, NULL for about one in `nulls` where that is not 0.
    fn value(&self, nulls: u64) -> String {
        match nulls {
            0 => self.1.to_owned(),
            _ => format!("CASE WHEN h % {nulls} <> 0 THEN {} END", self.1),
        }
    }
}

fn table_sql(
    draw: &mut Draw,
    [first, second]: [&KeyType; 2],
    shape: &str,
    rows: u64,
    indexes: &[&str],
) -> String {
    let nulls = [0, 0, 3, 50][draw.below(4) as usize];
    let (salt, other_nulls) = (draw.next(), [0, 2, 7][draw.below(3) as usize]);
    let mut sql = format!(
        "CREATE TABLE t (row_id int8 NOT NULL, k {}, j {}, pad text);
         INSERT INTO t SELECT i, {}, {}, repeat('x', 60) FROM (SELECT i, h, {shape} AS v FROM
           (SELECT i, ('x' || substr(md5('{salt}:' || i), 1, 16))::bit(64)::int8 AS h
            FROM generate_series(1, {rows}) i) a) b;",
        first.0,
        second.0,
        first.value(nulls),
        second.value(other_nulls),
    );
    if rows > 2 && draw.one_in(2) {
        for (at, value) in first.2.iter().enumerate() {
            let row = format!("INSERT INTO t (row_id, k) VALUES (-{at} - 1, {value});");
            sql.push_str(&row);
        }
    }
    if nulls == 0 && draw.one_in(2) {
        sql.push_str("ALTER TABLE t ALTER k SET NOT NULL;");
    }
    sql.push_str(draw.of(indexes));
    sql.push_str(if draw.one_in(3) { "" } else { "; ANALYZE t" });
    sql
}
