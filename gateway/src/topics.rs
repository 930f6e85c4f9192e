//! What this process hears.

pub mod mailbox;

pub use mailbox::{Mail, Mailbox, TopicId};
