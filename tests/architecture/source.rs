//! A source file as tokens, and where in it the tests and the function bodies are.
//!
//! Not a parser: comments, strings and character literals fall away, what is left are words and
//! punctuation marks with their line. That is enough to find paths, attributes and matching braces.

use std::ops::Range;

/// A word, or one punctuation mark (`::` is two).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

/// One file of `src/` or `tests/`.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    /// Relative to the tree's root, as `net/tcp_stream.rs`.
    pub(crate) path: &'a str,
    pub(crate) tokens: Vec<Token<'a>>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(path: &'a str, text: &'a str) -> Self {
        Self { path, tokens: tokens(text) }
    }

    /// The text of token `i`; nothing beyond the end.
    pub(crate) fn at(&self, i: usize) -> &'a str {
        self.tokens.get(i).map_or("", |token| token.text)
    }

    pub(crate) fn line(&self, i: usize) -> usize {
        self.tokens.get(i).map_or(0, |token| token.line)
    }

    /// Whether the tokens from `i` on are those of `words`.
    pub(crate) fn reads(&self, i: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(n, word)| self.at(i + n) == *word)
    }

    /// The index after the bracket that closes the one at `open`.
    pub(crate) fn after_bracket(&self, open: usize) -> usize {
        let mut depth = 0;
        for i in open..self.tokens.len() {
            match self.at(i) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return i + 1;
            }
        }
        self.tokens.len()
    }

    /// The attributes: the token ranges between `#[` or `#![` and `]`.
    pub(crate) fn attributes(&self) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for i in 0..self.tokens.len() {
            let open = if self.reads(i, &["#", "["]) {
                i + 1
            } else if self.reads(i, &["#", "!", "["]) {
                i + 2
            } else {
                continue;
            };
            found.push(open + 1..self.after_bracket(open) - 1);
        }
        found
    }

    /// Whether the attribute is a `cfg` that only a test build fulfils.
    pub(crate) fn is_test_cfg(&self, attribute: &Range<usize>) -> bool {
        self.at(attribute.start) == "cfg"
            && self.tokens[attribute.clone()].iter().any(|token| token.text == "test")
            && self.tokens[attribute.clone()].iter().all(|t| t.text != "not" && t.text != "any")
    }

    /// The items under `#[cfg(test)]`: their token ranges. A whole file under `#![cfg(test)]` is one.
    pub(crate) fn test_code(&self) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for attribute in self.attributes() {
            if !self.is_test_cfg(&attribute) {
                continue;
            }
            if self.at(attribute.start - 2) == "!" {
                found.push(0..self.tokens.len());
                continue;
            }
            // The item ends with its first block, or with a semicolon before that.
            let mut end = attribute.end + 1;
            while end < self.tokens.len() {
                match self.at(end) {
                    ";" => break,
                    "{" => {
                        end = self.after_bracket(end);
                        break;
                    }
                    "(" | "[" => end = self.after_bracket(end),
                    _ => end += 1,
                }
            }
            found.push(attribute.end + 1..end);
        }
        found
    }

    /// The modules that are declared as `#[cfg(test)] mod name;`: files of their own.
    pub(crate) fn test_modules(&self) -> Vec<&'a str> {
        let declared = |item: Range<usize>| {
            let name = (item.start..item.end).find(|&i| self.at(i) == "mod")? + 1;
            (name < item.end && name + 1 == item.end).then(|| self.at(name))
        };
        self.test_code().into_iter().filter_map(declared).collect()
    }

    /// The function bodies: the token ranges between their braces.
    pub(crate) fn bodies(&self) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for i in 0..self.tokens.len() {
            // `fn(` is a type.
            if self.at(i) != "fn" || !is_word(self.at(i + 1)) {
                continue;
            }
            let mut open = i + 2;
            while open < self.tokens.len() && !matches!(self.at(open), "{" | ";") {
                open = match self.at(open) {
                    "(" | "[" => self.after_bracket(open),
                    _ => open + 1,
                };
            }
            if self.at(open) == "{" {
                found.push(open + 1..self.after_bracket(open) - 1);
            }
        }
        found
    }

    /// The inline modules: `mod name { … }`.
    pub(crate) fn inline_modules(&self) -> Vec<(Range<usize>, &'a str)> {
        (0..self.tokens.len())
            .filter(|&i| self.at(i) == "mod" && self.at(i + 2) == "{")
            .map(|i| (i + 3..self.after_bracket(i + 2) - 1, self.at(i + 1)))
            .collect()
    }
}

