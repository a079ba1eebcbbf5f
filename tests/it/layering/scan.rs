//! Just enough of Rust's grammar to find the paths that a file names: comments, strings and
//! characters are passed over; nested modules, groups and `super` are followed.

use std::collections::BTreeSet;

/// A path below the crate's root that some code names, as far as its first two parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Import(Vec<String>);

impl Import {
    /// The top-level module, or `*`.
    pub(super) fn top(&self) -> &str {
        &self.0[0]
    }

    /// The path, `module` or `module::part`.
    pub(super) fn path(&self) -> String {
        self.0.join("::")
    }
}

/// Every identifier of a file.
pub(super) fn words(text: &str) -> BTreeSet<String> {
    let word = |token| match token {
        Token::Word(word) => Some(word),
        Token::Sign(_) => None,
    };
    tokens(text).into_iter().filter_map(word).collect()
}

/// Every path from the crate's root that the file names, its module path being `modules`.
pub(super) fn imports(modules: &[String], text: &str) -> Vec<Import> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let mut nested: Vec<usize> = Vec::new(); // the brace depth that each inline module opened
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            Token::Sign('{') => depth += 1,
            Token::Sign('}') => {
                depth -= 1;
                nested.retain(|opened| *opened <= depth);
            }
            Token::Word(word) if word == "mod" && is_sign(&tokens, at + 2, '{') => {
                nested.push(depth + 1);
            }
            Token::Word(word) if word == "crate" || word == "super" => {
                let depth_of_module = modules.len() + nested.len();
                at = follow(&tokens, at, depth_of_module, modules, &mut found);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Follows a path that begins with `crate` or `super` and says where reading goes on.
fn follow(
    tokens: &[Token],
    mut at: usize,
    depth: usize,
    modules: &[String],
    found: &mut Vec<Import>,
) -> usize {
    let mut base = if is_word(tokens, at, "crate") {
        0
    } else {
        depth.saturating_sub(1)
    };
    at += 1;
    while is_separator(tokens, at) && is_word(tokens, at + 2, "super") {
        base = base.saturating_sub(1);
        at += 3;
    }
    if !is_separator(tokens, at) {
        return at; // `pub(crate)`, `pub(super)`
    }
    // Below the crate's root lie the file's own modules, then its inline ones, which are its own.
    let prefix = modules.iter().take(base).take(2).cloned().collect();
    tree(tokens, at + 2, prefix, found)
}

/// Reads what stands after `::`: a name, a star, or a group of trees.
fn tree(tokens: &[Token], mut at: usize, prefix: Vec<String>, found: &mut Vec<Import>) -> usize {
    match tokens.get(at) {
        Some(Token::Word(word)) => {
            let mut path = prefix;
            if path.len() < 2 && word != "self" {
                path.push(word.clone());
            }
            if is_separator(tokens, at + 1) {
                return tree(tokens, at + 3, path, found);
            }
            found.push(Import(path));
            at + 1
        }
        Some(Token::Sign('{')) => {
            at += 1;
            while !is_sign(tokens, at, '}') && at < tokens.len() {
                if is_sign(tokens, at, ',') {
                    at += 1;
                    continue;
                }
                at = tree(tokens, at, prefix.clone(), found).max(at + 1);
            }
            at + 1
        }
        _ => {
            let path = if prefix.is_empty() {
                vec!["*".to_owned()]
            } else {
                prefix
            };
            found.push(Import(path));
            at + 1
        }
    }
}

enum Token {
    Word(String),
    Sign(char),
}

fn is_word(tokens: &[Token], at: usize, word: &str) -> bool {
    matches!(tokens.get(at), Some(Token::Word(found)) if found == word)
}

fn is_sign(tokens: &[Token], at: usize, sign: char) -> bool {
    matches!(tokens.get(at), Some(Token::Sign(found)) if *found == sign)
}

fn is_separator(tokens: &[Token], at: usize) -> bool {
    is_sign(tokens, at, ':') && is_sign(tokens, at + 1, ':')
}

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(length) = passed_over(rest) {
            rest = &rest[length..];
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            found.push(Token::Word(word.to_owned()));
            rest = after;
        } else {
            if !first.is_whitespace() {
                found.push(Token::Sign(first));
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

/// The length of a comment, string or character literal that the text begins with.
fn passed_over(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(block_comment(text));
    }
    let unprefixed = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - unprefixed.len();
    if prefix <= 1 {
        if let Some(raw) = raw_string(unprefixed) {
            return Some(prefix + raw);
        }
        if unprefixed.starts_with('"') {
            return Some(prefix + quoted(unprefixed, '"'));
        }
    }
    let character = text.strip_prefix('\'')?;
    let mut chars = character.chars();
    let (first, second) = (chars.next()?, chars.next());
    // `'a'` is a character, `'a` a lifetime.
    (first == '\\' || second == Some('\'')).then(|| quoted(text, '\''))
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(1 + hashes + 1 + length)
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}
