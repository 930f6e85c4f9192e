//! Small servers, and what the client makes of them.

use super::*;
use crate::tasks::background;
use crds::targets::Entry;
use futures_util::FutureExt;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

const SOON: Duration = Duration::from_secs(5);

/// One that answers every connection with the same bytes and tells what it was asked.
struct Server {
    address: SocketAddr,
    asked: mpsc::Receiver<String>,
}

impl Server {
    async fn on(address: &str, answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (told, asked) = mpsc::channel(16);
        background(async move {
            while let Ok((socket, _)) = listener.accept().await {
                background(serve(socket, answer.clone(), told.clone()));
            }
        });
        Self { address, asked }
    }

    async fn answering(head: &str, body: &str) -> Self {
        let length = body.len();
        let answer = format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}");
        Self::on("127.0.0.1:0", answer.into_bytes()).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it was asked; none when nobody connected.
    fn asked(&mut self) -> Option<String> {
        self.asked.try_recv().ok()
    }
}

async fn serve(mut socket: TcpStream, answer: Vec<u8>, told: mpsc::Sender<String>) {
    let mut request = Vec::new();
    // Whoever asks sends all of it at once, or a body right behind.
    while !request.ends_with(b"\r\n\r\n") && !request.ends_with(b"}") {
        if socket.read_buf(&mut request).await.unwrap_or(0) == 0 {
            break;
        }
    }
    drop(
        told.send(String::from_utf8_lossy(&request).into_owned())
            .await,
    );
    if answer.is_empty() {
        std::future::pending::<()>().await;
    }
    drop(socket.write_all(&answer).await);
}

fn going(targets: Targets) -> Outbound {
    Outbound::new(Arc::new(targets)).expect("a client")
}

fn anywhere() -> Outbound {
    going(Targets::standalone())
}

fn listed(entries: &[&str]) -> Outbound {
    let entries = entries.iter().map(|text| Entry::parse(text).unwrap());
    going(Targets::listed(entries))
}

#[tokio::test]
async fn an_answer_is_its_status_and_its_body() {
    for (head, status) in [("200 OK", 200), ("404 Not Found", 404), ("500 Oops", 500)] {
        let mut server = Server::answering(head, "{\"keys\": []}").await;
        let answer = anywhere()
            .get(&server.url("/keys?a=b"), SOON)
            .await
            .unwrap();
        assert_eq!(
            (answer.status, &*answer.body),
            (status, &b"{\"keys\": []}"[..])
        );
        let asked = server.asked().unwrap();
        assert!(asked.starts_with("GET /keys?a=b HTTP/1.1\r\n"), "{asked}");
        let agent = format!("user-agent: {USER_AGENT}\r\n");
        assert!(
            asked.contains(&agent) && !asked.contains("referer"),
            "{asked}"
        );
    }
}

#[tokio::test]
async fn json_is_posted_as_such() {
    let mut server = Server::answering("200 OK", "").await;
    let body = json!({"topic": "orders"});
    let answer = anywhere().post_json(&server.url("/"), &body, SOON).await;
    assert_eq!(answer.unwrap().status, 200);
    let asked = server.asked().unwrap();
    assert!(asked.starts_with("POST / HTTP/1.1\r\n"), "{asked}");
    assert!(
        asked.contains("content-type: application/json\r\n"),
        "{asked}"
    );
    assert!(asked.ends_with("\r\n\r\n{\"topic\":\"orders\"}"), "{asked}");
}

#[tokio::test]
async fn a_redirect_is_a_status_and_not_followed() {
    let mut elsewhere = Server::answering("200 OK", "").await;
    for status in [301, 302, 303, 307, 308] {
        let head = format!("{status} Moved\r\nlocation: {}", elsewhere.url("/"));
        let server = Server::answering(&head, "").await;
        let answer = anywhere().get(&server.url("/"), SOON).await.unwrap();
        assert_eq!(answer.status, status);
    }
    assert_eq!(elsewhere.asked(), None);
}

#[tokio::test]
async fn a_body_over_the_bound_is_refused_told_or_not() {
    let large = "x".repeat(2 * MOST_BYTES);
    let told = Server::answering("200 OK", &large).await;
    let untold = format!("HTTP/1.1 200 OK\r\n\r\n{large}").into_bytes();
    let untold = Server::on("127.0.0.1:0", untold).await;
    for server in [told, untold] {
        let answer = anywhere().get(&server.url("/"), SOON).await;
        assert_eq!(answer, Err(Failed::TooLarge));
    }
    let most = Server::answering("200 OK", &large[..MOST_BYTES]).await;
    let answer = anywhere().get(&most.url("/"), SOON).await.unwrap();
    assert_eq!(answer.body.len(), MOST_BYTES);
}

#[tokio::test]
async fn who_hangs_is_given_up() {
    let silent = Server::on("127.0.0.1:0", Vec::new()).await;
    let halfway = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab";
    let halfway = Server::on("127.0.0.1:0", halfway.into()).await;
    let soon = Duration::from_millis(200);
    let answer = anywhere().get(&silent.url("/"), soon).await;
    assert_eq!(answer, Err(Failed::Late));
    let answer = anywhere().get(&halfway.url("/"), SOON).await;
    assert_eq!(answer, Err(Failed::Broken));
    let other = Server::on("127.0.0.1:0", b"SSH-2.0-x\r\n".to_vec()).await;
    let answer = anywhere().get(&other.url("/"), SOON).await;
    assert_eq!(answer, Err(Failed::Broken));
}

