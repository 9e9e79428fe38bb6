//! `lanyard workload`: what is known of the workloads of a cluster.

use clap::Subcommand;
use lanyard_api::{
    ClusterId,
    credentials::{IssuerKey, ServiceAccount, WorkloadIssuer, Workloads as _},
    grpc::admitted_at_the_door,
};
use serde::Serialize;

use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::all_pages,
    input::moment_text,
    output::{Tabular, one_a_line},
    show::{Row, or_dash},
};

const SERVICE_ACCOUNTS: &str = "\
Examples:
  lanyard workload service-accounts dev
  lanyard workload service-accounts dev --namespace team-a --output json

They are as the spoke service, or `lanyard spoke push`, sees them in the cluster; of their annotations those alone that begin with
eks.amazonaws.com/.";

const ISSUER: &str = "\
Examples:
  lanyard workload issuer dev
  lanyard workload issuer dev --output json     # with the public keys

The issuer is what the API server's /.well-known/openid-configuration says, its keys are those of /openid/v1/jwks. A key is one
cluster's alone on a hub. For IRSA the issuer has to be too, so that the name that every cluster gives itself
(https://kubernetes.default.svc) is of no use there.";

/// What there is to see of workloads.
#[derive(Debug, Subcommand)]
pub enum WorkloadCommand {
    /// The ServiceAccounts of a cluster.
    #[command(after_help = SERVICE_ACCOUNTS)]
    ServiceAccounts {
        /// The cluster's id.
        cluster: ClusterId,
        /// Of this namespace alone.
        #[arg(long, short, value_name = "NAME")]
        namespace: Option<String>,
    },
    /// Who signs the tokens of a cluster's ServiceAccounts.
    #[command(after_help = ISSUER)]
    Issuer {
        /// The cluster's id.
        cluster: ClusterId,
    },
}

impl Row for ServiceAccount {
    const COLUMNS: &'static [&'static str] = &["NAMESPACE", "NAME", "UID", "ANNOTATIONS"];
    const LAST_HAS_LINES: bool = true;

    fn cells(&self) -> Vec<String> {
        let annotations = match self.annotations.is_empty() {
            true => "-".to_owned(),
            false => one_a_line(self.annotations.iter().map(|(key, value)| format!("{key}={value}"))),
        };
        vec![self.namespace.clone(), self.name.clone(), self.uid.clone(), annotations]
    }
}

impl Row for IssuerKey {
    const COLUMNS: &'static [&'static str] = &["KEY", "ALGORITHMS", "THUMBPRINT"];

    fn cells(&self) -> Vec<String> {
        vec![or_dash(self.kid.as_ref()), self.algorithms.join(", "), self.thumbprint.clone()]
    }
}

/// Those of a cluster, or of a namespace; in JSON an array.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Known(Vec<ServiceAccount>);

impl Tabular for Known {
    fn columns(&self) -> Vec<&'static str> {
        ServiceAccount::COLUMNS.to_vec()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.0.iter().map(Row::cells).collect()
    }

    fn last_has_lines(&self) -> bool {
        ServiceAccount::LAST_HAS_LINES
    }

    fn notes(&self) -> Vec<String> {
        const NONE: &str = "none is known here: `lanyard cluster describe CLUSTER` says whether the hub watches the cluster, \
                            and `lanyard cluster add CLUSTER --kubeconfig FILE` has it watched";
        self.0.is_empty().then(|| NONE.to_owned()).into_iter().collect()
    }
}

/// An issuer, its keys a line each.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Issuer(WorkloadIssuer);

impl Tabular for Issuer {
    fn columns(&self) -> Vec<&'static str> {
        IssuerKey::COLUMNS.to_vec()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.0.keys.iter().map(Row::cells).collect()
    }

    fn notes(&self) -> Vec<String> {
        let WorkloadIssuer { issuer_url, irsa_obstacle, pushed_by, pushed_at, .. } = &self.0;
        let mut notes =
            vec![format!("issuer {issuer_url}, as {pushed_by} saw it at {}", moment_text(*pushed_at))];
        notes.extend(irsa_obstacle.map(|obstacle| format!("of no use for IRSA: {obstacle}")));
        notes
    }
}

impl WorkloadCommand {
    /// Does it.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let remote = context.connect().await?.remote();
        match self {
            Self::ServiceAccounts { cluster, namespace } => {
                let all = all_pages(async |page| {
                    remote.list_service_accounts(admitted_at_the_door(), cluster.clone(), page).await
                });
                let mut all = all.await?;
                all.retain(|account| {
                    namespace.as_ref().is_none_or(|namespace| account.namespace == *namespace)
                });
                context.show(&Known(all))
            }
            Self::Issuer { cluster } => {
                context.show(&Issuer(remote.get_issuer(admitted_at_the_door(), cluster).await?))
            }
        }
    }
}
