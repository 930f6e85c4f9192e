//! Where the configuration comes from, and where Channels may lead by default.
//!
//! Owns: finding the API server where it is needed. Never: follows a source (`config`), judges a target (`crds`).
//! Used by: `app`, on the control runtime.

use crate::api_server::{ApiServer, word};
use crate::args::{ChannelsFrom, SecretSettings};
use anyhow::{Context, anyhow};
use crds::targets::Targets;
use std::path::PathBuf;

/// Files, or the Secret on this API server.
pub enum Feed {
    Files(PathBuf),
    Secret(SecretSettings, Box<ApiServer>),
}

impl Feed {
    /// What `channels` asks for.
    pub async fn of(channels: &ChannelsFrom) -> anyhow::Result<Self> {
        match channels {
            ChannelsFrom::Files(path) => Ok(Self::Files(path.clone())),
            ChannelsFrom::Secret(secret) => {
                let server = ApiServer::infer()
                    .await
                    .map_err(|error| anyhow!(word(&error)))
                    .context("find the API server by the credentials of a pod or a kubeconfig")?;
                Ok(Self::Secret(secret.clone(), Box::new(server)))
            }
        }
    }

    /// Where Channels may lead when no list says it: in a cluster neither to the gateway itself nor to the API
    /// server, which would be asked with the gateway's place in the network.
    pub async fn targets(&self) -> anyhow::Result<Targets> {
        match self {
            Self::Files(_) => Ok(Targets::standalone()),
            Self::Secret(_, server) => {
                let addresses = server
                    .addresses()
                    .await
                    .context("forbid Channels its addresses; --allow-targets lists others")?;
                Ok(Targets::cluster(addresses))
            }
        }
    }
}