#[tokio::test]
async fn a_name_is_judged_by_the_addresses_it_leads_to() {
    let mut server = Server::answering("200 OK", "").await;
    let url = format!("http://localhost:{}/", server.address.port());
    let answer = going(Targets::cluster([])).get(&url, SOON).await;
    assert_eq!(answer, Err(Failed::Refused));
    assert_eq!(
        listed(&["127.0.0.2"]).get(&url, SOON).await,
        Err(Failed::Refused)
    );
    assert_eq!(server.asked(), None);
    for outbound in [anywhere(), listed(&["127.0.0.1"]), listed(&["localhost"])] {
        let answer = outbound.get(&url, SOON).await;
        assert_eq!(answer.map(|answer| answer.status), Ok(200));
        let asked = server.asked().unwrap();
        assert!(asked.contains("host: localhost:"), "{asked}");
    }
    // A label of more than 63 bytes: no DNS is asked.
    let url = format!("http://{}.shop/", "a".repeat(64));
    let answer = anywhere().get(&url, SOON).await;
    assert_eq!(answer, Err(Failed::Resolve));
}

#[tokio::test]
async fn an_address_that_changes_between_check_and_use_gains_nothing() {
    let answer = || b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec();
    let mut ours = Server::on("127.0.0.2:0", answer()).await;
    let port = ours.address.port();
    let mut attacker = Server::on(&format!("127.0.0.1:{port}"), answer()).await;
    // The name leads to our server and to the attacker's, by turns.
    let lookups = Arc::new(AtomicUsize::new(0));
    let counted = lookups.clone();
    let lookup: resolve::Lookup = Arc::new(move |name| {
        assert_eq!(name, "keys.example.com");
        let number = counted.fetch_add(1, Ordering::Relaxed);
        let address = if number.is_multiple_of(2) {
            "127.0.0.2:0"
        } else {
            "127.0.0.1:0"
        };
        std::future::ready(Ok(vec![address.parse().unwrap()])).boxed()
    });
    let targets = Targets::listed([Entry::parse("127.0.0.2/32").unwrap()]);
    let outbound = Outbound::with_lookup(Arc::new(targets), &lookup).unwrap();
    let url = format!("http://keys.example.com:{port}/");
    for connect in 0..6 {
        let answer = outbound.get(&url, SOON).await;
        assert_eq!(
            lookups.load(Ordering::Relaxed),
            connect + 1,
            "one lookup for a connect"
        );
        if connect.is_multiple_of(2) {
            assert_eq!(answer.map(|answer| answer.status), Ok(200));
            assert!(ours.asked().is_some());
        } else {
            assert_eq!(answer, Err(Failed::Refused));
        }
    }
    assert_eq!(attacker.asked(), None);
}

#[tokio::test]
async fn an_address_in_the_url_is_judged_before_anything_is_sent() {
    let mut first = Server::answering("200 OK", "").await;
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec();
    let second = Server::on("127.0.0.2:0", answer).await;
    let outbound = listed(&["127.0.0.2/32"]);
    let allowed = outbound.get(&second.url("/"), SOON).await;
    assert_eq!(allowed.map(|answer| answer.status), Ok(200));
    assert_eq!(
        outbound.get(&first.url("/"), SOON).await,
        Err(Failed::Refused)
    );
    let port = first.address.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "169.254.169.254",
        "[fe80::1]",
        "LOCALHOST",
    ] {
        let url = format!("http://{host}:{port}/");
        let answer = going(Targets::cluster([])).get(&url, SOON).await;
        assert_eq!(answer, Err(Failed::Refused), "{url}");
    }
    assert_eq!(first.asked(), None);
}

#[tokio::test]
async fn a_failure_names_the_step_and_nothing_of_the_url() {
    drop(aws_lc_rs::default_provider().install_default());
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let plain = Server::answering("200 OK", "").await;
    let said = async |url: String| {
        let failed = anywhere().get(&url, SOON).await.unwrap_err();
        let text = failed.to_string();
        assert!(!text.contains("hunter2"), "{text}");
        (failed, text)
    };
    let (_, refused) = said(format!("http://127.0.0.1:{port}/?token=hunter2")).await;
    assert!(
        refused.starts_with("no connection was made: Connection refused"),
        "{refused}"
    );
    let (failed, _) = said(format!("https://{}/?token=hunter2", plain.address)).await;
    assert!(matches!(failed, Failed::Connect(_)), "{failed:?}");
    for url in [
        "https://ana:hunter2@auth.shop/",
        "https://hunter2@auth.shop/",
        "redis://auth.shop/?token=hunter2",
        "hunter2",
        "",
    ] {
        assert_eq!(said(url.to_owned()).await.0, Failed::Url, "{url}");
    }
}

/// A TLS server whose certificate names 127.0.0.1, signed by nobody else.
async fn self_signed() -> SocketAddr {
    let folder = std::env::temp_dir().join(format!("siar-outbound-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let made = std::process::Command::new("openssl")
        .args(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=self"
                .split(' '),
        )
        .args("-addext subjectAltName=IP:127.0.0.1 -keyout tls.key -out tls.crt".split(' '))
        .current_dir(&folder)
        .stderr(std::process::Stdio::null())
        .status();
    assert!(made.expect("apt-get install openssl").success());
    let chain = CertificateDer::from_pem_file(folder.join("tls.crt")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("tls.key")).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![chain], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    background(async move {
        while let Ok((socket, _)) = listener.accept().await {
            drop(acceptor.accept(socket).await);
        }
    });
    address
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    drop(aws_lc_rs::default_provider().install_default());
    let url = format!("https://{}/?token=hunter2", self_signed().await);
    let Err(Failed::Connect(cause)) = anywhere().get(&url, SOON).await else {
        panic!("it was connected to");
    };
    assert!(
        cause.contains("certificate") && !cause.contains("hunter2"),
        "{cause}"
    );
}
