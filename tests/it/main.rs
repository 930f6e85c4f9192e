//! x

mod golden;
