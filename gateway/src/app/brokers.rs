//! The keepers of messages: memory, the gateway's own Redis, those of Channels.
//!
//! Owns: how each is made, and reading the files of `--redis-secret-dir` anew for each connection, so that a
//! password can be changed without a restart. Never: logs what is in them. Used by: `app`.

use crate::args::{RedisSettings, Settings};
use crate::broker::Broker;
use crate::broker::memory::Memory;
use crate::broker::redis::{Complaint, Redis, Settings as Keeper, Source};
use crate::clock;
use crate::metrics::Metrics;
use crate::tasks::Essential;
use crate::topics::Brokers;
use crds::policy::{Login, RedisServer};
use crds::secret::Secret;
use crds::targets::Targets;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fs::File;
use std::future::Future;
use std::io::{ErrorKind, Read};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The most bytes of one file; a chain of ten large certificates has about 20 KiB.
const MOST_BYTES: u64 = 256 * 1024;

/// So long the gateway is not ready while its own Redis has not answered; afterwards it is, since no
/// ready pod at all would turn every visitor away for good.
const FIRST_ANSWER: Duration = Duration::from_secs(30);
/// How often it is asked whether Redis has answered.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// How keepers are made, and what to wait for before the gateway is ready: with a Redis of its own, that
/// this one has answered and raw messages are numbered. `random` gives seeds.
pub fn make(
    settings: &Settings,
    targets: &Targets,
    metrics: &Arc<Metrics>,
    essential: &Essential,
    random: fn() -> u64,
) -> (Brokers, Option<impl Future<Output = ()> + Send + use<>>) {
    let (gateway, key_prefix) = (settings.gateway.clone(), settings.redis_key_prefix.clone());
    let id = format!("{:016x}", random());
    let (metrics, essential) = (metrics.clone(), essential.clone());
    let connect = Arc::new(move |source: Source, sink| {
        let settings = Keeper {
            source,
            key_prefix: key_prefix.clone(),
            gateway: gateway.clone(),
            id: id.clone(),
            seed: random(),
        };
        Redis::new(settings, metrics.clone(), sink, &essential)
    });
    let own_redis = Arc::new(OnceLock::new());
    let own: Box<dyn FnOnce(_) -> Arc<dyn Broker> + Send> = match settings.redis.clone() {
        None => Box::new(move |sink| Arc::new(Memory::new(sink, random(), Box::new(clock::now)))),
        Some(own) => {
            let (connect, made) = (connect.clone(), own_redis.clone());
            let own = Own::new(own);
            Box::new(move |sink| {
                let redis = connect(Source::own(move || own.server()), sink);
                made.get_or_init(|| redis.clone());
                redis
            })
        }
    };
    let targets = Arc::new(targets.clone());
    let named = Box::new(move |server, sink| {
        let source = Source::named(server, targets.clone());
        let redis = connect(source, sink);
        redis as Arc<dyn Broker>
    });
    let answer = settings.redis.as_ref().map(|_| first_answer(own_redis));
    (Brokers { own, named }, answer)
}

async fn first_answer(redis: Arc<OnceLock<Arc<Redis>>>) {
    let answer = async {
        while !redis.get().is_some_and(|redis| redis.up()) {
            sleep(ASK_EVERY).await;
        }
    };
    if timeout(FIRST_ANSWER, answer).await.is_err() {
        tracing::error!("redis has not answered for 30 s; serving without it");
    } else if let Some(redis) = redis.get() {
        redis.numbering().await;
    }
}

/// Where the gateway's own server is, and the folder with what lets it in.
struct Own {
    settings: RedisSettings,
    /// By file, of which there are seven: the folder is read before each connect, a fault told once a minute.
    complaints: Mutex<HashMap<&'static str, Complaint>>,
}

impl Own {
    fn new(settings: RedisSettings) -> Self {
        Self {
            settings,
            complaints: Mutex::default(),
        }
    }

    /// The server with what its folder holds at this moment. A file that is not there was not needed; one
    /// that cannot be read is told in the log and left out.
    fn server(&self) -> RedisServer {
        let file = |name| self.file(name);
        let line = |name| self.line(name);
        let sentinel = line("sentinel-password").map(|password| Login {
            username: line("sentinel-username").filter(|name| !name.is_empty()),
            password: Secret::new(password),
        });
        RedisServer {
            username: line("username").filter(|name| !name.is_empty()),
            password: line("password").map(Secret::new),
            ca: file("ca.crt"),
            client: file("tls.crt").zip(file("tls.key").map(Secret::new)),
            sentinel,
            ..RedisServer::open(self.settings.url.clone())
        }
    }

    fn line(&self, name: &'static str) -> Option<String> {
        match String::from_utf8(self.file(name)?) {
            // Editors and `echo` end a file with a line ending that is no part of the password.
            Ok(text) => Some(text.trim_end_matches(['\r', '\n']).to_owned()),
            Err(_not_text) => {
                self.complain(name, "it is not UTF-8 text");
                None
            }
        }
    }

    fn file(&self, name: &'static str) -> Option<Vec<u8>> {
        let path = self.settings.secret_dir.as_ref()?.join(name);
        let mut bytes = Vec::new();
        let read = File::open(path);
        match read.and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes)) {
            Ok(_) if bytes.len() as u64 <= MOST_BYTES => return Some(bytes),
            Ok(_) => self.complain(name, "it is larger than 256 KiB"),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => self.complain(name, &error.to_string()),
        }
        None
    }

    fn complain(&self, file: &'static str, error: &str) {
        let mut complaints = self.complaints.lock();
        let complaint = complaints.entry(file).or_default();
        if let Some(times) = complaint.due(clock::now().steady) {
            let dir = &self.settings.secret_dir;
            tracing::warn!(?dir, file, times, error, "file of the redis secret");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn credentials_are_read_anew_and_without_line_ending() {
        let dir = std::env::temp_dir().join(format!("siar-redis-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let settings = RedisSettings {
            url: "redis://localhost".parse().unwrap(),
            secret_dir: Some(dir.clone()),
        };
        let own = Own::new(settings);
        assert_eq!(own.server().password, None);
        fs::write(dir.join("password"), "hunter2\n").unwrap();
        fs::write(dir.join("tls.crt"), "without a key").unwrap();
        fs::write(dir.join("sentinel-password"), "hunter3\r\n").unwrap();
        fs::write(dir.join("sentinel-username"), "\n").unwrap();
        let read = own.server();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(read.password, Some(Secret::new("hunter2".to_owned())));
        assert_eq!((read.username, read.ca, read.client), (None, None, None));
        let (username, password) = (None, Secret::new("hunter3".to_owned()));
        assert_eq!(read.sentinel, Some(Login { username, password }));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_left_out_and_told_once_a_minute() {
        let dir = std::env::temp_dir().join(format!("siar-redis-bad-{}", std::process::id()));
        fs::create_dir_all(dir.join("ca.crt")).unwrap();
        fs::write(dir.join("password"), [0xff]).unwrap();
        let own = Own::new(RedisSettings {
            url: "redis://localhost".parse().unwrap(),
            secret_dir: Some(dir.clone()),
        });
        let read = own.server();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!((read.password, read.ca), (None, None));
        own.server();
        let mut complaints = own.complaints.lock();
        for file in ["ca.crt", "password"] {
            let complaint = complaints.get_mut(file).expect("told");
            let due = complaint.due(clock::now().steady);
            assert_eq!(due, None, "{file} waits for its minute");
        }
    }
}