pub(crate) fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c == '_' || c.is_alphanumeric())
}

/// Cuts `text` into tokens.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let (length, keep) = next(rest, first);
        if keep {
            found.push(Token { text: &rest[..length], line });
        }
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

/// The length of what `rest` begins with, and whether it is a token.
fn next(rest: &str, first: char) -> (usize, bool) {
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), false);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), false);
    }
    if let Some(length) = string(rest) {
        return (length, false);
    }
    if first == '\'' {
        return (quote(rest), false);
    }
    if is_word(&rest[..first.len_utf8()]) {
        let prefix = if rest.starts_with("r#") { 2 } else { 0 };
        let word = rest[prefix..].find(|c: char| c != '_' && !c.is_alphanumeric());
        return (word.map_or(rest.len(), |length| prefix + length), true);
    }
    (first.len_utf8(), !first.is_whitespace())
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The length of the string literal of any kind at the front, where there is one.
fn string(rest: &str) -> Option<usize> {
    let prefixes = ["", "b", "c", "r", "br", "cr"];
    let (prefix, hashes) = prefixes.iter().find_map(|prefix| {
        let after = rest.strip_prefix(prefix)?;
        let hashes = after.len() - after.trim_start_matches('#').len();
        let raw = prefix.ends_with('r');
        (after[hashes..].starts_with('"') && (raw || hashes == 0)).then_some((*prefix, hashes))
    })?;
    let start = prefix.len() + hashes + 1;
    if prefix.ends_with('r') {
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len()));
    }
    let mut escaped = false;
    for (at, c) in rest[start..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(start + at + 1),
            _ => {}
        }
    }
    Some(rest.len())
}

/// The length of a character literal, or of a lifetime's quote.
fn quote(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        // An escape: the closing quote comes after at least one more character.
        Some((_, '\\')) => rest[3..].find('\'').map_or(rest.len(), |at| 3 + at + 1),
        Some((at, c)) if rest[at + c.len_utf8()..].starts_with('\'') => at + c.len_utf8() + 1,
        _ => 1,
    }
}

mod tests {
    use super::{Source, tokens};

    fn words(text: &str) -> Vec<&str> {
        tokens(text).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn what_is_not_code_is_no_token() {
        assert_eq!(words("a // unsafe\nb /* x /* y */ z */ c /// d\n//! e"), ["a", "b", "c"]);
        assert_eq!(
            words(r####"f("a \" b", r#"c " d"#, b"e", br##"f"# g"##, c"h") i"####),
            ["f", "(", ",", ",", ",", ",", ")", "i"]
        );
        assert_eq!(words(r"'a' '\'' '\u{1F}' '\\' b'x' 'é' z"), ["b", "z"]);
    }

    #[test]
    fn lifetimes_and_raw_names_stay() {
        assert_eq!(words("&'a str r#type 'static"), ["&", "a", "str", "r#type", "static"]);
    }

    #[test]
    fn lines_count_through_comments_and_strings() {
        let lines: Vec<_> = tokens("a\n/*\n*/ b \"\n\n\" c").iter().map(|t| t.line).collect();
        assert_eq!(lines, [1, 3, 5]);
    }

    #[test]
    fn test_code_is_found_inline_and_as_a_file() {
        let text = "fn a() {} #[cfg(test)] mod contract; #[cfg(all(test, x))] mod t { b } c \
                    #[cfg(not(test))] mod u {}";
        let source = Source::new("x.rs", text);
        assert_eq!(source.test_modules(), ["contract"]);
        let inside: Vec<_> =
            source.test_code().into_iter().flatten().map(|i| source.at(i)).collect();
        assert_eq!(inside, ["mod", "contract", "mod", "t", "{", "b", "}"]);
    }

    #[test]
    fn bodies_begin_after_the_signature() {
        let source =
            Source::new("x.rs", "fn a(x: [u8; 3], f: fn()) -> u8 where X: Y { b } fn c();");
        let inside: Vec<_> = source.bodies().into_iter().flatten().map(|i| source.at(i)).collect();
        assert_eq!(inside, ["b"]);
    }
}
