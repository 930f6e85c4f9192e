//! Keeps messages in Redis.
