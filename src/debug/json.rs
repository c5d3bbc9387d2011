//! A tree as JSON.

use std::fmt::Write;

use super::tree::{State, TaskNode, Tree, Wait};

pub(super) fn tree(tree: &Tree) -> String {
    let tasks: Vec<String> = tree.tasks().iter().map(task).collect();
    format!("{{\"tasks\":[{}]}}", tasks.join(","))
}

fn task(node: &TaskNode) -> String {
    let mut out = format!("{{\"id\":{}", node.number());
    if let Some(task) = node.task() {
        let at = task.spawned_at();
        let name = task.name().map_or_else(|| "null".to_owned(), quoted);
        let at = quoted(&format!("{}:{}", at.file(), at.line()));
        add(&mut out, "name", &name);
        add(&mut out, "spawned_at", &at);
    }
    let state = match node.state() {
        State::Running => "running",
        State::Ready => "ready",
        State::Waiting => "waiting",
        State::Unknown => "unknown",
    };
    add(&mut out, "state", &quoted(state));
    let waits: Vec<String> = node.waits_for().iter().map(wait).collect();
    add(&mut out, "waits_for", &format!("[{}]", waits.join(",")));
    let since =
        node.since().map_or_else(|| "null".to_owned(), |since| since.as_nanos().to_string());
    add(&mut out, "since_ns", &since);
    add(&mut out, "polls", &node.polls().to_string());
    add(&mut out, "busy_ns", &node.busy().as_nanos().to_string());
    out + "}"
}

fn wait(wait: &Wait) -> String {
    let mut out = format!("{{\"what\":{}", quoted(wait.what()));
    let mut number = |name, value: Option<String>| {
        if let Some(value) = value {
            add(&mut out, name, &value);
        }
    };
    number("fd", wait.fd().map(|fd| fd.to_string()));
    number("task", wait.task().map(|task| task.to_string()));
    number("left_ns", wait.left().map(|left| left.as_nanos().to_string()));
    number("place", wait.place().map(|place| place.to_string()));
    out + "}"
}

fn add(out: &mut String, name: &str, value: &str) {
    let _ = write!(out, ",\"{name}\":{value}");
}

/// A string in quotes, as RFC 8259 has it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_forbids_in_a_string_is_escaped() {
        assert_eq!(quoted("a\"b\\c\n\u{1}é"), r#""a\"b\\c\u000a\u0001é""#);
    }
}
