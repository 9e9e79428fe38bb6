//! Key pairs and documents of issuers, as files.

use std::path::{Path, PathBuf};

use clap::Args;
use lanyard_api::{
    ClusterId, Mutated,
    credentials::{HostedIssuer, PublishedDocuments},
};
use lanyard_kit::{SecretBytes, tls};
use lanyard_oidc::IssuerKeyPair;
use serde::Serialize;

use crate::{
    failure::Failure,
    kubefiles,
    output::{Tabular, one_a_line},
    show::standing,
};

/// Characters of a key's id in the names of its files.
const NAME_CHARS: usize = 12;
/// The documents, below the issuer's URL.
const CONFIGURATION: &str = ".well-known/openid-configuration";
const KEYS: &str = "keys";

/// Where the halves of a new key pair go.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// The folder to write both halves to, mode 0700, the private one 0600; made if it is not there.
    #[arg(long, value_name = "DIR", conflicts_with = "stdout")]
    out: Option<PathBuf>,
    /// Where the files will lie on the API server's machine; by default where they are written.
    #[arg(long, value_name = "DIR", requires = "out")]
    path: Option<PathBuf>,
    /// Show the private half in the answer in place of writing it; it is shown this once.
    #[arg(long)]
    stdout: bool,
}

/// Which key of an issuer was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    First,
    Next,
}

/// A key pair, with its halves in files where that was asked for.
pub(super) struct Kept {
    pair: IssuerKeyPair,
    written: Option<Files>,
    private_key: Option<String>,
}

struct Files {
    private: PathBuf,
    public: PathBuf,
    place: PathBuf,
}

impl KeyArgs {
    /// Makes a key pair, and keeps it before anybody else knows of it.
    ///
    /// # Errors
    /// [`Failure::Usage`] where the folder is refused or a file cannot be written.
    pub(super) fn make(self) -> Result<Kept, Failure> {
        let Some(out) = self.out else {
            if !self.stdout {
                return Err(Failure::usage(
                    "where is the private key to go? Add --out DIR, or --stdout to see it this once",
                ));
            }
            let pair = IssuerKeyPair::generate().map_err(Failure::usage)?;
            let private_key = Some(pair.private_pem().map_err(Failure::usage)?.to_string());
            return Ok(Kept { pair, written: None, private_key });
        };
        tls::secure_dir(&out).map_err(Failure::usage)?;
        let out = std::path::absolute(&out).map_err(Failure::usage)?;
        let pair = IssuerKeyPair::generate().map_err(Failure::usage)?;
        let name: String = pair.kid().chars().take(NAME_CHARS).collect();
        let (private, public) = (out.join(format!("sa-{name}.key")), out.join(format!("sa-{name}.pub")));
        let pem = pair.private_pem().map_err(Failure::usage)?;
        let secret = SecretBytes::from(pem.as_bytes().to_vec());
        tls::write_secret_file(&private, &secret).map_err(Failure::usage)?;
        let text = pair.public_pem().map_err(Failure::usage)?;
        tls::write_public_file(&public, text.as_bytes()).map_err(Failure::usage)?;
        let place = self.path.unwrap_or(out);
        Ok(Kept { pair, written: Some(Files { private, public, place }), private_key: None })
    }
}

impl Kept {
    /// The public half, to be published.
    pub(super) fn jwk(&self) -> String {
        self.pair.jwk()
    }

    /// What was made, once it is published.
    pub(super) fn published(
        self,
        cluster: &ClusterId,
        published: &Mutated<HostedIssuer>,
        which: Made,
    ) -> MadeKey {
        let (private, public) = match &self.written {
            Some(files) => {
                let at = |file: &Path| match file.file_name() {
                    Some(name) => files.place.join(name).display().to_string(),
                    None => file.display().to_string(),
                };
                (at(&files.private), at(&files.public))
            }
            None => ("PRIVATE.key".to_owned(), "PUBLIC.pub".to_owned()),
        };
        let url = &published.value.issuer_url;
        let flags = match which {
            Made::First => kubefiles::issuer_flags(url, &private, &public),
            Made::Next => kubefiles::rotation_flags(&private, &public),
        };
        let written = self.written.iter().flat_map(|files| [&files.private, &files.public]);
        MadeKey {
            cluster: cluster.to_string(),
            issuer_url: url.clone(),
            key: self.pair.kid().to_owned(),
            files: written.map(|file| file.display().to_string()).collect(),
            public_key: self.pair.public_pem().unwrap_or_default(),
            private_key: self.private_key,
            flags,
            standing: standing(published),
            which,
        }
    }

    /// Removes the files of a key that the hub did not take.
    pub(super) fn take_back(self) {
        for file in self.written.iter().flat_map(|files| [&files.private, &files.public]) {
            // In vain where somebody was faster: the key is nobody's.
            let _ = std::fs::remove_file(file);
        }
    }
}

/// A key pair that is published, and what the API server is started with.
#[derive(Debug, Serialize)]
pub(super) struct MadeKey {
    cluster: String,
    issuer_url: String,
    key: String,
    files: Vec<String>,
    public_key: String,
    /// For the one time that it is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key: Option<String>,
    flags: Vec<String>,
    #[serde(skip)]
    standing: Vec<String>,
    #[serde(skip)]
    which: Made,
}

impl Tabular for MadeKey {
    fn columns(&self) -> Vec<&'static str> {
        vec!["ISSUER", "KEY", "WRITTEN"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        vec![vec![self.issuer_url.clone(), self.key.clone(), one_a_line(&self.files)]]
    }

    fn last_has_lines(&self) -> bool {
        true
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = self.standing.clone();
        if let Some(private_key) = &self.private_key {
            notes.extend(["", "private key, shown this once:"].map(str::to_owned));
            notes.extend(private_key.lines().map(str::to_owned));
            notes.push("public key:".to_owned());
            notes.extend(self.public_key.lines().map(str::to_owned));
        }
        let cluster = &self.cluster;
        notes.extend([String::new(), "kube-apiserver:".to_owned()]);
        notes.extend(self.flags.iter().map(|flag| format!("  {flag}")));
        notes.push(String::new());
        notes.push(match self.which {
            Made::First => format!(
                "the first --service-account-issuer signs. To keep tokens of the issuer before it good, name that one in a second \
                 --service-account-issuer. Then: lanyard cluster issuer show {cluster}"
            ),
            Made::Next => format!(
                "first the --service-account-key-file on every API server, beside those that are there; five minutes later the \
                 --service-account-signing-key-file; a day later `lanyard cluster issuer retire {cluster} KEY` for the old one"
            ),
        });
        notes
    }
}

/// Writes an issuer's documents.
///
/// # Errors
/// [`Failure::Usage`] with the system's own words.
pub(super) fn export(out: &Path, documents: &PublishedDocuments) -> Result<Vec<String>, Failure> {
    let PublishedDocuments { configuration, jwks } = documents;
    let mut files = Vec::new();
    for (name, text) in [(CONFIGURATION, configuration), (KEYS, jwks)] {
        let path = out.join(name);
        let folder = path.parent().unwrap_or(out);
        let fault = |error: std::io::Error| Failure::usage(format!("`{}`: {error}", path.display()));
        std::fs::create_dir_all(folder).map_err(fault)?;
        std::fs::write(&path, text).map_err(fault)?;
        files.push(path.display().to_string());
    }
    Ok(files)
}
