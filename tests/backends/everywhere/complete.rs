//! Whether the table has every public future of the crate.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The public functions below `folder` that wait, as `Type::method` or `function`, and the public
/// types that are futures.
///
/// It knows the shapes that this crate has: `impl Type {` at the margin, macros that write such
/// blocks for the types that they are called with, and signatures as rustfmt leaves them.
fn public_futures(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            public_futures(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            read(&fs::read_to_string(path).unwrap(), found);
        }
    }
}

/// What a public function returns that waits.
const FUTURES: [&str; 9] = [
    "impl Future",
    "Sleep",
    "YieldNow",
    "JoinHandle<",
    "RemoteJoinHandle<",
    "Cancelled",
    "CancelOnDrop<",
    "ChildHandle<",
    "BlockingTask<",
];

fn read(text: &str, found: &mut BTreeSet<String>) {
    let mut target: Vec<String> = Vec::new();
    let mut of_macro: Option<&str> = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let code = line.trim_start();
        if let Some(rest) = code.strip_prefix("macro_rules! ") {
            of_macro = rest.split([' ', '{']).next();
        } else if line == "}" {
            (target, of_macro) = (Vec::new(), None);
        } else if code.starts_with("impl") && code.ends_with('{') {
            target = match of_macro {
                Some(name) => called_with(text, name),
                None => vec![bare(code.rsplit(" for ").next().unwrap())],
            };
            if code.contains(" Future for ") {
                let target = target.concat();
                if text.contains(&format!("pub struct {target}")) {
                    found.insert(target);
                }
            }
        } else if code.starts_with("pub fn ") || code.starts_with("pub async fn ") {
            let mut signature = code.to_owned();
            while !signature.contains('{') && !signature.contains(';') {
                signature += lines.next().expect("a signature ends");
            }
            let name = signature.split("fn ").nth(1).unwrap();
            let name: String =
                name.chars().take_while(|c| *c == '_' || c.is_alphanumeric()).collect();
            let gives = |future: &str| signature.contains(&format!("-> {future}"));
            let waits = signature.starts_with("pub async") || FUTURES.iter().any(|f| gives(f));
            if waits && target.is_empty() {
                found.insert(name);
            } else if waits {
                found.extend(target.iter().map(|target| format!("{target}::{name}")));
            }
        }
    }
}

/// `impl<'a, T> Type<'a, T> {` → `Type`.
fn bare(text: &str) -> String {
    let mut text = text.strip_prefix("impl").unwrap_or(text);
    if text.starts_with('<') {
        text = text.split_once("> ").unwrap().1;
    }
    text.trim().chars().take_while(|c| c.is_alphanumeric()).collect()
}

/// The types in `name!(Type<'_, T>, …);`.
fn called_with(text: &str, name: &str) -> Vec<String> {
    let call = format!("\n{name}!(");
    let calls = text.match_indices(&call).map(|(at, _)| &text[at + call.len()..]);
    let types = calls.flat_map(|rest| {
        let mut depth = 0;
        let list = rest.split(')').next().unwrap();
        list.split(move |c| {
            depth += i32::from(c == '<') - i32::from(c == '>');
            c == ',' && depth == 0
        })
    });
    types.map(bare).collect()
}

// Seen to fail when a `pub async fn` was added to `File`, to `read_half!`, and a `pub fn … -> Sleep`
// to `time`.
#[test]
fn a_public_future_without_a_case_is_found() {
    let mut public = BTreeSet::new();
    public_futures(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut public);
    let tested: BTreeSet<String> =
        super::cases().flat_map(|case| case.names).map(|&name| name.to_owned()).collect();
    let missing: Vec<_> = public.difference(&tested).collect();
    assert!(missing.is_empty(), "no case cuts these off: {missing:?}");
    let gone: Vec<_> = tested.difference(&public).collect();
    assert!(gone.is_empty(), "these are not public, or not found: {gone:?}");
}
