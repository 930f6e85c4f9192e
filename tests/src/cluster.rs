//! A real Kubernetes API server with an etcd of its own. There are no nodes, and no controllers unless they are asked
//! for: no default ServiceAccounts, nothing in the roles that others aggregate into (`view`, `edit`, `admin`), no
//! garbage collector.
//!
//! Owns: the servers, the identities that may use them, and `kubectl`. Never: is shared by two tests.
//! Used by: tests of whatever Kubernetes decides or keeps.

use crate::certs::Certs;
use crate::http::{Answer, Ask};
use crate::process::{Process, folder};
use crate::wait::until;
use rustix::process::Signal;
use rustls::ClientConfig;
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod api;
mod controllers;
mod etcd;
mod history;
mod kubectl;
mod servers;

pub use api::Api;
use servers::Servers;
pub use servers::binary;

/// The identity that may do everything.
pub const ADMIN: &str = "admin";

/// How it is started.
#[derive(Default)]
pub struct Setup {
    identities: Vec<(String, Vec<String>)>,
    flags: Vec<String>,
    controllers: bool,
}

/// Another way to the API server than its own address.
#[derive(Clone, Debug)]
pub struct Via {
    pub address: SocketAddr,
    /// The certificate of the authority that vouches for whoever answers there.
    pub ca: PathBuf,
}

/// The running cluster.
pub struct Cluster {
    controllers: Option<Process>,
    servers: Servers,
    certs: Certs,
    /// Kubeconfigs, the data of etcd, logs.
    folder: tempfile::TempDir,
}

impl Setup {
    /// One more identity, which may do what RBAC allows to it or its groups.
    #[must_use]
    pub fn identity(mut self, name: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|&group| group.into()).collect();
        self.identities.push((name.into(), groups));
        self
    }

    /// One more flag of kube-apiserver.
    #[must_use]
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.push(format!("--{name}={value}"));
        self
    }

    /// Runs kube-controller-manager, too.
    #[must_use]
    pub fn controllers(mut self) -> Self {
        self.controllers = true;
        self
    }

    /// Starts it, and waits until it has the namespace `default`.
    pub async fn start(mut self) -> Cluster {
        let (folder, certs) = (folder(), Certs::new());
        certs.openssl("ecparam -name prime256v1 -genkey -noout -out service-accounts.key");
        self.identities
            .push((ADMIN.into(), vec!["system:masters".into()]));
        let lines: String = self.identities.iter().map(line).collect();
        fs::write(certs.path("tokens.csv"), lines).expect("the folder is ours");
        let servers = Servers::start(&certs, folder.path(), self.flags).await;
        let mut cluster = Cluster {
            controllers: None,
            servers,
            certs,
            folder,
        };
        for (name, _) in &self.identities {
            cluster.write_kubeconfig(name, &token(name));
        }
        if self.controllers {
            cluster.controllers = Some(controllers::start(&cluster).await);
        }
        cluster
    }
}

impl Cluster {
    /// A cluster whose only identity is [`ADMIN`].
    pub async fn start() -> Self {
        Setup::default().start().await
    }

