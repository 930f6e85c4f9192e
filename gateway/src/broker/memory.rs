//! Keeps messages in this process.
