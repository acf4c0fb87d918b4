//! Certificates for tests, made by openssl as an operator would make them.

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// An authority, and what it has issued.
pub struct Pki {
    folder: TempDir,
}

/// A certificate and its key.
#[derive(Clone, Debug)]
pub struct Pair {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// Runs openssl in a folder.
pub fn openssl(folder: &Path, arguments: &[&str]) {
    let made = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("openssl is installed: make setup");
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "openssl {arguments:?}: {said}");
}

impl Pki {
    /// A new authority, which nobody else trusts.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        openssl(
            folder.path(),
            &[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-keyout",
                "ca.key",
                "-out",
                "ca.pem",
                "-days",
                "30",
                "-subj",
                "/CN=authority",
                "-addext",
                "keyUsage=critical,keyCertSign,cRLSign",
            ],
        );
        Self { folder }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The authority's own certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for these names (`DNS:a.test`, `IP:127.0.0.1`), in files called `file`.
    pub fn issue(&self, file: &str, names: &str) -> Pair {
        self.issue_for(file, names, 30)
    }

    /// The same, for so many days.
    pub fn issue_for(&self, file: &str, names: &str, days: i32) -> Pair {
        let name = |end: &str| format!("{file}.{end}");
        let (key, csr, cert) = (name("key"), name("csr"), name("pem"));
        let extensions = name("ext");
        let text = format!("subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n");
        std::fs::write(self.folder.path().join(&extensions), text).expect("it can be written");
        openssl(
            self.folder.path(),
            &[
                "req",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-keyout",
                &key,
                "-out",
                &csr,
                "-subj",
                &format!("/CN={file}"),
            ],
        );
        openssl(
            self.folder.path(),
            &[
                "x509",
                "-req",
                "-in",
                &csr,
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
                "-CAcreateserial",
                "-out",
                &cert,
                "-days",
                &days.to_string(),
                "-extfile",
                &extensions,
            ],
        );
        Pair {
            cert: self.folder.path().join(cert),
            key: self.folder.path().join(key),
        }
    }
}
