//! The public port.
mod query;
mod request;
