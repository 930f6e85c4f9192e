//! The control events and blocks of a stream: opening, position, gap, heartbeat, end.
//!
//! Owns: their text; none carries an `id:` but the gap and the position block. Never: adds chunk
//! framing. Pure. Used by: `worker`, and `http::refusal` for the answers that will pass.

use crate::close::{CloseReason, GapReason};
use crate::message::Session;
use std::fmt::Display;
use std::time::Duration;

/// The first bytes of every stream: they make proxies pass on the head, and set the reconnection time.
#[must_use]
pub fn hello(retry: Duration) -> String {
    format!("retry: {}\n: siar\n\n", retry.as_millis())
}

/// A block without data: the browser keeps the position and fires nothing.
#[must_use]
pub fn mark(position: impl Display) -> String {
    format!("id: {position}\n\n")
}

/// Told right after the first bytes to streams with `control=1`.
#[must_use]
pub fn open(session: Session, resumed: bool) -> String {
    format!("event: siar.open\ndata: {{\"session\":\"{session}\",\"resumed\":{resumed}}}\n\n")
}

/// Told where messages of `channel` may be missing; the id is the place from which delivery goes on.
#[must_use]
pub fn gap(channel: &str, reason: GapReason, cursor: Option<&str>) -> String {
    let channel = serde_json::Value::from(channel);
    let mut text = format!(
        "event: siar.gap\ndata: {{\"channel\":{channel},\"reason\":\"{}\"}}\n",
        reason.word()
    );
    if let Some(cursor) = cursor {
        text.push_str(&format!("id: {cursor}\n"));
    }
    text.push('\n');
    text
}

/// The last event of a stream. `retry` is when to come back, for what will pass.
#[must_use]
pub fn end(reason: CloseReason, retry: Option<Duration>) -> String {
    let retry = retry
        .map(|retry| format!("retry: {}\n", retry.as_millis()))
        .unwrap_or_default();
    format!(
        "{retry}event: siar.end\ndata: {{\"reason\":\"{}\"}}\n\n",
        reason.word()
    )
}

/// Sent after silence: a comment, which a page cannot see.
pub const HEARTBEAT: &str = ":\n\n";

/// Sent after silence in place of the comment to streams with `control=1`.
pub const HEARTBEAT_EVENT: &str = "event: siar.heartbeat\ndata: {}\n\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_names_the_topic_and_where_delivery_goes_on() {
        assert_eq!(
            gap("a\"b", GapReason::TooOld, Some("abcdef-3")),
            "event: siar.gap\ndata: {\"channel\":\"a\\\"b\",\"reason\":\"too-old\"}\nid: abcdef-3\n\n"
        );
    }

    #[test]
    fn an_end_says_when_to_come_back() {
        assert_eq!(
            end(CloseReason::Draining, Some(Duration::from_millis(1500))),
            "retry: 1500\nevent: siar.end\ndata: {\"reason\":\"draining\"}\n\n"
        );
    }
}
