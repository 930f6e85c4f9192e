//! Services of teams that decide.
//!
//! Owns: what they are sent and how their answers are read; how many requests one of them has to bear. Used
//! by: `reviews`, on the control runtime.

use super::question::Question;
use crate::access::is_identity;
use crate::access::review::Verdict;
use crate::outbound::Outbound;
use crds::policy::{Rule, RuleKind, Webhook};
use parking_lot::RwLock;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Requests on their way to one address; more wait, within the time that they have.
const AT_ONCE: usize = 32;

/// The webhooks that rules name.
pub struct Webhooks {
    outbound: Outbound,
    gates: RwLock<HashMap<Arc<str>, Arc<Semaphore>>>,
}

/// What a webhook says. Its `reason` is not read: it may repeat the token, and would end up in a log.
#[derive(Deserialize)]
struct Said {
    allow: bool,
    identity: Option<String>,
    /// Seconds since 1970.
    expires: Option<u64>,
}

impl Webhooks {
    pub fn new(outbound: Outbound) -> Self {
        Self {
            outbound,
            gates: RwLock::default(),
        }
    }

    /// Forgets the addresses that no rule names.
    pub fn apply(&self, rules: &[&Rule]) {
        let urls = rules.iter().filter_map(|rule| match &rule.kind {
            RuleKind::Webhook(webhook) => Some(webhook.url.clone()),
            _ => None,
        });
        let mut gates = self.gates.write();
        let before = std::mem::take(&mut *gates);
        *gates = urls
            .map(|url| {
                let gate = before.get(&url).cloned();
                (
                    url,
                    gate.unwrap_or_else(|| Arc::new(Semaphore::new(AT_ONCE))),
                )
            })
            .collect();
    }

    /// Where to wait before asking; none when no rule names the address any more.
    pub fn gate(&self, url: &str) -> Option<Arc<Semaphore>> {
        self.gates.read().get(url).cloned()
    }

    /// The verdict; none when there is none in time, or it is none.
    pub async fn ask(&self, webhook: &Webhook, question: &Question) -> Option<Verdict> {
        let (body, time) = (body(question), webhook.timeout);
        match self.outbound.post_json(&webhook.url, &body, time).await {
            Ok(answer) if answer.status == 200 => read(&answer.body),
            Ok(answer) => failed(&format!("status {}", answer.status)),
            Err(error) => failed(&error.to_string()),
        }
    }
}

fn failed(problem: &str) -> Option<Verdict> {
    tracing::debug!(problem, "a webhook gave no verdict");
    None
}

fn body(question: &Question) -> Value {
    let mut body = json!({
        "action": question.action.word(),
        "channel": format!("{}/{}", question.namespace, question.name),
        "topics": question.topics,
        "ip": question.ip,
        "origin": question.origin,
        "path": question.path,
    });
    if let Some(token) = &question.token {
        body["token"] = (**token.text.expose()).into();
    }
    body
}

fn read(body: &[u8]) -> Option<Verdict> {
    let Ok(said) = serde_json::from_slice::<Said>(body) else {
        return failed("the answer is not {\"allow\": true or false, …}");
    };
    if !said.identity.as_deref().is_none_or(is_identity) {
        return failed("its identity is empty, too long or has control characters");
    }
    tracing::debug!(allow = said.allow, "a webhook decided");
    Some(Verdict {
        allow: said.allow,
        identity: said.identity.map(Into::into),
        expires: said.expires,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_verdict_or_none() {
        let allowed = |identity: Option<&str>, expires| Verdict {
            allow: true,
            identity: identity.map(Into::into),
            expires,
        };
        let check = |text: &str, expected: Option<Verdict>| {
            assert_eq!(read(text.as_bytes()), expected, "{text}")
        };
        check(r#"{"allow": true}"#, Some(allowed(None, None)));
        check(
            r#"{"allow": true, "identity": "ana", "expires": 7, "more": 1}"#,
            Some(allowed(Some("ana"), Some(7))),
        );
        check(
            r#"{"allow": false, "reason": "no"}"#,
            Some(Verdict::default()),
        );
        for text in [
            "",
            "true",
            "{}",
            r#"{"allow": "true"}"#,
            r#"{"allow": 1}"#,
            r#"{"allow": true, "identity": ""}"#,
            r#"{"allow": true, "identity": "a\nb"}"#,
            r#"{"allow": true, "expires": "soon"}"#,
            r#"{"allow": true, "expires": -1}"#,
            r#"{"allow": true, "allow": false}"#,
        ] {
            check(text, None);
        }
    }
}
