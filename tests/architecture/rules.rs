//! The checks. Each takes a file and answers with the lines that break its rule.

use crate::source::{Source, is_word};
use crate::{MODULES, Module, ROOF, UNSAFE};

/// The lines of one file that break a rule, each with what to do about it.
pub(crate) type Broken = Vec<(usize, String)>;

/// The highest floor that may read a clock: the drivers'.
const CLOCK_FLOOR: u8 = 2;

/// Every path into another top-level module goes where the table allows.
pub(crate) fn floors(source: &Source<'_>) -> Broken {
    let name = module(source.path);
    if ROOF.contains(&name) {
        return Vec::new();
    }
    let Some(here) = find(name) else {
        return vec![(1, unknown(name))];
    };
    paths(source)
        .into_iter()
        .filter(|(_, there)| *there != here.name && !here.may_name.contains(there))
        .map(|(line, there)| {
            let sentence = match find(there) {
                Some(there) => format!(
                    "`{}` (floor {}) may not name `{}` (floor {}): draw the arrow on the \
                     architecture page first, or turn it around",
                    here.name, here.floor, there.name, there.floor
                ),
                None => format!(
                    "`crate::{there}` is not a module: name things by the module they live in, \
                     not by the roof's re-export"
                ),
            };
            (line, sentence)
        })
        .collect()
}

/// The keyword `unsafe` stands only in files of the address list.
pub(crate) fn unsafe_address(source: &Source<'_>) -> Broken {
    if UNSAFE.iter().any(|(address, _)| lives_at(source.path, address)) {
        return Vec::new();
    }
    let says = "`unsafe` outside of the address list: find a shape that needs no proof, or add the \
                file to UNSAFE in tests/architecture.rs with its reason";
    lines_where(source, |i| source.at(i) == "unsafe").map(|line| (line, says.into())).collect()
}

/// No conditional compilation inside a function body.
pub(crate) fn cfg_in_bodies(source: &Source<'_>) -> Broken {
    let says = "cfg in a function body: make it a value, or two files with one interface";
    let bodies = source.bodies();
    let attributes = source.attributes().into_iter().filter(|attribute| {
        matches!(source.at(attribute.start), "cfg" | "cfg_attr")
            && bodies.iter().any(|body| body.contains(&attribute.start))
    });
    let of_attributes = attributes.map(|attribute| source.line(attribute.start));
    // `cfg!(debug_assertions)` is fine, `cfg!(feature = …)` and `cfg!(target_os = …)` are the same
    // thing in other clothes.
    let of_macros = lines_where(source, |i| {
        source.reads(i, &["cfg", "!", "("])
            && source.tokens[i..source.after_bracket(i + 2)]
                .iter()
                .any(|token| token.text == "feature" || token.text.starts_with("target_"))
    });
    of_attributes.chain(of_macros).map(|line| (line, says.into())).collect()
}

/// Only a driver reads a clock. `is_test` says that the whole file is test code.
pub(crate) fn clocks(source: &Source<'_>, is_test: bool) -> Broken {
    let floor = find(module(source.path)).map_or(u8::MAX, |module| module.floor);
    if is_test || floor <= CLOCK_FLOOR {
        return Vec::new();
    }
    let says = "a clock above floor 2: take the time from the driver's `now()`";
    let tests = source.test_code();
    lines_where(source, |i| {
        let reads_clock = ["Instant", "SystemTime"]
            .iter()
            .any(|clock| source.reads(i, &[clock, ":", ":", "now"]))
            || source.reads(i, &[".", "elapsed", "(", ")"])
            || source.at(i) == "clock_gettime";
        reads_clock && !tests.iter().any(|test| test.contains(&i))
    })
    .map(|line| (line, says.into()))
    .collect()
}

/// Nothing unfinished, left over or switched off.
pub(crate) fn leftovers(source: &Source<'_>) -> Broken {
    let mut broken = Broken::new();
    for i in 0..source.tokens.len() {
        let word = source.at(i);
        if ["todo", "unimplemented", "dbg"].contains(&word) && source.at(i + 1) == "!" {
            broken
                .push((source.line(i), format!("`{word}!` is left over: finish it or delete it")));
        }
    }
    for attribute in source.attributes() {
        let line = source.line(attribute.start);
        let first = source.at(attribute.start);
        let has = |word: &str| source.tokens[attribute.clone()].iter().any(|t| t.text == word);
        if first == "ignore" || first == "cfg_attr" && has("ignore") {
            broken.push((line, "an ignored test: mend it, or delete it and say why".into()));
        }
        if has("allow") && (has("dead_code") || has("unused")) {
            broken.push((line, "allowed dead code: delete the code".into()));
        }
    }
    broken
}

