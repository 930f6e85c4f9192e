//! The facts of a fleet that Channels are judged by.
//!
//! Owns: their names. Used by: `policy`, `compile`. The operator reads them from the annotations of
//! the fleet's Deployment, the standalone gateway from its flags.

use crate::report::BrokerKind;
use crate::targets::Targets;

/// One fleet of gateway pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// Its name; Channels choose it by `spec.gateway`.
    pub gateway: String,
    /// The namespace of URLs and manifests that name none.
    pub default_namespace: String,
    /// What carries the messages of Channels without a Redis of their own.
    pub broker: BrokerKind,
    /// Whether its gateways may ask the API server about service accounts.
    pub reviews: bool,
    /// Where the URLs of Channels may lead.
    pub targets: Targets,
}

impl Fleet {
    /// What a gateway without flags is, but for its default namespace.
    #[must_use]
    pub fn standalone(default_namespace: &str) -> Self {
        Self {
            gateway: "default".to_owned(),
            default_namespace: default_namespace.to_owned(),
            broker: BrokerKind::Memory,
            reviews: true,
            targets: Targets::standalone(),
        }
    }
}
