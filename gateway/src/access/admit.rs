//! Whether the rules of one Channel admit somebody.
//!
//! Owns: the order of rules, and that a token is never silently taken for none. Asked for a request that
//! came and for a stream that is open alike; what cannot be said is `Needs`. Pure. Used by: `access`.

use super::claims::Claims;
use super::condition::{About, holds};
use super::jwt::{LEEWAY, Unverified, Verified, is_for, verify};
use super::kept::Kept;
use super::request::{Facts, Token, TokenHash};
use super::review::{self, Review, Reviewer};
use super::{Findings, Known, Need};
use crate::metrics::Denied;
use crds::name::Topic;
use crds::policy::{Condition, Jwt, JwtKeys, Policy, Rule, RuleKind, TokenHolder};
use std::sync::Arc;
use std::time::Duration;

/// Who shows what.
pub enum Shown<'a> {
    /// A request with its token and all it says.
    Request {
        token: Option<&'a Token>,
        facts: Option<&'a Facts>,
    },
    /// An open stream with what was kept of its request.
    Stream(Option<&'a Kept>),
}

/// What is asked for, by whom.
pub struct Case<'a> {
    pub policy: &'a Policy,
    /// None for the feed.
    pub topic: Option<&'a Topic>,
    pub shown: &'a Shown<'a>,
    pub known: &'a Known<'a>,
    pub findings: &'a Findings,
}

/// How somebody was admitted.
#[derive(Debug, Default)]
pub struct Admitted {
    /// The rule that admitted, by its place.
    pub rule: u8,
    pub identity: Option<Arc<str>>,
    /// The token, if it is a JSON Web Token.
    pub verified: Option<Arc<Verified>>,
    /// When the admission ends, in seconds since 1970.
    pub expires: Option<u64>,
    /// How often the reviewer is to be asked again.
    pub recheck: Option<Duration>,
}

/// Why somebody is not admitted.
#[derive(Debug)]
pub enum Refused {
    Denied(Denied),
    Needs(Need),
    /// The keys of an issuer cannot be had now.
    Unreachable,
}

/// What a rule makes of a token.
enum Found {
    Yes(Admitted),
    /// It is somebody's, and they may not.
    NotHere,
    No,
    Needs(Need),
    Unreachable,
}

