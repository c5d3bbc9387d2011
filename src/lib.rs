//! ringloop
mod buf;
mod driver;
mod op;
mod sys;
mod worker;
