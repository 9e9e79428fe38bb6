//! `lanyard cluster admission-config ID --out DIR`: the files by which a kube-apiserver asks this hub about pods.

use std::path::PathBuf;

use clap::Args;
use lanyard_api::{ClusterId, grpc::admitted_at_the_door, mapping::Clusters as _};
use lanyard_kit::{SecretBytes, tls};
use serde::Serialize;

use super::gateway_url;
use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::{ChangeArgs, Hub},
    kubefiles::{self, admission},
    output::Tabular,
};

pub(super) const HELP: &str = "\
Examples:
  lanyard cluster admission-config dev --out /etc/kubernetes/lanyard
  kubectl apply -f /etc/kubernetes/lanyard/mutating-webhook.yaml      # once the API server was restarted with the flag

Pods whose ServiceAccount has a role, by an association or by the annotation eks.amazonaws.com/role-arn, get the token, the variables \
and the mounts for it. The API server shows the hub the credential in admission.kubeconfig: nobody else is told which role a \
ServiceAccount has.

A pod is made without its role where the hub does not answer. A namespace that would rather have no pod than such a one asks for that by \
a label, and one that wants none of this by another:
  kubectl label namespace payments lanyard.dev/pod-identity=required
  kubectl label namespace sandbox lanyard.dev/pod-identity=off
A single pod is left out by the label eks.amazonaws.com/skip-pod-identity-webhook.

Each run makes a new credential for the API server. The folder gets mode 0700, its files 0600.";

const KUBECONFIG: &str = "admission.kubeconfig";
const CONFIGURATION: &str = "admission-config.yaml";
const WEBHOOK: &str = "mutating-webhook.yaml";

/// The flags of `lanyard cluster admission-config`.
#[derive(Debug, Args)]
pub struct AdmissionConfigArgs {
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

/// The files, and what they are for.
#[derive(Debug, Serialize)]
struct Written {
    cluster: String,
    credential: String,
    files: Vec<String>,
    flags: Vec<String>,
    apply: String,
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
        notes.extend([
            String::new(),
            "where it has an --admission-control-config-file already, take the plugin of this one into that"
                .to_owned(),
            format!("then: {}", self.apply),
        ]);
        notes
    }
}

impl AdmissionConfigArgs {
    /// Makes the credential and writes the files.
    pub(super) async fn run(self, context: &Context, hub: &Hub) -> Result<Ending, Failure> {
        let gateway = gateway_url(self.gateway.as_deref(), hub)?;
        // Before the credential is made: where the folder is refused, there is none to lose.
        tls::secure_dir(&self.out).map_err(Failure::usage)?;
        let out = std::path::absolute(&self.out).map_err(Failure::usage)?;
        let place = self.path.unwrap_or_else(|| out.clone());
        let remote = hub.remote();
        let cluster = remote.get_cluster(admitted_at_the_door(), self.cluster).await?;
        let made = remote.create_spoke_credential(self.change.into(), cluster.id.clone()).await?;
        let (credential, token) = made.value;
        let url = format!("{gateway}/clusters/{}/mutate", cluster.id);
        let ca = &hub.target.ca_pem;
        let at = |name: &str| place.join(name).display().to_string();
        let files = [
            (KUBECONFIG, admission::kubeconfig(&url, ca, &token)?),
            (CONFIGURATION, admission::configuration(&at(KUBECONFIG))),
            (WEBHOOK, admission::webhooks(&url, ca)),
        ];
        for (name, text) in &files {
            let secret = SecretBytes::from(text.clone().into_bytes());
            tls::write_secret_file(&out.join(name), &secret).map_err(Failure::usage)?;
        }
        context.show(&Written {
            cluster: cluster.id.to_string(),
            credential: credential.id,
            files: files.iter().map(|(name, _)| out.join(name).display().to_string()).collect(),
            flags: vec![kubefiles::admission_flag(&at(CONFIGURATION))],
            apply: format!("kubectl apply -f {}", out.join(WEBHOOK).display()),
        })
    }
}
