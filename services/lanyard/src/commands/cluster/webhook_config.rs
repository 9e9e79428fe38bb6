//! `lanyard cluster webhook-config ID --out DIR`: the files that a kube-apiserver needs to ask this hub.

use std::path::{Path, PathBuf};

use clap::Args;
use lanyard_api::{
    ClusterId,
    grpc::admitted_at_the_door,
    mapping::{Cluster, Clusters},
};
use lanyard_kit::{SecretBytes, tls};
use secrecy::SecretString;
use serde::Serialize;

use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::{ChangeArgs, Hub},
    kubefiles,
    output::Tabular,
};

pub(super) const HELP: &str = "\
Examples:
  lanyard cluster webhook-config dev --out /etc/kubernetes/lanyard
  lanyard cluster webhook-config dev --out ./lanyard --path /etc/kubernetes/lanyard   # copied there afterwards

Each run makes a new credential for the API server. The folder gets mode 0700, its files 0600.";

const TOKEN_REVIEW: &str = "tokenreview.kubeconfig";
const ACCESS_REVIEW: &str = "subjectaccessreview.kubeconfig";
const AUTHORIZATION: &str = "authorization-config.yaml";
const FLAGS: &str = "flags.txt";

/// The flags of `lanyard cluster webhook-config`.
#[derive(Debug, Args)]
pub struct WebhookConfigArgs {
    /// The cluster's id.
    cluster: ClusterId,
    /// The folder to write to; made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Where the files will lie on the API server's machine; by default where they are written.
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The URL of the hub's gateway, as the API server reaches it; by default the ready-file's.
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, Serialize)]
struct Written {
    cluster: String,
    credential: String,
    files: Vec<String>,
    flags: Vec<String>,
    note: String,
}

impl Tabular for Written {
    fn columns(&self) -> Vec<&'static str> {
        vec!["WRITTEN"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.files.iter().map(|file| vec![file.clone()]).collect()
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = vec![String::new(), "kube-apiserver:".to_owned()];
        notes.extend(self.flags.iter().map(|flag| format!("  {flag}")));
        notes.extend([String::new(), self.note.clone()]);
        notes
    }
}

/// A file's name, and its content, which may hold the credential.
type File = (&'static str, String);

impl WebhookConfigArgs {
    /// Makes the credential and writes the files.
    pub(super) async fn run(self, context: &Context, hub: &Hub) -> Result<Ending, Failure> {
        let gateway = gateway_url(self.gateway.as_deref(), hub)?;
        // Before the credential is made: where the folder is refused, there is none to lose.
        tls::secure_dir(&self.out).map_err(Failure::usage)?;
        let out = std::path::absolute(&self.out).map_err(Failure::usage)?;
        let remote = hub.remote();
        let cluster = remote.get_cluster(admitted_at_the_door(), self.cluster.clone()).await?;
        let made = remote.create_spoke_credential(self.change.into(), self.cluster).await?;
        let (credential, token) = made.value;
        let place = self.path.unwrap_or_else(|| out.clone());
        let flags = flags(&cluster, &place);
        let mut files = Vec::new();
        for (name, text) in contents(&cluster, &gateway, &hub.target.ca_pem, &token, &place) {
            let path = out.join(name);
            tls::write_secret_file(&path, &SecretBytes::from(text.into_bytes())).map_err(Failure::usage)?;
            files.push(path.display().to_string());
        }
        context.show(&Written {
            cluster: cluster.id.to_string(),
            credential: credential.id,
            files,
            flags,
            note: kubefiles::revocation_note(&cluster),
        })
    }
}

/// The gateway's URL, without an end slash.
pub(crate) fn gateway_url(given: Option<&str>, hub: &Hub) -> Result<String, Failure> {
    let url = given.or(hub.target.gateway.as_deref()).ok_or_else(|| {
        Failure::usage(
            "where is the hub's gateway? Add --gateway https://HOST:PORT: only a ready-file tells it",
        )
    })?;
    let url = url.trim_end_matches('/');
    match url.strip_prefix("https://") {
        Some(rest) if !rest.is_empty() => Ok(url.to_owned()),
        _ => Err(Failure::usage(format!("`{url}` is not the URL of a gateway: write https://HOST:PORT"))),
    }
}

fn flags(cluster: &Cluster, place: &Path) -> Vec<String> {
    let at = |name: &str| place.join(name).display().to_string();
    kubefiles::api_server_flags(cluster, &at(TOKEN_REVIEW), &at(AUTHORIZATION))
}

fn contents(cluster: &Cluster, gateway: &str, ca_pem: &str, token: &SecretString, place: &Path) -> [File; 4] {
    let door = |name: &str| {
        kubefiles::webhook_kubeconfig(&format!("{gateway}/clusters/{}/{name}", cluster.id), ca_pem, token)
    };
    let access_review = place.join(ACCESS_REVIEW).display().to_string();
    [
        (TOKEN_REVIEW, door("tokenreview")),
        (ACCESS_REVIEW, door("subjectaccessreview")),
        (AUTHORIZATION, kubefiles::authorization_configuration(&access_review)),
        (FLAGS, flags(cluster, place).join("\n") + "\n"),
    ]
}
