//! The page beside this file, held to the tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn read(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

/// The rows of the page: the number, and what stands beside it.
fn rows() -> BTreeMap<String, String> {
    let page = read("tests/asyncio/README.md").expect("the page is there");
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        Some((cells.next()?.to_owned(), cells.next()?.trim_end_matches(" |").to_owned()))
    });
    rows.filter(|(number, _)| number != "number").collect()
}

/// The numbers of the contracts, but for those of TLS and of subprocesses.
fn numbers() -> Vec<String> {
    let ranges = [
        ("R", 9),
        ("T", 35),
        ("Y", 19),
        ("Q", 12),
        ("X", 9),
        ("S", 28),
        ("F", 12),
        ("TR", 31),
        ("PR", 19),
        ("L", 59),
        ("D", 13),
    ];
    let mut all: Vec<String> = Vec::new();
    for (letter, last) in ranges {
        all.extend((1..=last).map(|n| format!("{letter}-{n:02}")));
    }
    all.extend((1..=6).map(|n| format!("G-A{n}")));
    let of_tls_and_processes = [131..=139, 141..=143, 146..=146];
    let others = |n: &u32| !of_tls_and_processes.iter().any(|range| range.contains(n));
    all.extend((1..=150).filter(others).map(|n| format!("check {n}")));
    all
}

#[test]
fn every_contract_has_a_row() {
    let rows = rows();
    let missing: Vec<_> = numbers().into_iter().filter(|n| !rows.contains_key(n)).collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
}

// Seen to fail when a test of the page is renamed.
#[test]
fn every_row_names_a_test_that_exists() {
    let mut wrong = Vec::new();
    for (number, text) in rows() {
        assert!(!text.is_empty(), "{number} has neither a test nor a reason");
        for named in
            text.split('`').filter(|part| part.starts_with("tests/") || part.starts_with("src/"))
        {
            let (path, test) = named.split_once("::").unwrap_or((named, ""));
            let is_there = read(path)
                .is_some_and(|source| test.is_empty() || source.contains(&format!("fn {test}(")));
            if !is_there {
                wrong.push(format!("{number}: {named}"));
            }
        }
    }
    assert!(wrong.is_empty(), "these are not there: {wrong:#?}");
}
