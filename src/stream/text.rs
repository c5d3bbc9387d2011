//! Bytes in an inbox that are to be text.

use std::io;

use crate::net::Inbox;

/// Appends all of what has come to `into`, but for the beginning of a character whose end has not come;
/// how many bytes. What is no text stays.
pub(super) fn take(inbox: &mut Inbox, into: &mut String) -> io::Result<usize> {
    let before = into.len();
    while !inbox.is_empty() {
        let piece = inbox.front();
        let valid = match str::from_utf8(piece) {
            Ok(text) => text,
            Err(error) => str::from_utf8(&piece[..error.valid_up_to()]).expect("it was found so"),
        };
        if !valid.is_empty() {
            into.push_str(valid);
            inbox.skip(valid.len());
            continue;
        }
        // A character that straddles pieces, or none.
        let mut longest = [0; 4];
        let n = inbox.peek(&mut longest);
        let error = match str::from_utf8(&longest[..n]) {
            Ok(text) => {
                into.push_str(text);
                inbox.skip(n);
                continue;
            }
            Err(error) => error,
        };
        match (error.valid_up_to(), error.error_len()) {
            (0, None) => break,
            (0, Some(_)) if into.len() > before => break,
            (0, Some(_)) => return Err(not_utf8()),
            (n, _) => {
                into.push_str(str::from_utf8(&longest[..n]).expect("it was found so"));
                inbox.skip(n);
            }
        }
    }
    Ok(into.len() - before)
}

/// Appends the first `n` bytes to `into`; what is no text stays.
pub(super) fn take_first(inbox: &mut Inbox, n: usize, into: &mut String) -> io::Result<usize> {
    if let Some(bytes) = inbox.front().get(..n) {
        into.push_str(str::from_utf8(bytes).map_err(|_| not_utf8())?);
        inbox.skip(n);
        return Ok(n);
    }
    // They straddle pieces; it has room for them already, where it is used again and again.
    let mut bytes = std::mem::take(into).into_bytes();
    let before = bytes.len();
    bytes.resize(before + n, 0);
    inbox.peek(&mut bytes[before..]);
    match String::from_utf8(bytes) {
        Ok(text) => {
            *into = text;
            inbox.skip(n);
            Ok(n)
        }
        Err(error) => {
            let mut bytes = error.into_bytes();
            bytes.truncate(before);
            *into = String::from_utf8(bytes).expect("it was text before");
            Err(not_utf8())
        }
    }
}

pub(super) fn not_utf8() -> io::Error {
    let text = "the bytes are not UTF-8 text; they stay to be read as bytes";
    io::Error::new(io::ErrorKind::InvalidData, text)
}