/// The top-level module of a file of `src/`.
pub(crate) fn module(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or(path);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// The table's line of a module.
pub(crate) fn find(name: &str) -> Option<&'static Module> {
    MODULES.iter().find(|module| module.name == name)
}

/// Whether `path` is the file `address`, lies in the folder `address` (`sys/`), or fits `*/op.rs`.
pub(crate) fn lives_at(path: &str, address: &str) -> bool {
    match address.strip_prefix('*') {
        Some(end) => path.ends_with(end),
        None => path == address || address.ends_with('/') && path.starts_with(address),
    }
}

fn unknown(name: &str) -> String {
    format!(
        "`{name}` is a new top-level module: give it a floor on the architecture page, then a line \
         in MODULES in tests/architecture.rs, in the same commit"
    )
}

fn lines_where<'a>(
    source: &'a Source<'_>,
    mut holds: impl FnMut(usize) -> bool + 'a,
) -> impl Iterator<Item = usize> + 'a {
    (0..source.tokens.len()).filter(move |&i| holds(i)).map(|i| source.line(i))
}

/// The top-level names that a file's `crate::` and `super::` paths lead to, with their lines.
fn paths<'a>(source: &Source<'a>) -> Vec<(usize, &'a str)> {
    let inline = source.inline_modules();
    let mut found = Vec::new();
    for i in 0..source.tokens.len() {
        // The middle of a path, or `pub(super)`.
        if i > 0 && source.at(i - 1) == ":" && source.at(i.wrapping_sub(2)) == ":" {
            continue;
        }
        let depth = match source.at(i) {
            "crate" => 0,
            "self" => depth_at(source.path, &inline, i),
            "super" => depth_at(source.path, &inline, i).saturating_sub(1),
            _ => continue,
        };
        follow(source, i + 1, depth, &mut found);
    }
    found
}

/// How many modules deep token `i` is below the crate.
fn depth_at(path: &str, inline: &[(std::ops::Range<usize>, &str)], i: usize) -> usize {
    let folders = path.split('/').count();
    let own = if path.ends_with("/mod.rs") { folders - 1 } else { folders };
    own + inline.iter().filter(|(range, _)| range.contains(&i)).count()
}

/// Follows a path from `i` on, where it has come to a module `depth` below the crate.
fn follow<'a>(source: &Source<'a>, i: usize, depth: usize, found: &mut Vec<(usize, &'a str)>) {
    if !source.reads(i, &[":", ":"]) {
        return;
    }
    let at = i + 2;
    match source.at(at) {
        "super" => follow(source, at + 1, depth.saturating_sub(1), found),
        "{" => {
            // Each item of the group goes on from here.
            let end = source.after_bracket(at) - 1;
            let mut item = at + 1;
            while item < end {
                step(source, item, depth, found);
                while item < end && source.at(item) != "," {
                    item = match source.at(item) {
                        "{" => source.after_bracket(item),
                        _ => item + 1,
                    };
                }
                item += 1;
            }
        }
        _ => step(source, at, depth, found),
    }
}

/// One segment at `at`, in a module `depth` below the crate.
fn step<'a>(source: &Source<'a>, at: usize, depth: usize, found: &mut Vec<(usize, &'a str)>) {
    match source.at(at) {
        "super" => follow(source, at + 1, depth.saturating_sub(1), found),
        name if depth == 0 && (is_word(name) || name == "*") => {
            found.push((source.line(at), name));
        }
        _ => {}
    }
}

mod tests {
    use super::*;

