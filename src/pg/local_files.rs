//! The two files that libpq reads besides certificates: the password file and the service
//! file. Pure: the texts are given (PostgreSQL documentation, "The Password File" and "The
//! Connection Service File").

use crate::error::{Error, ErrorKind, Result};
use crate::pg::dsn::Pair;

/// What a line of a password file is matched against.
#[derive(Debug, Clone, Copy)]
pub(super) struct PasswordFor<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) database: &'a str,
    pub(super) user: &'a str,
}

/// The password of the first line that matches.
pub(super) fn find_password(text: &str, wanted: PasswordFor<'_>) -> Option<String> {
    let port = wanted.port.to_string();
    let wanted = [wanted.host, &port, wanted.database, wanted.user];
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| fields(line.trim_end_matches('\r')))
        .find(|fields| {
            fields.len() == 5
                && wanted
                    .iter()
                    .zip(fields)
                    .all(|(wanted, (field, is_star))| *is_star || field == wanted)
        })
        .and_then(|mut fields| fields.pop())
        .map(|(password, _)| password)
        .filter(|password| !password.is_empty())
}

/// Splits `host:port:database:user:password`; a backslash keeps `:` and `\`. The flag says that
/// a field is the bare wildcard.
fn fields(line: &str) -> Vec<(String, bool)> {
    let mut fields = vec![(String::new(), false)];
    let mut escaped = false;
    for c in line.chars() {
        let last = fields.len() - 1;
        match c {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            ':' if !escaped && fields.len() < 5 => fields.push((String::new(), false)),
            c => fields[last].0.push(c),
        }
        if escaped {
            // An escaped star is a star in a name, not the wildcard.
            fields[last].1 = true;
        }
        escaped = false;
    }
    for (field, flag) in &mut fields {
        *flag = !*flag && field == "*";
    }
    fields
}

/// The settings of one service; `None` when the file does not name it.
///
/// # Errors
///
/// [`ErrorKind::Config`] for a line that is no `key=value`, by its number.
pub(super) fn find_service(text: &str, service: &str) -> Result<Option<Vec<Pair>>> {
    let mut found: Option<Vec<Pair>> = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if name.strip_suffix(']') == Some(service) {
                found = Some(Vec::new());
            }
            continue;
        }
        if let Some(pairs) = &mut found {
            let (key, value) = line.split_once('=').ok_or_else(|| bad_line(number + 1))?;
            if key == "service" || line.starts_with("ldap") {
                return Err(bad_line(number + 1));
            }
            pairs.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    Ok(found)
}

fn bad_line(number: usize) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("line {number} of the connection service file is no key=value setting"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Option<String> {
        let wanted = PasswordFor { host: "h", port: 5432, database: "d:b", user: "u" };
        find_password(text, wanted)
    }

    #[test]
    fn the_first_line_that_matches_gives_the_password() {
        let text = "# h:*:*:*:no\nx:5432:*:*:no\nh:5433:*:*:no\nh:*:d\\:b:u:p\\:w\\\\:x\n*:*:*:*:no";
        assert_eq!(password(text).unwrap(), "p:w\\:x");
        assert_eq!(password("*:*:*:*:star\n").unwrap(), "star");
        assert_eq!(password("\\*:*:*:*:star\n"), None);
        assert_eq!(password("h:5432:d:u"), None);
    }

    #[test]
    fn a_service_ends_where_the_next_begins() {
        let text = "[a]\nhost=x\n\n# c\n[b]\nhost = y\nport=6\n[c]\nhost=z\n";
        let pairs = find_service(text, "b").unwrap().unwrap();
        assert_eq!(pairs, [("host".into(), "y".into()), ("port".to_owned(), "6".to_owned())]);
        assert!(find_service(text, "d").unwrap().is_none());
        assert!(find_service("[a]\nnonsense\n", "a").is_err());
    }
}
