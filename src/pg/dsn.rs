//! The text forms of a connection string: `key=value …` and `postgresql://…`. Pure.
//!
//! Follows libpq's `conninfo_parse` and `conninfo_uri_parse` (PostgreSQL documentation,
//! "Connection Strings"). It knows the grammar, not the keys. Errors never quote the text,
//! because any of it can be a password.

use percent_encoding::percent_decode_str;

use crate::error::{Error, ErrorKind, Result};

/// A key and its value, in the order given.
pub(super) type Pair = (String, String);

/// Splits a connection string into pairs. A bare word is a database name, as psql reads it.
pub(super) fn parse(dsn: &str) -> Result<Vec<Pair>> {
    let dsn = dsn.trim();
    let uri = ["postgresql://", "postgres://"]
        .iter()
        .find_map(|scheme| dsn.strip_prefix(scheme));
    match uri {
        Some(rest) => parse_uri(rest),
        None if dsn.contains("://") => Err(bad("its scheme is not postgresql://")),
        None if dsn.contains('=') => parse_pairs(dsn),
        None if dsn.is_empty() => Ok(Vec::new()),
        None if dsn.contains(char::is_whitespace) => Err(bad("expected key=value")),
        None => Ok(vec![("dbname".into(), dsn.into())]),
    }
}

fn bad(why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("the connection string cannot be read: {why}"))
        .with_advice("expected postgresql://user@host:port/database?key=value or key=value pairs")
}

fn parse_pairs(text: &str) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or_else(|| bad("a key has no \"=\""))?;
        let key = key.trim_end();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(bad("a key has no \"=\""));
        }
        let (value, after) = pair_value(after.trim_start())?;
        pairs.push((key.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(pairs)
}

/// Reads a value, quoted or not; a backslash keeps the character after it.
fn pair_value(text: &str) -> Result<(String, &str)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            c if !quoted && c.is_whitespace() => return Ok((value, &text[at..])),
            c => value.push(c),
        }
    }
    if quoted {
        return Err(bad("a quoted value does not end"));
    }
    Ok((value, ""))
}

fn parse_uri(rest: &str) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let (authority, database) = match rest.split_once('/') {
        Some((authority, database)) => (authority, Some(database)),
        None => (rest, None),
    };
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (Some(user), hosts),
        None => (None, authority),
    };
    if let Some(user) = user {
        let (user, password) = match user.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (user, None),
        };
        push(&mut pairs, "user", user)?;
        push(&mut pairs, "password", password.unwrap_or(""))?;
    }
    push_hosts(&mut pairs, hosts)?;
    push(&mut pairs, "dbname", database.unwrap_or(""))?;
    for parameter in query.into_iter().flat_map(|query| query.split('&')) {
        push_parameter(&mut pairs, parameter)?;
    }
    Ok(pairs)
}

fn push_parameter(pairs: &mut Vec<Pair>, parameter: &str) -> Result<()> {
    if parameter.is_empty() {
        return Ok(());
    }
    let (key, value) = parameter
        .split_once('=')
        .ok_or_else(|| bad("a parameter after \"?\" has no \"=\""))?;
    let (key, value) = (decoded(key)?, decoded(value)?);
    // The one alias that libpq takes over from JDBC.
    if (key.as_str(), value.as_str()) == ("ssl", "true") {
        pairs.push(("sslmode".into(), "require".into()));
    } else {
        pairs.push((key, value));
    }
    Ok(())
}

/// Hosts and ports become two comma-separated lists of the same length.
fn push_hosts(pairs: &mut Vec<Pair>, text: &str) -> Result<()> {
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for item in text.split(',') {
        let (host, after) = match item.strip_prefix('[') {
            Some(address) => address
                .split_once(']')
                .ok_or_else(|| bad("an IPv6 address has no \"]\""))?,
            None => item.split_at(item.find(':').unwrap_or(item.len())),
        };
        let port = match after.strip_prefix(':') {
            Some(port) => port,
            None if after.is_empty() => "",
            None => return Err(bad("a host is followed by something else than a port")),
        };
        hosts.push(decoded(host)?);
        ports.push(decoded(port)?);
    }
    if hosts.iter().any(|host| !host.is_empty()) {
        pairs.push(("host".into(), hosts.join(",")));
    }
    if ports.iter().any(|port| !port.is_empty()) {
        pairs.push(("port".into(), ports.join(",")));
    }
    Ok(())
}

fn push(pairs: &mut Vec<Pair>, key: &str, value: &str) -> Result<()> {
    if !value.is_empty() {
        pairs.push((key.to_owned(), decoded(value)?));
    }
    Ok(())
}

fn decoded(text: &str) -> Result<String> {
    let bytes = text.as_bytes();
    let broken = bytes.iter().enumerate().any(|(at, byte)| {
        let hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
        *byte == b'%' && !(hex(at + 1) && hex(at + 2))
    });
    if broken {
        return Err(bad("a \"%\" is not followed by two hexadecimal digits"));
    }
    let text = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| bad("it is no UTF-8 once decoded"))?;
    if text.contains('\0') {
        return Err(bad("it contains %00"));
    }
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(dsn: &str) -> Vec<(String, String)> {
        parse(dsn).unwrap()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    #[test]
    fn pairs_are_read_as_libpq_reads_them() {
        assert_eq!(
            pairs(r"host = /tmp  user='a b' password='it\'s \\' dbname=x\ y port=''"),
            owned(&[
                ("host", "/tmp"),
                ("user", "a b"),
                ("password", r"it's \"),
                ("dbname", "x y"),
                ("port", ""),
            ])
        );
        assert_eq!(pairs("shop"), owned(&[("dbname", "shop")]));
    }

    #[test]
    fn uris_are_read_as_libpq_reads_them() {
        assert_eq!(
            pairs("postgresql://u%40x:p%2Fw@[::1]:5433,b,%2Frun:5/d%20b?sslmode=require&ssl=true"),
            owned(&[
                ("user", "u@x"),
                ("password", "p/w"),
                ("host", "::1,b,/run"),
                ("port", "5433,,5"),
                ("dbname", "d b"),
                ("sslmode", "require"),
                ("sslmode", "require"),
            ])
        );
        assert_eq!(pairs("postgres://"), Vec::new());
        assert_eq!(pairs("postgres:///db?host=/tmp"), owned(&[("dbname", "db"), ("host", "/tmp")]));
    }

    #[test]
    fn errors_never_quote_the_text() {
        for dsn in [
            "host=h password=hunter2 with spaces",
            "postgres://u:hunter2%zz@h/d",
            "postgres://u:hunter2@[::1/d",
            "password='hunter2",
            "mysql://u:hunter2@h/d",
            "postgres://h/d?hunter2",
        ] {
            let error = parse(dsn).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
