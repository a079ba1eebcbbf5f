//! Where a setting comes from: a flag, else `PGSLUICE_*`, else the `--config` file.
//!
//! Owns precedence and the reading of the file; it does not know what the settings mean. Messages
//! name the origin of a bad value, and never quote a line of the file: it may hold a password.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use pgsluice::{Error, ErrorKind, Result};

/// The largest settings file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The two layers under the flags.
pub(crate) struct Layers<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
    file: Option<ConfigFile>,
}

/// A `--config` file: each key's values as text.
pub(crate) struct ConfigFile {
    path: String,
    values: BTreeMap<String, Vec<String>>,
}

/// One value, and where it stood.
pub(crate) struct Setting {
    /// Where it stood.
    pub(crate) origin: Origin,
    /// What stood there; may hold a secret.
    pub(crate) text: String,
}

/// Where a value stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// On the command line: visible to other users of the machine.
    Flag(&'static str),
    /// In the environment, under this name.
    Env(String),
    /// In the settings file.
    File {
        /// The file.
        path: String,
        /// The key.
        key: &'static str,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Env(name) => f.write_str(name),
            Self::File { path, key } => write!(f, "{key} in {path}"),
        }
    }
}

impl<'a> Layers<'a> {
    /// The environment over a file. An empty variable counts as unset.
    pub(crate) fn new(env: &'a dyn Fn(&str) -> Option<String>, file: Option<ConfigFile>) -> Self {
        Self { env, file }
    }

    /// The value of a setting that is given once.
    pub(crate) fn one(&self, name: &'static str, flag: Option<&str>) -> Result<Option<Setting>> {
        let flags: Vec<String> = flag.map(str::to_owned).into_iter().collect();
        let mut settings = self.many(name, &flags)?;
        match settings.len() {
            0 | 1 => Ok(settings.pop()),
            _ => Err(config(format!(
                "{}: expected one value, not a list",
                settings[0].origin
            ))),
        }
    }

    /// The values of a setting that may be repeated; the layers are not mixed.
    pub(crate) fn many(&self, name: &'static str, flags: &[String]) -> Result<Vec<Setting>> {
        let all = |origin: Origin, texts: &[String]| {
            let setting = |text: &String| Setting {
                origin: origin.clone(),
                text: text.clone(),
            };
            texts.iter().map(setting).collect()
        };
        if !flags.is_empty() {
            return Ok(all(Origin::Flag(name), flags));
        }
        let variable = env_name(name);
        if let Some(text) = (self.env)(&variable).filter(|text| !text.is_empty()) {
            return Ok(vec![Setting {
                origin: Origin::Env(variable),
                text,
            }]);
        }
        let Some(file) = &self.file else {
            return Ok(Vec::new());
        };
        let values = file.values.get(name).map_or(&[][..], Vec::as_slice);
        Ok(all(
            Origin::File {
                path: file.path.clone(),
                key: name,
            },
            values,
        ))
    }
}

impl Setting {
    /// Parses the text. `expected` says what was, in a few words; the text itself is not shown.
    pub(crate) fn parse<T>(&self, expected: &str) -> Result<T>
    where
        T: FromStr,
        T::Err: StdError + Send + Sync + 'static,
    {
        let parsed = self.text.trim().parse();
        parsed.map_err(|error: T::Err| self.bad(expected).with_source(error))
    }

    /// The error about a value that cannot be read.
    pub(crate) fn bad(&self, expected: &str) -> Error {
        config(format!("{}: expected {expected}", self.origin))
    }
}

/// `chunk-rows` is `PGSLUICE_CHUNK_ROWS` in the environment.
pub(crate) fn env_name(name: &str) -> String {
    format!("PGSLUICE_{}", name.to_ascii_uppercase().replace('-', "_"))
}

impl ConfigFile {
    /// Reads a file whose keys are all among `known`.
    ///
    /// # Errors
    ///
    /// `Config` when it cannot be read, is no TOML, or holds a key or a kind of value that means
    /// nothing; the nearest known key is offered.
    pub(crate) fn read(path: &str, known: &[String]) -> Result<Self> {
        let unread = |error: std::io::Error| {
            config(format!("cannot read the settings file {path}")).with_source(error)
        };
        let bytes = std::fs::metadata(Path::new(path)).map_err(unread)?.len();
        if bytes > MAX_FILE_BYTES {
            return Err(config(format!(
                "the settings file {path} is larger than 1 MiB"
            )));
        }
        Self::parse(path, &std::fs::read_to_string(path).map_err(unread)?, known)
    }

