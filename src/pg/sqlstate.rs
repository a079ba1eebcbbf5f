//! What each SQLSTATE means for whoever may try again. Pure.
//!
//! One table, which docs/failures.md tells in the same words: what is not in it does not pass by
//! itself.

/// Codes, or classes of two characters, that can pass by themselves, and why.
pub(super) const PASSING: [(&str, &str); 16] = [
    ("08", "the connection broke"),
    (
        "25P03",
        "the server's idle_in_transaction_session_timeout ended the session",
    ),
    (
        "25P04",
        "the server's transaction_timeout ended the session",
    ),
    ("40001", "recovery on a standby conflicted with the read"),
    ("40003", "the outcome of a statement is unknown"),
    ("40P01", "a deadlock was broken"),
    ("53000", "the server is short of something"),
    ("53200", "the server is short of memory"),
    ("53300", "the server has no connection to spare"),
    ("55006", "the object is in use"),
    ("55P03", "a lock was not to be had at once"),
    (
        "57P01",
        "the server is stopping, or an administrator ended the session",
    ),
    ("57P02", "another session crashed and the server restarts"),
    ("57P03", "the server is starting or stopping"),
    (
        "57P05",
        "the server's idle_session_timeout ended the session",
    ),
    ("HV00N", "a foreign server could not be reached"),
];

/// Codes that look as if they passed and are final all the same, and why.
#[cfg(test)]
pub(super) const LASTING: [(&str, &str); 8] = [
    ("53100", "the server's disk is full"),
    (
        "53400",
        "a limit of the server's configuration, such as temp_file_limit",
    ),
    (
        "57014",
        "somebody cancelled the statement, and wants it to stop",
    ),
    ("57P04", "the database was dropped"),
    ("58030", "the server cannot read its disk"),
    ("72000", "the snapshot is too old"),
    ("XX001", "the table is damaged"),
    ("XX002", "an index is damaged"),
];

/// Whether the same chunk may succeed over a new connection.
pub(super) fn passes(code: &str) -> bool {
    let mut known = PASSING.iter().map(|(known, _)| *known);
    known.any(|known| known == code || known.len() == 2 && code.starts_with(known))
}

/// Whether a run that has not begun may wait for it to pass. A lock does not count: it was waited
/// for already. Nor does full memory, which the lock table may be.
pub(super) fn passes_soon(code: &str) -> bool {
    passes(code) && !matches!(code, "53200" | "55P03" | "55006")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_and_what_does_not() {
        for code in [
            "08006", "08P01", "40001", "53300", "57P01", "57P05", "25P03",
        ] {
            assert!(passes(code), "{code}");
        }
        for code in [
            "42P01", "25P02", "42501", "22P02", "P0001", "28P01", "0", "",
        ] {
            assert!(!passes(code), "{code}");
        }
        for (code, _) in LASTING {
            assert!(!passes(code), "{code}");
        }
        assert!(passes_soon("57P03") && passes_soon("53300") && !passes_soon("55P03"));
    }

    #[test]
    fn the_page_tells_each_of_them() {
        let page = include_str!("../../docs/failures.md");
        for (code, why) in PASSING.iter().chain(&LASTING) {
            let row = page
                .lines()
                .find(|line| line.starts_with(&format!("| `{code}")));
            assert!(row.is_some_and(|row| row.contains(why)), "{code}: {row:?}");
        }
    }
}
