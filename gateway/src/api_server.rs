//! The API server of the cluster that the gateway belongs to.
//!
//! Owns: where it is, by the credentials of the pod or a kubeconfig; the time limits of a client; what of its errors
//! may be told. Never: asks it anything. Used by: `config` and `evidence`, on the control runtime, where clients live.

use crate::lookup::lookup;
use kube::{Client, Config};
use std::collections::BTreeSet;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::time::timeout;

/// How long the DNS may take for its name.
const RESOLVE: Duration = Duration::from_secs(5);

/// Where it is, and who we are to it.
#[derive(Clone, Debug)]
pub struct ApiServer(Config);

/// How long a client waits for it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// Between two bytes of an answer; a watch may be silent for as long as it lasts.
    pub read: Duration,
}

/// Its name is not known to the DNS, or the DNS did not answer.
#[derive(Debug, thiserror::Error)]
#[error("the name {host} of the API server leads to no address")]
pub struct NoAddress {
    host: String,
}

impl ApiServer {
    /// The one that `KUBECONFIG` names, else that of the pod.
    pub async fn infer() -> Result<Self, kube::Error> {
        let config = Config::infer().await.map_err(kube::Error::InferConfig)?;
        Ok(Self(config))
    }

    /// A client that tries once: whoever asks knows when to ask again.
    pub fn client(&self, limits: Limits) -> Result<Client, kube::Error> {
        let mut config = self.0.clone();
        config.connect_timeout = Some(limits.connect);
        config.read_timeout = Some(limits.read);
        // Else the time that a connection was idle would count.
        config.reset_reader_on_write = true;
        config.default_retry = false;
        Client::try_from(config)
    }

    /// Where its URL leads, and what pods are told of it.
    pub async fn addresses(&self) -> Result<BTreeSet<IpAddr>, NoAddress> {
        let host = self.0.cluster_url.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let found = match timeout(RESOLVE, lookup(host, 0)).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        if found.is_empty() {
            let host = host.to_owned();
            return Err(NoAddress { host });
        }
        let mut addresses: BTreeSet<IpAddr> = told().into_iter().collect();
        addresses.extend(found.iter().map(SocketAddr::ip));
        Ok(addresses)
    }
}

/// The address that Kubernetes tells every pod; where that is a name, the URL holds it as well.
#[expect(
    clippy::disallowed_methods,
    reason = "it is no flag: Kubernetes sets it, and kube reads it as well"
)]
fn told() -> Option<IpAddr> {
    std::env::var("KUBERNETES_SERVICE_HOST").ok()?.parse().ok()
}

/// What went wrong, in words that may be logged: of an answer of the API server only code and reason, since its
/// message may repeat a token, and nothing of a body, which may hold Secrets.
#[must_use]
pub fn word(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} {}", status.code, status.reason),
        kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => {
            "its answer cannot be read".to_owned()
        }
        other => innermost(other).to_string(),
    }
}

/// The outer causes say little: "client error".
fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.last().unwrap_or(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn its_addresses_are_those_of_its_url() {
        for (url, expected) in [
            ("https://192.0.2.1:6443", "192.0.2.1"),
            ("https://[2001:db8::1]", "2001:db8::1"),
            ("https://localhost:6443", "127.0.0.1"),
        ] {
            let server = ApiServer(Config::new(url.parse().unwrap()));
            let addresses = server.addresses().await.unwrap();
            assert!(
                addresses.contains(&expected.parse().unwrap()),
                "{url}: {addresses:?}"
            );
        }
        let nowhere = ApiServer(Config::new("https://api..invalid".parse().unwrap()));
        let error = nowhere.addresses().await.unwrap_err().to_string();
        assert!(error.contains("api..invalid"), "{error}");
    }

    #[test]
    fn an_error_is_told_without_what_an_answer_holds() {
        let unreadable = serde_json::from_str::<u8>(r#""hunter2""#).unwrap_err();
        assert!(!word(&kube::Error::SerdeError(unreadable)).contains("hunter2"));
        let refused = std::io::Error::other("connection refused");
        assert_eq!(
            word(&kube::Error::Service(Box::new(refused))),
            "connection refused"
        );
    }
}
