//! The types page, docs/types.md, from the matrix.

use std::fmt::Write;

use pgsluice::codec::{Basis, Landing, ParquetType, Profile, Reader, TypeRow, notes, sources};

use super::{cell, landing};

const INTRO: &str = "\
# Types

What each PostgreSQL type becomes in Arrow and Parquet, and what readers make of it. The page is
written by `pgsluice types --format markdown`, from the code that maps: a test compares the two.

- `--profile portable` (default) uses only types that every reader here opens. `--profile native`
  uses the richest logical types; it is shown where it differs.
- A domain is what its base type is. A type that holds one which goes through text goes through
  text as a whole, and so does a composite without attributes, or with two whose names differ only
  by case.
- A value that its column *cannot hold* stops the run. `--on-unrepresentable exceptions` writes
  NULL and keeps the exact value under `_exceptions/`; `--on-unrepresentable text` maps such
  columns as text.
- `--map column=TYPE` changes one column. `decimal(P,S)` holds every number that fits it exactly,
  and never rounds.
- `FIXED(n)` is `FIXED_LEN_BYTE_ARRAY` of n bytes. Lists, maps and structs are Parquet's `LIST` and
  `MAP` groups and plain groups.
";

const FROM: &str = "
## Where this comes from

The first tables are the mapping's own. What DuckDB and Spark make of a type was seen by running
DuckDB 1.5 and Spark 4.3 on such files; the tests of this repository read whole exports with
DuckDB, Polars, pyarrow and Spark. Trino, BigQuery and Snowflake were not run: their columns, and
what is said of Spark 3.5, are what their documentation, source or issues say. *not documented*
means that these say nothing.

pyarrow reads every type here. Polars refuses a file with a decimal of more than 38 digits, and
shows UUID as binary. Python's own dates and times end with the years 1 and 9999: neither library
can turn values beyond into them.

";

/// The page for these profiles.
pub(super) fn page(rows: &[TypeRow], profiles: &[Profile]) -> String {
    let mut page = INTRO.to_owned();
    page += "\n## What each type becomes\n";
    for family in families(rows) {
        becomes(&mut page, family, rows, profiles);
    }
    through_text(&mut page, rows);
    page += "\n## What readers make of it\n\nBy Parquet type, with the PostgreSQL types that become \
             it. The labels are explained below.\nStructs \
             are shown without their fields, each of which is what its own type is. Trino's \
             column is\nthe type to declare.\n";
    let mut used = Vec::new();
    for (at, profile) in profiles.iter().enumerate() {
        let rows = super::shown(rows, profiles, at);
        readers(&mut page, &rows, *profile, at > 0, &mut used);
    }
    page += "\nA geometry of a declared SRID is ISO WKB, and GeoParquet metadata names its column: \
             BigQuery loads\nit as GEOGRAPHY.\n";
    page += "\n### What to know\n\n";
    for note in notes().iter().filter(|note| used.contains(&note.label)) {
        line(&mut page, &format!("- **{}** {}", note.label, note.text));
    }
    page += FROM;
    for reader in Reader::ALL {
        from(&mut page, reader);
    }
    page
}

fn families(rows: &[TypeRow]) -> Vec<&'static str> {
    let mut families: Vec<_> = rows.iter().map(|row| row.family).collect();
    families.dedup();
    families
}

fn becomes(page: &mut String, family: &str, rows: &[TypeRow], profiles: &[Profile]) {
    line(page, &format!("\n### {family}\n"));
    line(
        page,
        "| PostgreSQL | Arrow | Parquet | cannot hold | `--map` |",
    );
    line(page, "|---|---|---|---|---|");
    for row in rows.iter().filter(|row| row.family == family) {
        let both = |part: fn(&Landing) -> String| {
            let mut parts = profiles
                .iter()
                .map(|profile| (profile, part(landing(row, *profile))));
            let first = parts.next().map(|(_, part)| part).unwrap_or_default();
            let others = parts.filter(|(_, part)| *part != first);
            let others = others.map(|(profile, part)| match part.as_str() {
                "" => format!("{profile}: nothing"),
                part => format!("{profile}: {part}"),
            });
            let parts = std::iter::once(first.clone()).chain(others);
            let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
            parts.join("<br>")
        };
        let cells = [
            row.name.to_owned(),
            both(|landing| format!("`{}`", landing.arrow)),
            both(|landing| format!("`{}`", landing.parquet)),
            both(|landing| landing.cannot_hold.join("; ")),
            row.map.join(", "),
        ];
        line(page, &format!("| {} |", cells.join(" | ")));
    }
}

fn through_text(page: &mut String, rows: &[TypeRow]) {
    *page += "\nWhy a type goes through text:\n\n";
    for row in rows {
        if let Some(reason) = row.text_reason {
            line(page, &format!("- {}: {}.", row.name, reason.as_str()));
        }
    }
    *page += "\nSuch text is PostgreSQL's own, under pinned settings, and a cast restores the exact \
              value.\n";
}

/// One row for each Parquet type, in the order in which they come up first.
fn readers(
    page: &mut String,
    rows: &[&TypeRow],
    profile: Profile,
    differs: bool,
    used: &mut Vec<&'static str>,
) {
    let mut types: Vec<(&ParquetType, Vec<&str>, &Landing)> = Vec::new();
    for row in rows {
        let landing = landing(row, profile);
        match types.iter_mut().find(|(of, ..)| **of == landing.parquet) {
            Some((_, names, _)) => names.push(row.name),
            None => types.push((&landing.parquet, vec![row.name], landing)),
        }
    }
    let more = if differs { ", where it differs" } else { "" };
    line(page, &format!("\n### Profile {profile}{more}\n"));
    let names = Reader::ALL.map(Reader::name);
    line(page, &format!("| Parquet | from | {} |", names.join(" | ")));
    line(page, "|---|---|---|---|---|---|---|");
    for (of, names, landing) in types {
        let cells = Reader::ALL.map(|reader| {
            let (cell, notes) = cell(reader, landing, "`");
            used.extend(notes);
            cell
        });
        let from = names.join("; ");
        line(
            page,
            &format!("| `{of}` | {from} | {} |", cells.join(" | ")),
        );
    }
}

fn from(page: &mut String, reader: Reader) {
    let basis = match reader.basis() {
        Basis::Run => "run, and",
        Basis::Documentation => "from",
    };
    let pages: Vec<_> = sources()
        .iter()
        .filter(|source| source.reader == reader)
        .map(|source| format!("[{}]({})", source.title, source.url))
        .collect();
    let pages = pages.join(", ");
    line(page, &format!("- {}: {basis} {pages}.", reader.name()));
}

fn line(page: &mut String, line: &str) {
    // A String takes everything.
    let _ = writeln!(page, "{line}");
}

#[cfg(test)]
mod tests {
    use pgsluice::codec::matrix;

    use super::*;

    #[test]
    fn every_table_row_has_as_many_cells_as_its_head() {
        let rows = matrix().unwrap();
        let page = page(&rows, &[Profile::Portable, Profile::Native]);
        let mut cells = 0;
        for line in page.lines().filter(|line| line.starts_with('|')) {
            let found = line.matches('|').count();
            match line {
                head if head.contains("PostgreSQL |") || head.contains("| from |") => cells = found,
                _ => assert_eq!(found, cells, "{line}"),
            }
        }
        for row in &rows {
            assert!(page.contains(row.name), "{}", row.name);
        }
    }
}
