#![allow(dead_code, reason = "temporary wiring: the runtime is not here yet")]
pub(crate) mod timers;
