//! Recognises secrets in what a person typed, so that they are warned of and never echoed.
//!
//! Owns guesses about form only. It errs on the side of hiding: nothing is parsed for use here.

/// Whether a connection string holds a password: in a URI's user part or query, or as a pair.
pub(crate) fn dsn_holds_password(dsn: &str) -> bool {
    let lower = dsn.to_ascii_lowercase();
    let pair = lower.match_indices("password").any(|(at, word)| {
        let begins = at == 0 || !lower.as_bytes()[at - 1].is_ascii_alphanumeric();
        begins && lower[at + word.len()..].trim_start().starts_with('=')
    });
    pair || user_part(dsn).is_some_and(|user| user.contains(':'))
}

/// The part of a URI before its host, `user:password`.
fn user_part(text: &str) -> Option<&str> {
    let authority = text.split_once("://")?.1.split(['/', '?', '#']).next()?;
    // A password with a bare `/` or `?` is wrong, but common: look for the `@` in the rest too.
    match authority.rsplit_once('@') {
        Some((user, _)) => Some(user),
        None => Some(text.split_once("://")?.1.rsplit_once('@')?.0),
    }
}

/// Whether a store option's key names a secret.
pub(crate) fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let secret = [
        "secret",
        "password",
        "token",
        "sas",
        "account_key",
        "access_key",
        "private",
    ];
    let public = [
        "access_key_id",
        "token_file",
        "token_endpoint",
        "skip_signature",
    ];
    secret.iter().any(|word| key.contains(word)) && !public.iter().any(|word| key.contains(word))
}

/// Whether text that is about to be quoted in a message may hold a secret.
pub(crate) fn may_hold_secret(text: &str) -> bool {
    let key = text.split_once('=').map_or("", |(key, _)| key);
    dsn_holds_password(text) || user_part(text).is_some() || is_secret_key(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_seen_in_every_form_of_a_dsn() {
        for dsn in [
            "postgresql://u:pw@h/db",
            "postgres://u:p%40w@h:5432,h2/db?sslmode=require",
            "postgres://u:p/w@h/db",
            "postgres://h/db?password=pw",
            "host=h password=pw",
            "host=h password = 'p w'",
            "PASSWORD=pw",
        ] {
            assert!(dsn_holds_password(dsn), "{dsn}");
        }
        for dsn in [
            "postgresql://u@h:5432/db",
            "postgresql://h:5432/db",
            "postgresql:///db?host=/tmp",
            "host=h user=password",
            "host=h sslpassword=x",
            "",
        ] {
            assert!(!dsn_holds_password(dsn), "{dsn}");
        }
    }

    #[test]
    fn store_options_that_are_secrets_are_told_from_the_rest() {
        for key in [
            "aws_secret_access_key",
            "AWS_SESSION_TOKEN",
            "azure_storage_sas_key",
            "account_key",
        ] {
            assert!(is_secret_key(key), "{key}");
        }
        for key in [
            "aws_region",
            "aws_access_key_id",
            "azure_federated_token_file",
            "endpoint",
        ] {
            assert!(!is_secret_key(key), "{key}");
        }
        assert!(may_hold_secret("aws_secret_access_key=x"));
        assert!(!may_hold_secret("public.orders"));
    }
}
