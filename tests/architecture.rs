//! The architecture page as a test: floors, the address list of unsafe, and what must be absent.
//!
//! The figures: `cargo test --test architecture -- --nocapture figures`.

#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;

use std::fs;
use std::path::Path;

use rules::Broken;
use source::Source;

/// The roof: `lib.rs` names everything, and so does the manual, which is text.
const ROOF: &[&str] = &["lib", "guide"];

/// A top-level module and what it may name beside its own files.
struct Module {
    floor: u8,
    name: &'static str,
    may_name: &'static [&'static str],
}

/// The floor rule. Change it together with the architecture page, in one commit.
#[rustfmt::skip]
const MODULES: &[Module] = &[
    // Floor 0: kernel, memory (which comes from the kernel), threads, "waits for".
    Module { floor: 0, name: "testing",  may_name: &[] },
    Module { floor: 0, name: "sys",      may_name: &["testing"] },
    Module { floor: 0, name: "buf",      may_name: &["sys"] },
    Module { floor: 0, name: "worker",   may_name: &["sys"] },
    Module { floor: 0, name: "note",     may_name: &[] },
    Module { floor: 0, name: "wait_list", may_name: &[] },
    // Floor 1: the seam.
    Module { floor: 1, name: "op",       may_name: &["sys"] },
    // Floor 2: two halves that have never heard of each other.
    Module { floor: 2, name: "task",     may_name: FLOOR_0 },
    Module { floor: 2, name: "driver",   may_name: &["testing", "sys", "buf", "worker", "note", "op"] },
    // Floor 3: the only one that names both.
    Module { floor: 3, name: "runtime",  may_name: &["sys", "buf", "worker", "note", "wait_list", "op", "task", "driver"] },
    // Floor 4: what programs hold. The first three run under any executor.
    Module { floor: 4, name: "sync",     may_name: &["note", "wait_list", "task"] },
    Module { floor: 4, name: "queue",    may_name: &["note", "wait_list", "task", "sync"] },
    Module { floor: 4, name: "future",   may_name: &["note", "wait_list", "task", "sync", "time"] },
    Module { floor: 4, name: "time",     may_name: BELOW_4 },
    Module { floor: 4, name: "fs",       may_name: BELOW_4 },
    Module { floor: 4, name: "signal",   may_name: BELOW_4 },
    Module { floor: 4, name: "blocking", may_name: BELOW_4 },
    Module { floor: 4, name: "shard",    may_name: BELOW_4 },
    Module { floor: 4, name: "net",      may_name: &["sys", "buf", "worker", "note", "wait_list", "op", "task", "runtime", "blocking", "time"] },
    Module { floor: 4, name: "process",  may_name: &["sys", "buf", "worker", "note", "wait_list", "op", "task", "runtime", "blocking", "time",
                                                     "fs", "signal", "net"] },
    // Floor 5: the asyncio shapes, the ecosystem's traits.
    Module { floor: 5, name: "tls",      may_name: BELOW_5 },
    Module { floor: 5, name: "stream",   may_name: &["sys", "buf", "worker", "note", "wait_list", "op", "task", "runtime", "sync", "queue", "future",
                                                     "time", "fs", "signal", "blocking", "shard", "net", "process", "tls"] },
    Module { floor: 5, name: "protocol", may_name: ABOVE_STREAM },
    Module { floor: 5, name: "server",   may_name: &["sys", "buf", "worker", "note", "wait_list", "op", "task", "runtime", "sync", "queue", "future",
                                                     "time", "fs", "signal", "blocking", "shard", "net", "process", "tls", "stream", "protocol"] },
    Module { floor: 5, name: "compat",   may_name: ABOVE_STREAM },
    Module { floor: 5, name: "debug",    may_name: BELOW_5 },
];

const FLOOR_0: &[&str] = &["sys", "buf", "worker", "note", "wait_list"];

/// Floors 0 to 3; `driver` is reached through `runtime` only.
const BELOW_4: &[&str] = &["sys", "buf", "worker", "note", "wait_list", "op", "task", "runtime"];

/// Floors 0 to 4, again without `driver`.
#[rustfmt::skip]
const BELOW_5: &[&str] = &["sys", "buf", "worker", "note", "wait_list", "op", "task", "runtime", "sync", "queue", "future", "time", "fs",
                           "signal", "blocking", "shard", "net", "process"];

#[rustfmt::skip]
const ABOVE_STREAM: &[&str] = &["sys", "buf", "worker", "note", "wait_list", "op", "task", "runtime", "sync", "queue", "future", "time", "fs",
                                "signal", "blocking", "shard", "net", "process", "tls", "stream"];

/// Where unsafe lives, and why it must. A folder ends in `/`, `*` stands for any folder.
const UNSAFE: &[(&str, &str)] = &[
    ("sys/", "syscalls"),
    ("buf/", "memory that the kernel writes while the program runs"),
    ("*/op.rs", "promises to the kernel: the memory of a typed operation outlives its request"),
    ("driver/perform/request.rs", "the plain syscalls behind the pointers of a Request"),
    ("driver/perform/receive.rs", "the plain syscalls that fill the pool's buffers"),
    ("driver/uring/", "the queues that are shared with the kernel"),
    ("task/waker.rs", "RawWaker: an address in place of a pointer"),
    ("task/cell.rs", "the future of a task, polled in place"),
    ("sync/cell.rs", "state of one thread, borrowed for one line, without a RefCell's flag"),
    ("compat/buf.rs", "other crates' read buffers: uninitialised memory that they hand over"),
];