    /// The same, of text.
    pub(crate) fn parse(path: &str, text: &str, known: &[String]) -> Result<Self> {
        // The error's Display quotes the line, which may hold a password: only its place is told.
        let table: toml::Table = toml::from_str(text).map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            config(format!("{path}, line {line}: not valid TOML"))
        })?;
        let mut values = BTreeMap::new();
        for (key, value) in table {
            if !known.contains(&key) {
                return Err(unknown_key(path, &key, known));
            }
            let texts = texts(&value).ok_or_else(|| {
                config(format!(
                    "{key} in {path}: expected text, a number, true or false, or a list"
                ))
            })?;
            values.insert(key, texts);
        }
        Ok(Self {
            path: path.to_owned(),
            values,
        })
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text
        .bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
}

/// A value as flags would give it; a table becomes `key=value` pairs, as `--store-option` takes.
fn texts(value: &toml::Value) -> Option<Vec<String>> {
    match value {
        toml::Value::Array(items) => items.iter().map(scalar).collect(),
        toml::Value::Table(pairs) => pairs
            .iter()
            .map(|(key, value)| Some(format!("{key}={}", scalar(value)?)))
            .collect(),
        scalar_value => Some(vec![scalar(scalar_value)?]),
    }
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(yes) => Some(yes.to_string()),
        _ => None,
    }
}

fn unknown_key(path: &str, key: &str, known: &[String]) -> Error {
    let error = config(format!("unknown key {key:?} in {path}"));
    let spelled = key.replace('_', "-").to_lowercase();
    let nearest = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(name, &spelled), name))
        .min()
        .filter(|(distance, name)| *distance <= name.len().div_ceil(3));
    match nearest {
        Some((_, name)) => error.with_advice(format!("did you mean {name}?")),
        None => error.with_advice("keys are the long flag names: see pgsluice export --help"),
    }
}

/// A `Config` error.
pub(crate) fn config(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<String> {
        ["chunk-rows", "from", "store-option", "table", "to"]
            .map(str::to_owned)
            .to_vec()
    }

    fn file(text: &str) -> Result<ConfigFile> {
        ConfigFile::parse("job.toml", text, &known())
    }

    fn texts_of(settings: Vec<Setting>) -> Vec<String> {
        settings.into_iter().map(|setting| setting.text).collect()
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_file() {
        let set = |name: &str| (name == "PGSLUICE_CHUNK_ROWS").then(|| "2".to_owned());
        let unset = |_: &str| None;
        let empty = |_: &str| Some(String::new());
        let rows = |env: &dyn Fn(&str) -> Option<String>, flag| {
            let layers = Layers::new(env, Some(file("chunk-rows = 3").unwrap()));
            let setting = layers.one("chunk-rows", flag).unwrap().unwrap();
            (setting.origin.to_string(), setting.text)
        };
        assert_eq!(rows(&set, Some("1")), ("--chunk-rows".into(), "1".into()));
        assert_eq!(rows(&set, None), ("PGSLUICE_CHUNK_ROWS".into(), "2".into()));
        assert_eq!(
            rows(&unset, None),
            ("chunk-rows in job.toml".into(), "3".into())
        );
        assert_eq!(
            rows(&empty, None),
            ("chunk-rows in job.toml".into(), "3".into())
        );
        assert!(
            Layers::new(&unset, None)
                .one("chunk-rows", None)
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn lists_and_tables_of_the_file_become_repeated_values() {
        let text = "table = [\"a\", \"b\"]\n[store-option]\naws_region = \"x\"\nretries = 3\n";
        let layers = Layers::new(&|_| None, Some(file(text).unwrap()));
        assert_eq!(texts_of(layers.many("table", &[]).unwrap()), ["a", "b"]);
        let options = texts_of(layers.many("store-option", &[]).unwrap());
        assert_eq!(options, ["aws_region=x", "retries=3"]);
        assert!(layers.one("table", None).is_err());
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_name() {
        let error = file("chunk_rows = 3").err().unwrap();
        assert_eq!(error.advice(), Some("did you mean chunk-rows?"));
        let error = file("tabel = 'x'").err().unwrap();
        assert_eq!(error.advice(), Some("did you mean table?"));
        let error = file("something-else = 1").err().unwrap();
        assert!(error.advice().unwrap().contains("long flag names"));
        assert!(file("to = 1979-05-27").is_err());
    }

    #[test]
    fn a_broken_file_is_placed_without_quoting_it() {
        let error = file("to = 'x'\nfrom = \"postgres://u:hunter2@h/db\n")
            .err()
            .unwrap();
        assert_eq!(error.to_string(), "job.toml, line 2: not valid TOML");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
