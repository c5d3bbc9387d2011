//! Datagrams: who receives them, the kernel or the driver itself.

use super::emulate::Emulated;
use super::provided::Provided;
use super::{Caps, Uring, encode};
use crate::op::Request;

impl Uring {
    /// Whether the driver itself must do `request`, for want of the kernel's multishot.
    pub(super) fn must_emulate(&mut self, request: &Request) -> bool {
        match request {
            Request::RecvMsg { .. } => !self.has_messages(),
            request => self.emulates() && Emulated::wants(request),
        }
    }

    /// Whether the kernel receives datagrams into the messages' pool: it is offered that when the first
    /// request asks.
    pub(super) fn has_messages(&mut self) -> bool {
        if self.messages.is_none()
            && self.caps.has(Caps::MESSAGES)
            && let Some(pool) = self.pool.messages()
        {
            match Provided::register(&self.ring, pool, encode::MESSAGES) {
                Ok(provided) => self.messages = Some(provided),
                // RLIMIT_MEMLOCK, perhaps: then it is done without for good.
                Err(_) => self.caps = self.caps.without(Caps::MESSAGES),
            }
        }
        self.messages.is_some()
    }

    /// Hands every free buffer for datagrams to the kernel.
    pub(super) fn publish_messages(&mut self) {
        if let (Some(messages), Some(pool)) = (&mut self.messages, self.pool.messages()) {
            messages.publish(pool);
        }
    }
}
