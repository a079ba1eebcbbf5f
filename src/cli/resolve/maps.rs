//! `--map COLUMN=TYPE`: which column becomes what.

use std::collections::BTreeMap;

use pgsluice::{MapTo, Result};

use super::{Origin, Setting, config, library};

/// The maps of all settings. A variable can hold several, with commas between them.
pub(super) fn maps(settings: &[Setting]) -> Result<BTreeMap<String, MapTo>> {
    let mut maps = BTreeMap::new();
    for setting in settings {
        let whole = vec![setting.text.as_str()];
        let listed = match setting.origin {
            Origin::Env(_) => split_list(&setting.text),
            _ => whole,
        };
        for pair in listed {
            let (column, to) = pair_of(setting, pair)?;
            if maps.contains_key(&column) {
                return Err(config(format!(
                    "{}: column {column:?} is given twice",
                    setting.origin
                )));
            }
            maps.insert(column, to);
        }
    }
    Ok(maps)
}

/// A type holds no `=`, but a column's name may. The name is taken as it stands.
fn pair_of(setting: &Setting, pair: &str) -> Result<(String, MapTo)> {
    let bad = || setting.bad("COLUMN=TYPE, such as amount=decimal(20,4)");
    let (column, to) = pair.rsplit_once('=').ok_or_else(bad)?;
    if column.is_empty() {
        return Err(bad());
    }
    let to = library(&Setting {
        origin: setting.origin.clone(),
        text: to.to_owned(),
    })?;
    Ok((column.to_owned(), to))
}

/// Splits at commas outside of parentheses: `a=decimal(9,2),b=text` are two.
fn split_list(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let at_comma = |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    };
    text.split(at_comma).collect()
}
