//! The backend: a value that says which driver interprets.

use std::io;
use std::time::Instant;

use super::epoll::Epoll;
use super::{Driver, Until};
use crate::buf::Pool;
use crate::op::{Call, Completion, Request, Token};
use crate::sys::Bell;

/// One of the drivers.
pub(crate) enum Backend {
    Epoll(Box<Epoll>),
}

impl Driver for Backend {
    fn submit(&mut self, token: Token, request: Request) {
        match self {
            Self::Epoll(driver) => driver.submit(token, request),
        }
    }

    fn cancel(&mut self, token: Token) {
        match self {
            Self::Epoll(driver) => driver.cancel(token),
        }
    }

    fn wait(&mut self, until: Until, pool: &Pool, done: &mut Vec<Completion>) -> io::Result<()> {
        match self {
            Self::Epoll(driver) => driver.wait(until, pool, done),
        }
    }

    fn call(&mut self, call: Call<'_>) -> io::Result<i32> {
        match self {
            Self::Epoll(driver) => driver.call(call),
        }
    }

    fn now(&self) -> Instant {
        match self {
            Self::Epoll(driver) => driver.now(),
        }
    }

    fn bell(&self) -> Bell {
        match self {
            Self::Epoll(driver) => driver.bell(),
        }
    }
}
