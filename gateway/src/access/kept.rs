//! What an open stream keeps of its request, to be decided about again.
//!
//! Owns: that it is little: of a token its hash and the claims that conditions read. The token itself stays only
//! where a reviewer will be asked about it again. Pure. Used by: `admit`, `grant`.

use super::jwt::Verified;
use super::request::{Facts, Request, Token, TokenHash};
use super::review::Verdicts;
use crds::policy::Reads;
use std::sync::Arc;

/// What is kept of a request.
#[derive(Debug)]
pub struct Kept {
    pub token: Option<TokenHash>,
    /// With the claims that conditions read.
    pub verified: Option<Arc<Verified>>,
    pub facts: Option<Box<Facts>>,
    /// What reviewers said.
    pub verdicts: Verdicts,
    /// Whether the token may be a JSON Web Token: three parts.
    pub signed: bool,
    /// The token itself, only where a reviewer will be asked about it again.
    secret: Option<Token>,
    /// What of claims and facts is there.
    reads: Arc<Reads>,
}

impl Kept {
    /// What is kept of `request` for those conditions; none when it is nothing. `asked` are the verdicts if one
    /// of them admitted.
    pub(super) fn of(
        request: &Request,
        verified: Option<Arc<Verified>>,
        asked: Option<&Verdicts>,
        reads: Arc<Reads>,
    ) -> Option<Arc<Self>> {
        let facts = request.facts.as_ref();
        let facts = facts.filter(|_| reads.request || asked.is_some());
        if request.token.is_none() && facts.is_none() && asked.is_none() {
            return None;
        }
        Some(Arc::new(Self {
            token: request.token.as_ref().map(|token| token.hash),
            verified: verified.map(|token| {
                Arc::new(Verified {
                    claims: token.claims.keeping(&reads.claims),
                    ..*token
                })
            }),
            facts: facts.map(|facts| Box::new(facts.keeping(&reads.headers))),
            verdicts: asked.cloned().unwrap_or_default(),
            signed: request.token.as_ref().is_some_and(Token::may_be_signed),
            secret: request.token.clone().filter(|_| asked.is_some()),
            reads,
        }))
    }

    /// The token, where a reviewer will be asked about it again.
    pub(super) fn token_again(&self) -> Option<&Token> {
        self.secret.as_ref()
    }

    /// Whether everything that a condition reads is there.
    pub(super) fn covers(&self, reads: &Reads) -> bool {
        let mut all = Reads::clone(&self.reads);
        all.claims.extend(&reads.claims);
        all.headers.extend(&reads.headers);
        all.request |= reads.request;
        all == *self.reads
    }
}
