//! A kubeconfig reduced to what a hub may keep of it: where the API server is, whom to trust there, and one credential, all
//! of it written out in the file.
//!
//! A kubeconfig is a program as much as a setting: it can run a command, read a file, go through a proxy, trust anybody. Who
//! hands one to a hub would do all of that on the hub's machine. So nothing here opens, runs or dials anything, and what
//! would make a client do so is refused by its name.

mod read;

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use url::Url;

/// Longest kubeconfig that is read, in bytes: one of a hundred contexts with certificates is about as long.
pub const KUBECONFIG_BYTES_MAX: usize = 512 * 1024;

/// Longest CA, certificate chain or key, in bytes of PEM.
pub const PEM_BYTES_MAX: usize = 64 * 1024;

/// Longest bearer token, in bytes: those of service accounts have a few thousand, and API servers take no longer header.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// The way to an API server, with the credential for it. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Kubeconfig {
    /// `https://host[:port][/path]`.
    pub server: Url,
    /// Whom to trust there, PEM; none means the machine's own authorities.
    pub certificate_authority: Option<String>,
    /// What the API server is shown.
    pub credential: KubeCredential,
}

/// What an API server is shown.
#[derive(Clone)]
pub enum KubeCredential {
    /// A bearer token.
    Token(SecretString),
    /// A client certificate.
    ClientCertificate {
        /// Leaf first, PEM.
        chain_pem: String,
        /// The leaf's key, PEM.
        key_pem: SecretString,
    },
}

impl KubeCredential {
    /// For people and wires: `token` or `client-certificate`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::ClientCertificate { .. } => "client-certificate",
        }
    }
}

impl fmt::Debug for KubeCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token(..)",
            Self::ClientCertificate { .. } => "ClientCertificate(..)",
        })
    }
}

impl PartialEq for Kubeconfig {
    fn eq(&self, other: &Self) -> bool {
        self.server == other.server
            && self.certificate_authority == other.certificate_authority
            && self.credential == other.credential
    }
}

impl PartialEq for KubeCredential {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Token(a), Self::Token(b)) => a.expose_secret() == b.expose_secret(),
            (
                Self::ClientCertificate { chain_pem: a, key_pem: a_key },
                Self::ClientCertificate { chain_pem: b, key_pem: b_key },
            ) => a == b && a_key.expose_secret() == b_key.expose_secret(),
            (Self::Token(_) | Self::ClientCertificate { .. }, _) => false,
        }
    }
}

/// Why a kubeconfig is not taken. No message repeats a value of the file but the names of contexts and the server's URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubeconfigError {
    /// Too long to be read.
    #[error(
        "the kubeconfig has more than {KUBECONFIG_BYTES_MAX} bytes: give the one context alone (`kubectl config view --minify --flatten --raw`)"
    )]
    TooLong,
    /// Not YAML, or no kubeconfig.
    #[error("this is no kubeconfig: {0}")]
    Malformed(String),
    /// Something has to be there.
    #[error("`{place}` is missing: {next}")]
    Missing {
        /// Where in the file.
        place: String,
        /// What to do.
        next: &'static str,
    },
    /// Something that a hub never does for somebody else.
    #[error("`{place}` is refused: {why}")]
    Refused {
        /// The member's place in the file.
        place: String,
        /// The rule, and the next step.
        why: &'static str,
    },
    /// A value that breaks a rule of its own.
    #[error("`{place}`: {rule}")]
    Invalid {
        /// The member's place in the file.
        place: String,
        /// The rule, and the next step.
        rule: &'static str,
    },
}

impl KubeconfigError {
    /// The stable code of its kind.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "kubeconfig_too_long",
            Self::Malformed(_) => "kubeconfig_malformed",
            Self::Missing { .. } => "kubeconfig_missing",
            Self::Refused { .. } => "kubeconfig_refused",
            Self::Invalid { .. } => "kubeconfig_invalid",
        }
    }
}

impl Kubeconfig {
    /// Reduces a kubeconfig to one of its contexts: the one named, else its current one.
    ///
    /// Judged is what that context uses. What other contexts would do, nobody does.
    ///
    /// # Errors
    /// [`KubeconfigError`] names the member that is refused, the rule, and what to do about it.
    pub fn reduce(text: &str, context: Option<&str>) -> Result<Self, KubeconfigError> {
        if text.len() > KUBECONFIG_BYTES_MAX {
            return Err(KubeconfigError::TooLong);
        }
        read::reduce(text, context)
    }

    /// The same as a kubeconfig of its own. Secret.
    #[must_use]
    pub fn to_document(&self) -> SecretString {
        let mut cluster = json!({ "server": self.server.as_str() });
        if let (Some(ca), Some(cluster)) = (&self.certificate_authority, cluster.as_object_mut()) {
            cluster.insert("certificate-authority-data".to_owned(), json!(STANDARD.encode(ca)));
        }
        let user = match &self.credential {
            KubeCredential::Token(token) => json!({ "token": token.expose_secret() }),
            KubeCredential::ClientCertificate { chain_pem, key_pem } => json!({
                "client-certificate-data": STANDARD.encode(chain_pem),
                "client-key-data": STANDARD.encode(key_pem.expose_secret()),
            }),
        };
        let document = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "spoke", "cluster": cluster }],
            "users": [{ "name": "lanyard", "user": user }],
            "contexts": [{ "name": "spoke", "context": { "cluster": "spoke", "user": "lanyard" } }],
            "current-context": "spoke",
        });
        document.to_string().into()
    }
}

#[cfg(test)]
mod tests;
