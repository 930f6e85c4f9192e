//! A browser inside the node.
//!
//! Owns: that it runs where Services and node ports are. Used by: tests of what a page gets.

use super::Node;
use crate::browser::Browser;

impl Node {
    /// A browser with an empty page.
    pub async fn browser(&self) -> Browser {
        Browser::start_by(self.command("sh").into_std()).await
    }
}