/// The files of a tree, sorted: the path relative to it, and the text.
fn files(tree: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(tree);
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources can be read") {
            let path = entry.expect("a folder of sources can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).expect("it was found below the root");
                let text = fs::read_to_string(&path).expect("a source file can be read");
                found.push((name.to_string_lossy().into_owned(), text));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no source files in {}", root.display());
    found
}

/// Runs a check over the tree and fails with every line that breaks it.
fn check(tree: &str, rule: impl Fn(&Source<'_>) -> Broken) {
    let mut all = String::new();
    for (path, text) in files(tree) {
        for (line, sentence) in rule(&Source::new(&path, &text)) {
            all += &format!("{tree}/{path}:{line}: {sentence}\n");
        }
    }
    assert!(all.is_empty(), "\n{all}");
}

#[test]
fn modules_name_only_what_the_floor_rule_allows() {
    check("src", rules::floors);
}

#[test]
fn the_table_of_floors_fits_itself() {
    for module in MODULES {
        for name in module.may_name {
            let there = rules::find(name).unwrap_or_else(|| panic!("`{name}` has no line"));
            assert!(there.floor <= module.floor, "`{}` reaches up to `{name}`", module.name);
            let both = module.may_name.contains(&"task") && module.may_name.contains(&"driver");
            assert!(!both || module.name == "runtime", "`{}` knows both halves", module.name);
        }
    }
}

#[test]
fn unsafe_lives_at_its_addresses_only() {
    check("src", rules::unsafe_address);
}

#[test]
fn no_cfg_stands_in_a_function_body() {
    check("src", rules::cfg_in_bodies);
}

#[test]
fn only_drivers_read_a_clock() {
    let all = files("src");
    let tests = test_files(&all);
    check("src", |source| rules::clocks(source, tests.iter().any(|test| test.holds(source.path))));
}

#[test]
fn nothing_is_unfinished_or_switched_off() {
    check("src", rules::leftovers);
    check("tests", rules::leftovers);
}

/// A module that exists in test builds only: `driver/contract` is `contract.rs` and `contract/`.
struct TestModule(String);

impl TestModule {
    fn holds(&self, path: &str) -> bool {
        path.strip_prefix(&self.0).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    }
}

fn test_files(all: &[(String, String)]) -> Vec<TestModule> {
    let mut found = Vec::new();
    for (path, text) in all {
        let folder = match path.rsplit_once('/') {
            Some((folder, "mod.rs")) => format!("{folder}/"),
            None if path == "lib.rs" => String::new(),
            _ => format!("{}/", path.trim_end_matches(".rs")),
        };
        let modules = Source::new(path, text).test_modules();
        found.extend(modules.iter().map(|name| TestModule(format!("{folder}{name}"))));
    }
    found
}

#[test]
fn test_files_are_found_by_their_declaration() {
    let file = |path: &str| (path.to_owned(), "#[cfg(test)]\nmod contract;".to_owned());
    let found = test_files(&[file("driver/mod.rs"), file("lib.rs"), file("net/udp.rs")]);
    let holds = |path: &str| found.iter().any(|test| test.holds(path));
    for path in ["driver/contract.rs", "driver/contract/a.rs", "contract.rs", "net/udp/contract.rs"]
    {
        assert!(holds(path), "{path}");
    }
    assert!(!holds("driver/contracts.rs") && !holds("net/contract.rs"));
}

/// Prints the figures of the architecture page; `--nocapture` shows them.
#[test]
fn figures() {
    let all = files("src");
    let mut sizes: Vec<(usize, &str)> =
        all.iter().map(|(path, text)| (text.lines().count(), path.as_str())).collect();
    sizes.sort();
    let lines: usize = sizes.iter().map(|(size, _)| size).sum();
    let docs = all.iter().flat_map(|(_, text)| text.lines()).filter(|line| {
        let line = line.trim_start();
        line.starts_with("///") || line.starts_with("//!")
    });
    let sources: Vec<_> = all.iter().map(|(path, text)| Source::new(path, text)).collect();
    let with_unsafe: Vec<_> = sources
        .iter()
        .filter(|source| source.tokens.iter().any(|token| token.text == "unsafe"))
        .map(|source| source.path)
        .collect();
    let cfgs = sources
        .iter()
        .flat_map(|source| source.tokens.iter())
        .filter(|token| ["cfg", "cfg_attr"].contains(&token.text))
        .count();

    let (largest, name) = sizes.last().expect("there are files");
    println!("files          {} with {lines} lines", sizes.len());
    println!("median file    {} lines", sizes[sizes.len() / 2].0);
    println!("largest file   {largest} lines, src/{name}");
    println!("doc lines      {:.0} %", 100.0 * docs.count() as f64 / lines.max(1) as f64);
    println!("cfg            {:.1} per 1,000 lines", 1000.0 * cfgs as f64 / lines.max(1) as f64);
    println!("with unsafe    {} files: {}", with_unsafe.len(), with_unsafe.join(", "));
    for (size, path) in sizes.iter().rev().filter(|(size, _)| *size > 400) {
        println!("over 400       {size} lines, src/{path}");
    }
    for (address, _) in UNSAFE {
        if !with_unsafe.iter().any(|path| rules::lives_at(path, address)) {
            println!("unsafe not at  {address} (on the list, nothing needs it)");
        }
    }
}
