//! What the API server says of a service account: whose token it is, and what RBAC allows it.
//!
//! Owns: TokenReview and SubjectAccessReview. Used by: `reviews`, on the control runtime, where the client
//! lives.

use super::question::Question;
use crate::access::Action;
use crate::access::review::Verdict;
use crate::api_server::{ApiServer, Limits, word};
use crds::policy::ServiceAccounts;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};

/// How long both reviews may take together.
pub const REVIEW_TIME: Duration = Duration::from_secs(3);
/// Reviews on their way at once: the API server has other work.
const AT_ONCE: usize = 16;
/// How the API server names service accounts; `serviceAccounts` is not for people with tokens of the cluster.
const ACCOUNT: &str = "system:serviceaccount:";

/// The cluster that the gateway belongs to.
pub struct Cluster {
    /// Made at the first review, by the credentials of the pod or a kubeconfig.
    client: Mutex<Option<Client>>,
    gate: Arc<Semaphore>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            client: Mutex::default(),
            gate: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Cluster {
    /// Where to wait before asking.
    pub fn gate(&self) -> Arc<Semaphore> {
        self.gate.clone()
    }

    /// The verdict; none when the API server cannot be asked.
    pub async fn ask(&self, accounts: &ServiceAccounts, question: &Question) -> Option<Verdict> {
        match tokio::time::timeout(REVIEW_TIME, self.review(accounts, question)).await {
            Ok(Ok(verdict)) => Some(verdict),
            Ok(Err(error)) => {
                tracing::warn!(error = word(&error), "a service account cannot be reviewed");
                None
            }
            Err(_late) => {
                tracing::warn!("the API server did not review a service account in 3 s");
                None
            }
        }
    }

    async fn review(
        &self,
        accounts: &ServiceAccounts,
        question: &Question,
    ) -> Result<Verdict, kube::Error> {
        // What is no JSON Web Token is nobody's here, and perhaps somebody's elsewhere: it is not shown around.
        let Some(token) = question
            .token
            .as_ref()
            .filter(|token| token.may_be_signed())
        else {
            return Ok(Verdict::default());
        };
        let client = self.client().await?;
        let review = TokenReview {
            spec: TokenReviewSpec {
                audiences: Some(accounts.audiences.clone()),
                token: Some(token.text.expose().to_string()),
            },
            ..TokenReview::default()
        };
        let reviews = Api::<TokenReview>::all(client.clone());
        let status = reviews
            .create(&PostParams::default(), &review)
            .await?
            .status;
        let Some(status) = status.filter(|status| status.authenticated == Some(true)) else {
            return Ok(Verdict::default());
        };
        let granted = status.audiences.unwrap_or_default();
        let meant = accounts
            .audiences
            .iter()
            .any(|audience| granted.contains(audience));
        match status.user {
            Some(user) if meant => allowed(client, user, question).await,
            Some(_) | None => Ok(Verdict::default()),
        }
    }

    async fn client(&self) -> Result<Client, kube::Error> {
        let mut client = self.client.lock().await;
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let limits = Limits {
            connect: REVIEW_TIME,
            read: REVIEW_TIME,
        };
        let made = ApiServer::infer().await?.client(limits)?;
        Ok(client.insert(made).clone())
    }
}

/// Asks whether RBAC allows the account the verb on this Channel.
async fn allowed(
    client: Client,
    user: UserInfo,
    question: &Question,
) -> Result<Verdict, kube::Error> {
    let Some(name) = user.username.filter(|name| name.starts_with(ACCOUNT)) else {
        return Ok(Verdict::default());
    };
    let verb = match question.action {
        Action::Subscribe => "subscribe",
        Action::Publish => "publish",
    };
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(name.clone()),
            groups: user.groups,
            uid: user.uid,
            extra: user.extra,
            resource_attributes: Some(ResourceAttributes {
                group: Some("siar.dev".to_owned()),
                resource: Some("channels".to_owned()),
                namespace: Some(question.namespace.to_string()),
                name: Some(question.name.clone()),
                verb: Some(verb.to_owned()),
                ..ResourceAttributes::default()
            }),
            non_resource_attributes: None,
        },
        ..SubjectAccessReview::default()
    };
    let reviews = Api::<SubjectAccessReview>::all(client);
    let status = reviews
        .create(&PostParams::default(), &review)
        .await?
        .status;
    let allow = status.is_some_and(|status| status.allowed);
    Ok(Verdict {
        allow,
        identity: Some(name.into()),
        expires: None,
    })
}
