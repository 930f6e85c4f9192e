//! Certificates of a test: an authority of its own, and one for `localhost` and 127.0.0.1.
//!
//! Owns: PEM files in a folder, made by `openssl`. Never: outlives its test. Used by: TLS tests of gateway and Redis,
//! `cluster`.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// A folder with `ca.crt`, `tls.crt` and `tls.key`.
pub struct Certs {
    folder: tempfile::TempDir,
}

impl Certs {
    /// A new authority and a certificate of it.
    #[must_use]
    pub fn new() -> Self {
        let certs = Self {
            folder: crate::process::folder(),
        };
        certs.renew_authority();
        certs
    }

    /// Replaces the authority by another one of the same name, and the certificate by one of that.
    pub fn renew_authority(&self) {
        self.openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=siar-test-ca -keyout ca.key -out ca.crt");
        self.renew();
    }

    /// Replaces the certificate by another of the same authority.
    pub fn renew(&self) {
        self.openssl("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout new.key -out new.csr");
        std::fs::write(
            self.path("names"),
            "subjectAltName=DNS:localhost,IP:127.0.0.1\n",
        )
        .expect("the folder is ours");
        self.openssl("x509 -req -in new.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out new.crt");
        for (from, to) in [("new.key", "tls.key"), ("new.crt", "tls.crt")] {
            std::fs::rename(self.path(from), self.path(to)).expect("the folder is ours");
        }
    }

    /// Where `name` is.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder, as `--tls-dir` takes it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The content of a file.
    #[must_use]
    pub fn pem(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A client that trusts this authority only.
    #[must_use]
    pub fn client(&self) -> Arc<ClientConfig> {
        trusting(&self.path("ca.crt"))
    }

    /// Runs `openssl` in the folder.
    pub fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(self.folder.path())
            .output()
            .unwrap_or_else(|error| panic!("cannot run openssl: {error}; tests/run installs it"));
        assert!(
            output.status.success(),
            "openssl {arguments}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// A client that trusts only the authority in a PEM file.
#[must_use]
pub fn trusting(ca: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(ca).expect("a PEM file");
    roots.add(ca).expect("a certificate of an authority");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3");
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

impl Default for Certs {
    fn default() -> Self {
        Self::new()
    }
}
