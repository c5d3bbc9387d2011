//! ringloop
mod buf;
mod driver;
mod op;
mod sys;
