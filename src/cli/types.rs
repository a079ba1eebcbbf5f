//! `pgsluice types`: what each PostgreSQL type becomes, and what readers make of that.
//!
//! Everything shown comes from the library's matrix, so it is what an export does. `markdown` is
//! the page in docs/.

mod markdown;

use console::truncate_str;
use pgsluice::Result;
use pgsluice::codec::{Landing, Profile, Reader, TypeRow, matrix, notes, reading, sources};
use serde_json::{Map, Value, json};

use super::args::TypesArgs;
use super::exit;
use super::grid::Grid;
use super::layers::Layers;
use super::report::{self, line_to};
use super::resolve::{self, Display, Output};

/// Cells of a terminal that a type's name may take.
const NAME_WIDTH: usize = 34;

/// How the types are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Format {
    /// For people; fits the terminal.
    #[default]
    Table,
    /// The page in docs/.
    Markdown,
    /// One document.
    Json,
}

/// Shows the types under one profile, or under both.
///
/// # Errors
///
/// `Config` for a profile or format that does not exist.
pub(crate) fn run(args: &TypesArgs, layers: &Layers<'_>, display: Display) -> Result<()> {
    let (profile, format) = resolve::types(args, layers)?;
    let profiles = match profile {
        Some(profile) => vec![profile],
        None => vec![Profile::Portable, Profile::Native],
    };
    let rows = matrix()?;
    match format {
        Format::Markdown => exit::print(&markdown::page(&rows, &profiles)),
        Format::Table if display.output == Output::Table => {
            exit::print(&table(&rows, &profiles, report::width()))
        }
        Format::Table | Format::Json => exit::print_json(&document(&rows, &profiles)),
    }
}

fn landing(row: &TypeRow, profile: Profile) -> &Landing {
    match profile {
        Profile::Portable => &row.portable,
        Profile::Native => &row.native,
    }
}

/// The rows of the second profile: those that differ from the first.
fn shown<'a>(rows: &'a [TypeRow], profiles: &[Profile], at: usize) -> Vec<&'a TypeRow> {
    let differs = |row: &&TypeRow| at == 0 || row.portable != row.native;
    debug_assert!(at < profiles.len());
    rows.iter().filter(differs).collect()
}

/// A cell of a reader: its type, and the labels of what to know.
fn cell(reader: Reader, landing: &Landing, mark: &str) -> (String, Vec<&'static str>) {
    let seen = reading(reader, &landing.parquet);
    let quoted = if seen.opens == Some(true) { mark } else { "" };
    let mut cell = format!("{quoted}{}{quoted}", seen.brief);
    if !seen.notes.is_empty() {
        cell += &format!(" {}", seen.notes.join(" "));
    }
    (cell, seen.notes)
}

fn table(rows: &[TypeRow], profiles: &[Profile], width: Option<usize>) -> String {
    let mut text = String::new();
    let mut used = Vec::new();
    for (at, profile) in profiles.iter().enumerate() {
        let mut grid = Grid::default()
            .left("TYPE", 0)
            .left("PARQUET", 0)
            .left("CANNOT HOLD", 7)
            .left("--map", 6)
            .left("DUCKDB", 1)
            .left("SPARK", 2)
            .left("TRINO", 3)
            .left("BIGQUERY", 4)
            .left("SNOWFLAKE", 5);
        for row in shown(rows, profiles, at) {
            let landing = landing(row, *profile);
            let readers = Reader::ALL.map(|reader| {
                let (cell, notes) = cell(reader, landing, "");
                used.extend(notes);
                cell
            });
            let name = match width {
                Some(_) => truncate_str(row.name, NAME_WIDTH, "…"),
                None => row.name.into(),
            };
            let head = [
                name.into_owned(),
                landing.parquet.brief(),
                landing.cannot_hold.join("; "),
                row.map.join(", "),
            ];
            grid.row(head.into_iter().chain(readers));
        }
        let more = if at > 0 { ", where it differs" } else { "" };
        line_to(&mut text, &format!("Profile {profile}{more}"));
        for line in grid.lines(width) {
            line_to(&mut text, &line);
        }
        line_to(&mut text, "");
    }
    for note in notes().iter().filter(|note| used.contains(&note.label)) {
        line_to(&mut text, &format!("{}  {}", note.label, note.text));
    }
    text
}

fn document(rows: &[TypeRow], profiles: &[Profile]) -> Value {
    let of = |row: &TypeRow, profile: Profile| {
        let landing = landing(row, profile);
        let readers = Reader::ALL.map(|reader| {
            let seen = json!(reading(reader, &landing.parquet));
            (json!(reader).as_str().unwrap_or_default().to_owned(), seen)
        });
        let mut value = json!(landing);
        value["readers"] = Value::Object(Map::from_iter(readers));
        value
    };
    let types = rows.iter().map(|row| {
        let landings = profiles
            .iter()
            .map(|profile| (profile.as_str().to_owned(), of(row, *profile)));
        json!({
            "name": row.name,
            "family": row.family,
            "text_reason": row.text_reason,
            "map": row.map,
            "profiles": Value::Object(landings.collect()),
        })
    });
    json!({
        "types": types.collect::<Vec<_>>(),
        "notes": notes(),
        "sources": sources(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_still_shows_types_and_notes() {
        let rows = matrix().unwrap();
        let text = table(&rows, &[Profile::Portable], Some(100));
        assert!(text.contains("TYPE"));
        assert!(text.contains("INT32 (DATE)"));
        assert!(text.contains("S4  Spark 3.5"));
        assert!(
            !text.contains("UUID)"),
            "no native type in the portable table"
        );
    }

    #[test]
    fn the_document_has_both_profiles_and_whole_names() {
        let rows = matrix().unwrap();
        let document = document(&rows, &[Profile::Portable, Profile::Native]);
        let types = document["types"].as_array().unwrap();
        let range = types.iter().find(|row| row["name"] == "int4range").unwrap();
        let seen = &range["profiles"]["portable"]["readers"]["duckdb"]["shows"];
        assert!(
            seen.as_str()
                .unwrap()
                .starts_with("STRUCT(lower INTEGER, upper INTEGER")
        );
        assert_eq!(types.len(), rows.len());
    }
}
