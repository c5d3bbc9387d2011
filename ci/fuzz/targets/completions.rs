//! Any stream of completions: any token, any result, any buffer, further ones to come or not.
#![no_main]

#[path = "../../../tests/backends/lies/world.rs"]
mod world;

use libfuzzer_sys::fuzz_target;
use ringloop::testing::Step;

fuzz_target!(|bytes: &[u8]| {
    world::live(Step::decode(bytes));
});
