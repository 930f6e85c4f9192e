//! A server that speaks TLS and wants a certificate and a password.

use crate::broker::redis::server::{Source, connect};
use crate::broker::redis::{Redis, Settings};
use crate::metrics::Metrics;
use crate::tasks::Essential;
use crds::policy::RedisServer;
use crds::secret::Secret;
use prometheus::Registry;
use redis::AsyncConnectionConfig;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tokio::time::{Duration, sleep, timeout};

struct Server {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn openssl(folder: &Path, words: &str) {
    let done = Command::new("openssl")
        .args(words.split_whitespace())
        .current_dir(folder)
        .stderr(Stdio::null())
        .status()
        .expect("openssl must be installed: apt-get install openssl");
    assert!(done.success(), "openssl {words}");
}

impl Server {
    fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("siar-redis-tls-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        openssl(
            &folder,
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=ca \
             -keyout ca.key -out ca.crt",
        );
        openssl(
            &folder,
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost \
             -keyout tls.key -out tls.csr",
        );
        fs::write(
            folder.join("ext"),
            "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n",
        )
        .unwrap();
        openssl(
            &folder,
            "x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext \
             -out tls.crt",
        );
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = Command::new("redis-server")
            .args(["--port", "0", "--tls-port", &port.to_string()])
            .args([
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--requirepass",
                "let-me-in",
            ])
            .args(["--tls-cert-file", "tls.crt", "--tls-key-file", "tls.key"])
            .args(["--tls-ca-cert-file", "ca.crt"])
            .current_dir(&folder)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server must be installed: apt-get install redis-server");
        Self {
            child,
            folder,
            port,
        }
    }

    fn credentials(&self) -> RedisServer {
        let read = |name| fs::read(self.folder.join(name)).unwrap();
        let url = format!("rediss://127.0.0.1:{}/0", self.port);
        RedisServer {
            password: Some(Secret::new("let-me-in".into())),
            ca: Some(read("ca.crt")),
            client: Some((read("tls.crt"), Secret::new(read("tls.key")))),
            ..RedisServer::open(url.parse().unwrap())
        }
    }
}

async fn refused(server: RedisServer) {
    let source = Source::own(move || server.clone());
    let refused = async {
        let hosts = source.hosts();
        let mut connection = connect(&source, &hosts[0], AsyncConnectionConfig::new()).await?;
        redis::cmd("PING").exec_async(&mut connection).await
    };
    let error = refused.await.expect_err("not let in").to_string();
    assert!(
        !error.contains("let-me-in") && !error.contains("not-this"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_with_tls_lets_in_who_has_all_it_asks_for() {
    // Another test may have installed it.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let server = Server::start();
    let credentials = server.credentials();
    let source = credentials.clone();
    let settings = Settings {
        source: Source::own(move || source.clone()),
        key_prefix: "siar".into(),
        gateway: "default".into(),
        id: "g1".into(),
        seed: 7,
    };
    let (essential, _ended) = Essential::new();
    let metrics = Metrics::new(&Registry::new(), "test").unwrap();
    let redis = Redis::new(settings, metrics, Arc::new(|_| {}), &essential);
    timeout(Duration::from_secs(20), async {
        while !redis.up() {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("let in");
    let mut stranger = credentials.clone();
    stranger.client = None;
    refused(stranger).await;
    let mut mistaken = credentials.clone();
    mistaken.password = Some(Secret::new("not-this".into()));
    refused(mistaken).await;
    let mut trusting_none = credentials;
    trusting_none.ca = None;
    refused(trusting_none).await;
}