    /// The URL of its API.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address())
    }

    /// Where the API listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.servers.address()
    }

    /// The certificate of the authority that clients should trust.
    #[must_use]
    pub fn ca_path(&self) -> PathBuf {
        self.certs.path("ca.crt")
    }

    /// A kubeconfig for an identity of the [`Setup`].
    #[must_use]
    pub fn kubeconfig(&self, identity: &str) -> PathBuf {
        let path = self.kubeconfig_path(identity);
        assert!(path.exists(), "the cluster has no identity {identity}");
        path
    }

    /// A kubeconfig for who presents `token`, for example one of a service account.
    #[must_use]
    pub fn kubeconfig_of_token(&self, name: &str, token: &str) -> PathBuf {
        self.write_kubeconfig(name, token);
        self.kubeconfig_path(name)
    }

    /// A kubeconfig for an identity that has one already, by another way.
    #[must_use]
    pub fn kubeconfig_via(&self, identity: &str, via: &Via) -> PathBuf {
        let mut config = self.config(identity);
        config["clusters"][0]["cluster"] = json!({
            "server": format!("https://{}", via.address),
            "certificate-authority": via.ca,
        });
        let path = self.kubeconfig_path(&format!("{identity}.{}", via.address.port()));
        fs::write(&path, config.to_string()).expect("the folder is ours");
        path
    }

    /// A client of its certificates.
    #[must_use]
    pub fn tls(&self) -> Arc<ClientConfig> {
        self.certs.client()
    }

    /// The API for an identity that has a kubeconfig.
    #[must_use]
    pub fn api(&self, identity: &str) -> Api {
        let config = self.config(identity);
        let token = config["users"][0]["user"]["token"].as_str();
        let token = token.expect("every identity has a token");
        Api::new(self.address(), self.certs.client(), token)
    }

    /// A request to the API as an identity that has a kubeconfig.
    #[must_use]
    pub fn ask(&self, identity: &str, method: &str, path: &str) -> Ask {
        self.api(identity).ask(method, path)
    }

    /// `GET path` as [`ADMIN`].
    pub async fn get(&self, path: &str) -> Answer {
        self.api(ADMIN).get(path).send().await
    }

    /// `POST object` to `path` as [`ADMIN`].
    pub async fn create(&self, path: &str, object: &Value) -> Answer {
        self.api(ADMIN).create(path, object).send().await
    }

    /// Changes what `change` names of the object at `path` as [`ADMIN`].
    pub async fn merge(&self, path: &str, change: &Value) -> Answer {
        self.api(ADMIN).merge(path, change).send().await
    }

    /// Deletes the object at `path` as [`ADMIN`].
    pub async fn delete(&self, path: &str) -> Answer {
        self.api(ADMIN).delete(path, &json!({})).send().await
    }

    /// Whether Deployments get their Pods by controllers.
    #[must_use]
    pub fn has_controllers(&self) -> bool {
        self.controllers.is_some()
    }

    /// A token of a service account for these audiences; the account and its namespace are made if they are missing.
    pub async fn service_account_token(
        &self,
        namespace: &str,
        name: &str,
        audiences: &[&str],
    ) -> String {
        let accounts = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        self.ensure("/api/v1/namespaces", namespace).await;
        self.ensure(&accounts, name).await;
        let request = json!({ "spec": { "audiences": audiences } });
        let path = format!("{accounts}/{name}/token");
        let answer = self.create(&path, &request).await.expect(201);
        let token = answer.json()["status"]["token"].as_str().map(str::to_owned);
        token.expect("a TokenRequest answers with a token")
    }

    /// Makes the kind Channel known, and waits until it can be used.
    pub async fn install_crd(&self) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let file = root.join("crds/channels.siar.dev.yaml");
        let yaml = fs::read_to_string(file).expect("the CRD is in the repository");
        self.apply_yaml(&yaml).await;
        until("the kind Channel to be served", || {
            self.kubectl_as(ADMIN, &["get", "channels", "--all-namespaces"], "")
        })
        .await;
    }

    /// Stops answering, connections stay.
    pub fn freeze(&self) {
        self.servers.api().signal(Signal::STOP);
    }

    /// Goes on after [`Cluster::freeze`].
    pub fn thaw(&self) {
        self.servers.api().signal(Signal::CONT);
    }

    /// Ends the API server as a power cut would; etcd keeps what it has.
    pub fn kill9(&mut self) {
        self.servers.kill_api();
    }

    /// Starts the API server again on the same port.
    pub async fn start_again(&mut self) {
        let folder = self.folder.path();
        self.servers.start_api(&self.certs, folder).await;
    }

    /// Makes an object that is nothing but its name, if it is missing.
    async fn ensure(&self, path: &str, name: &str) {
        let object = json!({ "metadata": { "name": name } });
        let answer = self.create(path, &object).await;
        let fits = [201, 409].contains(&answer.status);
        assert!(fits, "{path}: {}", answer.text());
    }

    fn config(&self, identity: &str) -> Value {
        let text = fs::read_to_string(self.kubeconfig(identity)).expect("it was just there");
        serde_json::from_str(&text).expect("it was written as JSON")
    }

    fn kubeconfig_path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.kubeconfig"))
    }

    fn write_kubeconfig(&self, name: &str, token: &str) {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{
                "name": "test",
                "cluster": { "server": self.url(), "certificate-authority": self.ca_path() },
            }],
            "users": [{ "name": name, "user": { "token": token } }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": name } }],
            "current-context": "test",
        });
        fs::write(self.kubeconfig_path(name), config.to_string()).expect("the folder is ours");
    }
}

fn token(identity: &str) -> String {
    format!("token-of-{identity}")
}

/// A line of `--token-auth-file`: token, name, uid, groups.
fn line((name, groups): &(String, Vec<String>)) -> String {
    format!("{},{name},{name},\"{}\"\n", token(name), groups.join(","))
}
