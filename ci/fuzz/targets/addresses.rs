//! Any `sockaddr` that a kernel might write: four bytes of length, then those of the address.
#![no_main]

#[path = "../../../tests/backends/lies/world.rs"]
mod world;

use libfuzzer_sys::fuzz_target;
use ringloop::testing::Step;

fuzz_target!(|bytes: &[u8]| {
    let Some((len, address)) = bytes.split_first_chunk() else { return };
    // A listener that says where it listens, and a connection that says where it comes from.
    let mut steps = vec![Step::Address(address.to_vec(), u32::from_le_bytes(*len)), Step::Turn];
    steps.extend((0..8).map(|nth| Step::Honest { nth }));
    steps.push(Step::Turn);
    world::live(steps);
});
