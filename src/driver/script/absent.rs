//! The twin of `driver::script` outside of test builds: there is none.

use std::io;
use std::time::Instant;

use super::{Driver, Until};
use crate::buf::Pool;
use crate::op::{Call, Completion, Request, Token};
use crate::sys::Bell;

/// A driver that nobody can make.
#[derive(Debug)]
pub(crate) enum Script {}

impl Script {
    pub(super) const fn asked_for() -> Option<Self> {
        None
    }
}

impl Driver for Script {
    fn submit(&mut self, _token: Token, _request: Request) {
        match *self {}
    }

    fn cancel(&mut self, _token: Token) {
        match *self {}
    }

    fn wait(&mut self, _until: Until, _pool: &Pool, _done: &mut Vec<Completion>) -> io::Result<()> {
        match *self {}
    }

    fn is_quiet(&mut self) -> bool {
        match *self {}
    }

    fn call(&mut self, _call: Call<'_>) -> io::Result<i32> {
        match *self {}
    }

    fn now(&self) -> Instant {
        match *self {}
    }

    fn bell(&self) -> Bell {
        match *self {}
    }
}
