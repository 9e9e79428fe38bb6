//! `lanyard cluster admission-config ID --out DIR`: the files by which a kube-apiserver asks this hub about pods.

use clap::Args;
use lanyard_api::{grpc::admitted_at_the_door, mapping::Clusters as _};
use serde::Serialize;

use super::files::{FilesArgs, flags_noted, tell_of_loopback};
use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::Hub,
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
    #[command(flatten)]
    files: FilesArgs,
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
        let mut notes = flags_noted(&self.flags);
        notes.extend([
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
        let (gateway, folder) = self.files.places(hub)?;
        let remote = hub.remote();
        let cluster = remote.get_cluster(admitted_at_the_door(), self.files.cluster).await?;
        let made = remote.create_spoke_credential(self.files.change.into(), cluster.id.clone()).await?;
        let (credential, token) = made.value;
        let url = format!("{gateway}/clusters/{}/mutate", cluster.id);
        let ca = &hub.target.ca_pem;
        folder.write(KUBECONFIG, admission::kubeconfig(&url, ca, &token)?)?;
        folder.write(CONFIGURATION, admission::configuration(&folder.at(KUBECONFIG)))?;
        folder.write(WEBHOOK, admission::webhooks(&url, ca))?;
        tell_of_loopback(&gateway);
        context.show(&Written {
            cluster: cluster.id.to_string(),
            credential: credential.id,
            files: folder.written(&[KUBECONFIG, CONFIGURATION, WEBHOOK]),
            flags: vec![kubefiles::admission_flag(&folder.at(CONFIGURATION))],
            apply: format!("kubectl apply -f {}", folder.path().join(WEBHOOK).display()),
        })
    }
}
