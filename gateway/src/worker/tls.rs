//! The certificate of the TLS port, reloaded when its files change.
//!
//! Owns: reading `tls.crt` and `tls.key`, and what is offered to clients (ALPN h2 and http/1.1). A pair
//! that cannot be used leaves the one before it in force. Never: does a handshake. Used by: `app`, which
//! loads; the workers' accept loops, which take the newest for each connection.

use super::accept::TlsMaterial;
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often the two files are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The most bytes of each file; a chain of ten large certificates has about 20 KiB.
const MOST_BYTES: u64 = 1024 * 1024;

/// Why the two files are no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("{path}: cannot be read; check --tls-dir: {cause}")]
    Read { path: PathBuf, cause: io::Error },
    #[error("{path}: is larger than 1 MiB; put only the chain or the key into it")]
    TooLarge { path: PathBuf },
    #[error("tls.crt holds no usable PEM certificate; put the whole chain into it: {0}")]
    Chain(pem::Error),
    #[error("tls.key holds no usable PEM private key; put one into it: {0}")]
    Key(pem::Error),
    #[error("tls.crt and tls.key cannot be used together: {0}")]
    Pair(rustls::Error),
}

/// Looks at the files of one folder.
pub struct Watcher {
    dir: PathBuf,
    seen: Files,
    material: TlsMaterial,
}

#[derive(PartialEq, Eq)]
struct Files {
    chain: Vec<u8>,
    key: Vec<u8>,
}

/// Loads the certificate in `dir`; the watcher then keeps it new.
pub fn load(dir: &Path) -> Result<(TlsMaterial, Watcher), CertificateError> {
    let seen = read(dir)?;
    let material = Arc::new(ArcSwap::from_pointee(config(&seen)?));
    let watcher = Watcher {
        dir: dir.to_owned(),
        seen,
        material: material.clone(),
    };
    Ok((material, watcher))
}

impl Watcher {
    /// Takes over every change, for ever.
    pub async fn run(mut self) {
        let mut told = None;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            match self.look() {
                Ok(false) => told = None,
                Ok(true) => {
                    told = None;
                    tracing::info!(dir = %self.dir.display(), "tls certificate reloaded");
                }
                Err(error) => {
                    let text = error.to_string();
                    if told.as_ref() != Some(&text) {
                        tracing::warn!(error = text, "tls certificate not reloaded");
                        told = Some(text);
                    }
                }
            }
        }
    }

    /// Whether a new pair came into force.
    fn look(&mut self) -> Result<bool, CertificateError> {
        let files = read(&self.dir)?;
        if files == self.seen {
            return Ok(false);
        }
        // Written one after the other, the two do not fit for a moment: the next look tries again.
        self.material.store(Arc::new(config(&files)?));
        self.seen = files;
        Ok(true)
    }
}

fn read(dir: &Path) -> Result<Files, CertificateError> {
    Ok(Files {
        chain: read_bounded(dir.join("tls.crt"))?,
        key: read_bounded(dir.join("tls.key"))?,
    })
}

fn read_bounded(path: PathBuf) -> Result<Vec<u8>, CertificateError> {
    let bytes = std::fs::metadata(&path)
        .map(|file| file.len())
        .and_then(|len| {
            if len > MOST_BYTES {
                Ok(None)
            } else {
                std::fs::read(&path).map(Some)
            }
        });
    match bytes {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(CertificateError::TooLarge { path }),
        Err(cause) => Err(CertificateError::Read { path, cause }),
    }
}

fn config(files: &Files) -> Result<ServerConfig, CertificateError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&files.chain)
        .collect::<Result<_, _>>()
        .map_err(CertificateError::Chain)?;
    if chain.is_empty() {
        return Err(CertificateError::Chain(pem::Error::NoItemsFound));
    }
    let key = PrivateKeyDer::from_pem_slice(&files.key).map_err(CertificateError::Key)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(CertificateError::Pair)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(CertificateError::Pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[track_caller]
    fn check(chain: Option<&str>, key: Option<&str>, said: &str) {
        let size = chain.map_or(0, str::len) + 31 * key.map_or(0, str::len);
        let name = format!("siar-tls-{}-{size}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir).unwrap();
        for (name, text) in [("tls.crt", chain), ("tls.key", key)] {
            if let Some(text) = text {
                fs::write(dir.join(name), text).unwrap();
            }
        }
        let Err(error) = load(&dir) else {
            panic!("it was loaded");
        };
        fs::remove_dir_all(&dir).unwrap();
        assert!(error.to_string().contains(said), "{error} lacks {said}");
    }

    #[test]
    fn what_is_no_certificate_is_named_with_its_file() {
        let block = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        check(None, Some(""), "tls.crt");
        check(Some(block), None, "tls.key");
        check(Some("no pem"), Some(""), "tls.crt holds no usable PEM");
        check(Some(block), Some("no pem"), "tls.key holds no usable PEM");
        check(
            Some(&"x".repeat(1024 * 1024 + 1)),
            Some(""),
            "larger than 1 MiB",
        );
    }
}
