//! The flags that choose what is exported become the library's options.

use std::str::FromStr;

use pgsluice::{ExportOptions, Inheritance, Query, Result, TableName, TablePattern};

use super::super::args::JobArgs;
use super::super::layers::{Layers, Setting, config};
use super::{library, split_list, switch};

pub(super) fn fill(options: &mut ExportOptions, args: &JobArgs, layers: &Layers<'_>) -> Result<()> {
    let source = &args.source;
    options.schemas = patterns("schema", &source.schema, layers)?;
    options.all = switch("all", source.all.as_deref(), layers)?;
    options.exclude = patterns("exclude", &source.exclude, layers)?;
    options.include_views = switch("include-views", source.include_views.as_deref(), layers)?;
    let only = switch("only", source.only.as_deref(), layers)?;
    let children = switch(
        "include-children",
        source.include_children.as_deref(),
        layers,
    )?;
    options.inheritance = match (only, children) {
        (true, true) => return Err(config("--only and --include-children exclude each other")),
        (true, false) => Some(Inheritance::Only),
        (false, true) => Some(Inheritance::IncludeChildren),
        (false, false) => None,
    };
    let sql = layers.one("query", source.query.as_deref())?;
    let name = layers.one("name", source.name.as_deref())?;
    options.query = match (sql, name) {
        (None, None) => None,
        (Some(sql), Some(name)) => Some(Query {
            sql: sql.text,
            name: dataset_name(&name)?,
        }),
        (Some(_), None) => {
            return Err(config("--query needs --name")
                .with_advice("the name becomes the dataset's folder, such as --name daily_sales"));
        }
        (None, Some(_)) => return Err(config("--name is for --query")),
    };
    Ok(())
}

/// `name` or `schema.name` of a query's dataset.
fn dataset_name(setting: &Setting) -> Result<TableName> {
    let pattern: TablePattern = library(setting)?;
    let exact = pattern
        .as_exact()
        .ok_or_else(|| setting.bad("a name, or schema.name"))?;
    let schema = exact
        .schema
        .unwrap_or_else(|| Query::DEFAULT_SCHEMA.to_owned());
    Ok(TableName::new(schema, exact.name))
}

/// A comma list of tables or schemas.
pub(super) fn patterns<T>(
    name: &'static str,
    flags: &[String],
    layers: &Layers<'_>,
) -> Result<Vec<T>>
where
    T: FromStr<Err = pgsluice::Error> + PartialEq + std::fmt::Display,
{
    let mut tables = Vec::new();
    for setting in layers.many(name, flags)? {
        for part in split_list(&setting.text) {
            let text = part.trim().to_owned();
            let table: T = library(&Setting {
                origin: setting.origin.clone(),
                text,
            })?;
            if tables.contains(&table) {
                return Err(config(format!(
                    "{}: {table} is given twice",
                    setting.origin
                )));
            }
            tables.push(table);
        }
    }
    Ok(tables)
}