    fn broken(rule: impl Fn(&Source<'_>) -> Broken, path: &str, text: &str) -> Vec<usize> {
        rule(&Source::new(path, text)).into_iter().map(|(line, _)| line).collect()
    }

    fn named<'a>(path: &'a str, text: &'a str) -> Vec<&'a str> {
        paths(&Source::new(path, text)).into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn a_path_anywhere_counts_and_a_comment_does_not() {
        assert_eq!(
            broken(floors, "task/cell.rs", "use crate::sys::Bell;\nuse crate::op::Token;"),
            [2]
        );
        assert_eq!(broken(floors, "task/cell.rs", "fn f() {\n crate::driver::go() }"), [2]);
        assert_eq!(
            broken(floors, "op/mod.rs", "// crate::net\n/// crate::net\nlet x = \"crate::net\";"),
            []
        );
        assert_eq!(broken(floors, "net/udp.rs", "pub(crate) use crate::time::Sleep;"), []);
        assert_eq!(broken(floors, "net/udp.rs", "use crate::driver::Driver;"), [1]);
    }

    #[test]
    fn groups_name_each_of_their_items() {
        let text = "use crate::{op::{self, Token, x::{y}}, sys, task::Join as J};";
        assert_eq!(named("net/a.rs", text), ["op", "sys", "task"]);
        assert_eq!(named("net/a.rs", "use crate::*; $crate::run!()"), ["*", "run"]);
    }

    #[test]
    fn super_that_leaves_the_module_is_a_crate_path() {
        assert_eq!(named("net/udp.rs", "use super::inbox;"), [""; 0]);
        assert_eq!(named("net/udp.rs", "use super::super::task;"), ["task"]);
        assert_eq!(named("net/mod.rs", "use super::task; pub(super) fn f();"), ["task"]);
        assert_eq!(named("note.rs", "use super::{task, fs::x};"), ["task", "fs"]);
        assert_eq!(named("note.rs", "mod tests { use super::*; }"), [""; 0]);
        assert_eq!(named("note.rs", "mod tests { use super::super::op; }"), ["op"]);
        assert_eq!(named("net/udp.rs", "use super::{super::task, inbox};"), ["task"]);
        assert_eq!(named("net/udp.rs", "use self::super::super::task;"), ["task"]);
    }

    #[test]
    fn a_new_module_is_told_what_to_do() {
        let told = floors(&Source::new("misc/a.rs", ""));
        assert!(told[0].1.contains("MODULES"), "{told:?}");
        let told = floors(&Source::new("net/a.rs", "use crate::Runtime;"));
        assert!(told[0].1.contains("re-export"), "{told:?}");
        assert_eq!(floors(&Source::new("lib.rs", "use crate::anything;")), []);
    }

    #[test]
    fn test_code_follows_the_floor_rule_too() {
        assert_eq!(broken(floors, "op/a.rs", "#[cfg(test)]\nmod t { use crate::net::X; }"), [2]);
    }

    #[test]
    fn unsafe_has_an_address() {
        assert_eq!(broken(unsafe_address, "net/udp.rs", "\nunsafe { x() }"), [2]);
        assert_eq!(broken(unsafe_address, "net/udp.rs", "#![deny(unsafe_code)] // unsafe"), []);
        for path in ["sys/uring.rs", "fs/op.rs", "driver/uring/mod.rs", "task/waker.rs"] {
            assert_eq!(broken(unsafe_address, path, "unsafe {}"), [], "{path}");
        }
        assert_eq!(broken(unsafe_address, "driver/epoll/mod.rs", "unsafe {}"), [1]);
        assert_eq!(broken(unsafe_address, "stop.rs", "unsafe {}"), [1]);
    }

    #[test]
    fn cfg_belongs_around_items() {
        assert_eq!(broken(cfg_in_bodies, "a.rs", "#[cfg(feature = \"x\")]\nfn f() { g() }"), []);
        assert_eq!(broken(cfg_in_bodies, "a.rs", "fn f() {\n#[cfg(feature = \"x\")]\ng(); }"), [2]);
        assert_eq!(broken(cfg_in_bodies, "a.rs", "fn f() {\n cfg!(target_os = \"x\") }"), [2]);
        assert_eq!(broken(cfg_in_bodies, "a.rs", "fn f() { fn g() {}\n#[cfg(x)]\nh(); }"), [2]);
        assert_eq!(broken(cfg_in_bodies, "a.rs", "fn f() { if cfg!(debug_assertions) {} }"), []);
        assert_eq!(
            broken(cfg_in_bodies, "a.rs", "impl A {\n    #[cfg(test)]\n    fn f() {} }"),
            []
        );
    }

    #[test]
    fn clocks_are_read_by_drivers_only() {
        let clocks = |source: &Source<'_>| clocks(source, false);
        assert_eq!(broken(clocks, "time/sleep.rs", "\nx.unwrap_or_else(Instant::now)"), [2]);
        assert_eq!(broken(clocks, "runtime/core.rs", "std::time::SystemTime::now()"), [1]);
        assert_eq!(broken(clocks, "fs/a.rs", "start.elapsed()"), [1]);
        assert_eq!(broken(clocks, "driver/uring/mod.rs", "Instant::now()"), []);
        assert_eq!(broken(clocks, "time/a.rs", "/// Instant::now()\nstruct A;"), []);
        assert_eq!(
            broken(clocks, "time/a.rs", "#[cfg(test)] mod t { fn f() { Instant::now(); } }"),
            []
        );
    }

    #[test]
    fn leftovers_are_found_in_code_only() {
        assert_eq!(broken(leftovers, "a.rs", "fn f() { todo!() }\nfn g() { dbg!(x) }"), [1, 2]);
        assert_eq!(broken(leftovers, "a.rs", "unimplemented!();\n#[ignore = \"later\"]"), [1, 2]);
        assert_eq!(
            broken(leftovers, "a.rs", "#[cfg_attr(x, ignore)]\n#![allow(x, dead_code)]"),
            [1, 2]
        );
        assert_eq!(broken(leftovers, "a.rs", "// todo!()\nlet todo = \"dbg!\"; x.ignore()"), []);
    }
}
