//! asyncio's contracts as tests: a file a page of its documentation.
//!
//! `README.md` beside this file says for each contract which test holds it, or why there is none. As in
//! `backends`, each test that needs a loop runs on every backend.

#[path = "../backends/support.rs"]
#[expect(dead_code, reason = "made for another binary, which uses all of it")]
mod support;

mod connecting;
mod context;
mod datagrams;
mod debug;
mod event_loop;
mod executors;
mod futures;
mod gate;
mod groups;
mod pipes;
mod queue;
mod raw;
mod runner;
mod sendfile;
mod servers;
mod signals;
mod streams;
mod sync;
mod table;
mod tasks;
mod timeouts;
mod transports;
mod unix;