impl Case<'_> {
    /// The first rule that admits. A token that some rule reads and none can verify is refused even where
    /// `anonymous` would have admitted.
    pub fn admit(&self, rules: &[Rule]) -> Result<Admitted, Refused> {
        let reads_tokens = rules.iter().any(Rule::reads_tokens);
        let (mut verified, mut unreachable) = (false, false);
        for (at, rule) in rules.iter().enumerate() {
            if self.is_out_of_question(rule) {
                // Whoever could tell whose token it is need not be asked.
                verified |= self.shown.has_token();
                continue;
            }
            let mut found = match self.verify(rule) {
                Found::Yes(found) => found,
                Found::No => continue,
                Found::NotHere => {
                    verified = true;
                    continue;
                }
                Found::Needs(need) => return Err(Refused::Needs(need)),
                Found::Unreachable => {
                    unreachable = true;
                    continue;
                }
            };
            verified |= rule.reads_tokens();
            match rule
                .when
                .as_ref()
                .map(|condition| self.meets(condition, &found))
            {
                None | Some(Ok(true)) => {}
                Some(Ok(false)) => continue,
                Some(Err(need)) => return Err(Refused::Needs(need)),
            }
            if reads_tokens && !verified && self.shown.has_token() {
                found.verified = self.must_verify(&rules[at..], unreachable)?;
            }
            // There are at most 16 rules.
            found.rule = u8::try_from(at).unwrap_or(u8::MAX);
            return Ok(found);
        }
        Err(if unreachable {
            Refused::Unreachable
        } else if !self.shown.has_token() && reads_tokens {
            Refused::Denied(Denied::NoToken)
        } else if self.shown.has_token() && reads_tokens && !verified {
            Refused::Denied(Denied::BadToken)
        } else {
            Refused::Denied(Denied::NotAdmitted)
        })
    }

    /// Whether some rule would admit if its condition held.
    pub fn might_admit(&self, rules: &[Rule]) -> bool {
        rules
            .iter()
            .any(|rule| !matches!(self.verify(rule), Found::No | Found::NotHere))
    }

    /// Whether a reviewer need not be asked, since the condition of its rule does not hold whatever it says.
    fn is_out_of_question(&self, rule: &Rule) -> bool {
        let Some(condition) = rule
            .when
            .as_ref()
            .filter(|_| Reviewer::of(&rule.kind).is_some())
        else {
            return false;
        };
        let reads = condition.reads();
        let alone = !reads.identity && reads.claims.is_empty();
        alone && matches!(self.meets(condition, &Admitted::default()), Ok(false))
    }

    /// Everybody is admitted; still, one of the `rules`, or of those before that were `unreachable`, must take
    /// the token that is shown. Reviewers that were not asked before are not asked for this: they may take it.
    fn must_verify(
        &self,
        rules: &[Rule],
        mut unreachable: bool,
    ) -> Result<Option<Arc<Verified>>, Refused> {
        let mut not_asked = false;
        for rule in rules.iter().filter(|rule| rule.reads_tokens()) {
            if Reviewer::of(&rule.kind).is_some() {
                not_asked = true;
                continue;
            }
            match self.verify(rule) {
                Found::Yes(found) => return Ok(found.verified),
                Found::No | Found::NotHere => {}
                Found::Needs(need) => return Err(Refused::Needs(need)),
                Found::Unreachable => unreachable = true,
            }
        }
        if not_asked {
            return Ok(None);
        }
        Err(if unreachable {
            Refused::Unreachable
        } else {
            Refused::Denied(Denied::BadToken)
        })
    }

    fn verify(&self, rule: &Rule) -> Found {
        match &rule.kind {
            RuleKind::Anonymous => Found::Yes(Admitted::default()),
            RuleKind::Tokens(holders) => {
                match self.shown.hash().and_then(|token| holder(holders, token)) {
                    Some(name) => Found::Yes(Admitted {
                        identity: Some(name),
                        ..Admitted::default()
                    }),
                    None => Found::No,
                }
            }
            RuleKind::Jwt(jwt) => self.verify_jwt(jwt),
            RuleKind::ServiceAccounts(_) | RuleKind::Webhook(_) => {
                Reviewer::of(&rule.kind).map_or(Found::No, |reviewer| self.reviewed(reviewer))
            }
        }
    }

    fn reviewed(&self, reviewer: Reviewer) -> Found {
        if reviewer.needs_token() && !self.shown.has_token() {
            return Found::No;
        }
        let recheck = Some(reviewer.recheck());
        let review = Review {
            channel: self.policy.channel.clone(),
            reviewer,
        };
        let (verdicts, missing) = match self.shown {
            Shown::Request { .. } => (&*self.findings.verdicts, Need::Review(review.clone())),
            Shown::Stream(kept) => (kept.map_or(&[][..], |kept| &kept.verdicts), Need::Anew),
        };
        match review::find(verdicts, &review) {
            None => Found::Needs(missing),
            Some(None) => Found::Unreachable,
            Some(Some(verdict)) if verdict.allow && self.is_ahead(verdict.expires) => {
                Found::Yes(Admitted {
                    identity: verdict.identity.clone(),
                    expires: verdict.expires,
                    recheck,
                    ..Admitted::default()
                })
            }
            Some(Some(verdict)) if verdict.identity.is_some() && self.is_ahead(verdict.expires) => {
                Found::NotHere
            }
            Some(Some(_)) => Found::No,
        }
    }

    fn is_ahead(&self, expires: Option<u64>) -> bool {
        expires.is_none_or(|expires| self.known.now.unix / 1000 < expires.saturating_add(LEEWAY))
    }

    fn verify_jwt(&self, rule: &Jwt) -> Found {
        if !self.shown.has_token() {
            return Found::No;
        }
        let (keys, url) = match &rule.keys {
            JwtKeys::Fixed(keys) => (Some(keys.clone()), None),
            JwtKeys::Url(url) => (self.known.keyring.find(url), Some(url)),
        };
        let outcome = match (keys, self.shown) {
            (None, _) => Err(Unverified::NoSuchKey),
            (
                Some(keys),
                Shown::Request {
                    token: Some(token), ..
                },
            ) => {
                let (memo, unix) = (self.known.memo, self.known.now.unix);
                verify(token, rule, &keys, memo, unix)
            }
            (Some(_), Shown::Request { token: None, .. } | Shown::Stream(None)) => {
                Err(Unverified::Foreign)
            }
            (Some(keys), Shown::Stream(Some(kept))) => match &kept.verified {
                Some(token) if token.is_by(&keys) && is_for(token, rule, self.known.now.unix) => {
                    Ok(token.clone())
                }
                Some(_) => Err(Unverified::Foreign),
                None if !kept.signed => Err(Unverified::Foreign),
                // It was admitted on other evidence, and the token itself is gone.
                None => return Found::Needs(Need::Anew),
            },
        };
        match (outcome, url) {
            (Ok(verified), _) => Found::Yes(Admitted {
                identity: verified.claims.identity().cloned(),
                expires: verified.claims.expires,
                verified: Some(verified),
                ..Admitted::default()
            }),
            (Err(Unverified::NoSuchKey), Some(url)) if self.findings.unreachable.contains(url) => {
                Found::Unreachable
            }
            (Err(Unverified::NoSuchKey), Some(url)) if !self.findings.fetched.contains(url) => {
                Found::Needs(Need::Keys(url.clone()))
            }
            (Err(_), _) => Found::No,
        }
    }

    /// Whether the condition holds; the error: it reads what was not kept.
    fn meets(&self, condition: &Condition, found: &Admitted) -> Result<bool, Need> {
        let reads = condition.reads();
        // All topics of a Channel at once: nothing that depends on one of them can be said.
        if self.topic.is_none() && !reads.topic.is_empty() {
            return Ok(false);
        }
        if let Shown::Stream(kept) = self.shown
            && !kept.is_some_and(|kept| kept.covers(reads))
            && (reads.request || (!reads.claims.is_empty() && found.verified.is_some()))
        {
            return Err(Need::Anew);
        }
        let claims = found.verified.as_ref().map(|verified| &verified.claims);
        let held = holds(condition, &self.about(found, claims));
        Ok(held.unwrap_or_else(|problem| {
            (self.known.failed)(self.policy, problem);
            false
        }))
    }

    fn about<'b>(&'b self, found: &'b Admitted, claims: Option<&'b Claims>) -> About<'b> {
        About {
            policy: self.policy,
            topic: self.topic,
            claims,
            identity: found.identity.as_deref(),
            facts: match self.shown {
                Shown::Request { facts, .. } => *facts,
                Shown::Stream(kept) => kept.and_then(|kept| kept.facts.as_deref()),
            },
        }
    }
}

impl Shown<'_> {
    fn hash(&self) -> Option<&TokenHash> {
        match self {
            Self::Request { token, .. } => token.map(|token| &token.hash),
            Self::Stream(kept) => kept.and_then(|kept| kept.token.as_ref()),
        }
    }

    fn has_token(&self) -> bool {
        self.hash().is_some()
    }
}

/// Whose token it is. All are compared, so the time tells nothing about which one it was.
fn holder(holders: &[TokenHolder], token: &TokenHash) -> Option<Arc<str>> {
    let found = holders.iter().fold(None, |found, holder| {
        let same = token.is(&holder.sha256);
        found.or(same.then_some(holder))
    });
    found.map(|holder| holder.name.clone())
}
