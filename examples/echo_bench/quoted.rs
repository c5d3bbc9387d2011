//! Strings for JSON.

use std::fmt::Write as _;

/// A JSON string.
pub(crate) fn quoted(text: &str) -> String {
    let mut json = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => json.extend(['\\', char]),
            '\0'..' ' => {
                let _ = write!(json, "\\u{:04x}", u32::from(char));
            }
            _ => json.push(char),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_line_ends_stay_inside_their_json_string() {
        assert_eq!(quoted("a \"b\"\n\\"), "\"a \\\"b\\\"\\u000a\\\\\"");
    }
}
