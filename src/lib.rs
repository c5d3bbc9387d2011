//! ringloop
mod buf;
mod op;
mod sys;
pub mod task;
