//! ringloop
mod buf;
mod driver;
mod op;
mod runtime;
mod sys;
