//! `lanyard cluster`: the clusters that a hub serves, and what their API servers need.

mod add;
mod admission_config;
mod describe;
mod files;
mod issuer;
mod release;
mod settings;
mod webhook_config;

use clap::Subcommand;
use lanyard_api::{
    ClusterId,
    grpc::admitted_at_the_door,
    mapping::{
        BreakGlass, Cluster, ClusterUpdate, Clusters, SpokeCredential, SpokeKubeconfig, Spokes as _,
        Updates as _,
    },
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

pub use add::AddArgs;
pub use admission_config::AdmissionConfigArgs;
pub(super) use files::gateway_url;
pub use issuer::IssuerCommand;
pub use settings::{CreateArgs, UpdateArgs};
pub use webhook_config::WebhookConfigArgs;

use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::{ChangeArgs, all_pages},
    input::moment_text,
    show::{Changed, Fields, Listing, Row, changed, wire_name},
};

/// What there is to do with clusters.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Register a cluster that exists, whole: the cluster, the hub's way in, and the files for its API server.
    #[command(after_help = add::HELP)]
    Add(AddArgs),
    /// Register a cluster.
    #[command(after_help = settings::CREATE)]
    Create(CreateArgs),
    /// The clusters that you may see.
    #[command(after_help = "Examples:\n  lanyard cluster list\n  lanyard cluster list --output json")]
    List,
    /// One cluster.
    #[command(after_help = "Examples:\n  lanyard cluster get dev")]
    Get {
        /// The cluster's id.
        cluster: ClusterId,
    },
    /// One cluster, with how it is watched and which aws-auth is in force.
    #[command(after_help = "Examples:\n  lanyard cluster describe dev")]
    Describe {
        /// The cluster's id.
        cluster: ClusterId,
    },
    /// Forget the kubeconfig by which the hub watches a cluster. What was seen stays in force.
    #[command(after_help = "Examples:\n  lanyard cluster unwatch dev --reason 'it pushes from inside now'")]
    Unwatch {
        /// The cluster's id.
        cluster: ClusterId,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Change a cluster; what is not given stays.
    #[command(after_help = settings::UPDATE)]
    Update(UpdateArgs),
    /// The changes of a cluster's configuration, the newest 100.
    #[command(after_help = "Examples:\n  lanyard cluster updates dev")]
    Updates {
        /// The cluster's id.
        cluster: ClusterId,
    },
    /// Remove a cluster with all that hangs on it. Its uid is never used again.
    #[command(after_help = "Examples:\n  lanyard cluster delete dev --reason 'taken down'")]
    Delete {
        /// The cluster's id.
        cluster: ClusterId,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Write the files that a kube-apiserver needs to ask this hub.
    #[command(after_help = webhook_config::HELP)]
    WebhookConfig(WebhookConfigArgs),
    /// Write the files by which a kube-apiserver asks this hub about pods.
    #[command(after_help = admission_config::HELP)]
    AdmissionConfig(AdmissionConfigArgs),
    /// Who signs the tokens of pods, and where those who verify them find the keys.
    #[command(subcommand, after_help = issuer::HELP)]
    Issuer(IssuerCommand),
    /// The bearer tokens of the cluster's API server.
    #[command(subcommand)]
    SpokeCredential(SpokeCredentialCommand),
    /// The sealed way back in, for when every mapping is gone.
    #[command(subcommand)]
    BreakGlass(BreakGlassCommand),
}

/// What there is to do with an API server's bearer tokens.
#[derive(Debug, Subcommand)]
pub enum SpokeCredentialCommand {
    /// Make one; it is shown this once. A cluster has five of them, one more ends the oldest.
    #[command(after_help = "Examples:\n  lanyard cluster spoke-credential create dev")]
    Create {
        /// The cluster's id.
        cluster: ClusterId,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Those of a cluster, the oldest first.
    #[command(after_help = "Examples:\n  lanyard cluster spoke-credential list dev")]
    List {
        /// The cluster's id.
        cluster: ClusterId,
    },
    /// End one: who bears it is refused at the next request.
    #[command(after_help = "Examples:\n  lanyard cluster spoke-credential list dev\n  \
                            lanyard cluster spoke-credential delete dev 0123456789ab --reason 'the machine was sold'")]
    Delete {
        /// The cluster's id.
        cluster: ClusterId,
        /// The credential, as the list names it.
        credential: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

/// What there is to do with the way back in.
#[derive(Debug, Subcommand)]
pub enum BreakGlassCommand {
    /// Arm it for one use within an hour; its credential is shown this once.
    #[command(
        after_help = "Examples:\n  lanyard cluster break-glass arm dev --reason 'every mapping is gone'\n\n\
                            Then: kubectl --token THE-CREDENTIAL …, once, within the hour. It is outside system:masters."
    )]
    Arm {
        /// The cluster's id.
        cluster: ClusterId,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Put it away again; what it opened is denied from the next request.
    #[command(after_help = "Examples:\n  lanyard cluster break-glass disarm dev")]
    Disarm {
        /// The cluster's id.
        cluster: ClusterId,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Where it is armed.
    #[command(after_help = "Examples:\n  lanyard cluster break-glass list")]
    List,
}

impl Row for Cluster {
    const COLUMNS: &'static [&'static str] = &["ID", "REGION", "ACCOUNT", "MODE", "AUTHORIZER", "UID"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.region.clone(),
            self.account.to_string(),
            wire_name(&self.authentication_mode),
            wire_name(&self.authorizer_mode),
            self.uid.to_string(),
        ]
    }
}

impl Row for SpokeCredential {
    const COLUMNS: &'static [&'static str] = &["CREDENTIAL", "KIND", "MADE AT"];

    fn cells(&self) -> Vec<String> {
        vec![self.id.clone(), wire_name(&self.kind), moment_text(self.created_at)]
    }
}

impl Row for SpokeKubeconfig {
    const COLUMNS: &'static [&'static str] = &["SERVER", "CREDENTIAL", "PUT BY", "PUT AT"];

    fn cells(&self) -> Vec<String> {
        let put_at = moment_text(self.put_at);
        vec![self.server.clone(), self.credential_kind.clone(), self.put_by.clone(), put_at]
    }
}

impl Row for BreakGlass {
    const COLUMNS: &'static [&'static str] = &["CLUSTER UID", "ARMED BY", "ARMED AT", "ENDS AT", "USED AT"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.cluster.to_string(),
            self.armed_by.clone(),
            moment_text(self.armed_at),
            moment_text(self.ends_at),
            self.used_at.map_or_else(|| "-".to_owned(), moment_text),
        ]
    }
}

/// A credential with its token, for the one time that it is shown.
#[derive(Serialize)]
struct WithToken<T> {
    #[serde(flatten)]
    known: T,
    token: String,
}

impl<T> WithToken<T> {
    fn of((known, token): (T, SecretString)) -> Self {
        Self { known, token: token.expose_secret().to_owned() }
    }
}

impl Row for WithToken<SpokeCredential> {
    const COLUMNS: &'static [&'static str] = &["CREDENTIAL", "TOKEN (shown this once)"];

    fn cells(&self) -> Vec<String> {
        vec![self.known.id.clone(), self.token.clone()]
    }
}

impl Row for WithToken<BreakGlass> {
    const COLUMNS: &'static [&'static str] = &["ENDS AT", "TOKEN (shown this once)"];

    fn cells(&self) -> Vec<String> {
        vec![moment_text(self.known.ends_at), self.token.clone()]
    }
}

impl ClusterCommand {
    /// Does it.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let hub = context.connect().await?;
        let remote = hub.remote();
        match self {
            Self::Create(args) => {
                let (change, cluster) = args.split(context, &hub)?;
                context.show(&Changed(remote.create_cluster(change.into(), cluster).await?))
            }
            Self::List => {
                let clusters =
                    all_pages(async |page| remote.list_clusters(admitted_at_the_door(), None, page).await);
                context.show(&Listing(clusters.await?))
            }
            Self::Get { cluster } => {
                context.show(&Fields(remote.get_cluster(admitted_at_the_door(), cluster).await?))
            }
            Self::Add(args) => Box::pin(args.run(context, &hub)).await,
            Self::Describe { cluster } => context.show(&Fields(describe::of(&remote, cluster).await?)),
            Self::Unwatch { cluster, change } => {
                context.show(&Changed(remote.delete_spoke_kubeconfig(change.into(), cluster).await?))
            }
            Self::Update(args) => {
                let (change, cluster, update) = args.split()?;
                context.show(&Changed(remote.update_cluster(change.into(), cluster, update).await?))
            }
            Self::Updates { cluster } => {
                let updates = all_pages(async |page| {
                    remote.list_updates(admitted_at_the_door(), cluster.clone(), page).await
                });
                context.show(&Listing(updates.await?))
            }
            Self::Delete { cluster, change } => {
                context.show(&Changed(remote.delete_cluster(change.into(), cluster).await?))
            }
            Self::WebhookConfig(args) => args.run(context, &hub).await,
            Self::AdmissionConfig(args) => args.run(context, &hub).await,
            Self::Issuer(command) => Box::pin(command.run(context, &hub)).await,
            Self::SpokeCredential(command) => command.run(context, &remote).await,
            Self::BreakGlass(BreakGlassCommand::Arm { cluster, change }) => {
                let armed = remote.arm_break_glass(change.into(), cluster).await?;
                context.show(&changed(armed, WithToken::of))
            }
            Self::BreakGlass(BreakGlassCommand::Disarm { cluster, change }) => {
                context.show(&Changed(remote.disarm_break_glass(change.into(), cluster).await?))
            }
            Self::BreakGlass(BreakGlassCommand::List) => {
                context.show(&Listing(remote.list_break_glass(admitted_at_the_door()).await?))
            }
        }
    }
}

impl Row for ClusterUpdate {
    const COLUMNS: &'static [&'static str] = &["ID", "TYPE", "PARAMS", "CREATED"];

    fn cells(&self) -> Vec<String> {
        let params = self.params.iter().map(|param| format!("{}={}", param.kind, param.value));
        vec![
            self.id.to_string(),
            wire_name(&self.kind),
            params.collect::<Vec<_>>().join(", "),
            moment_text(self.created_at),
        ]
    }
}

impl SpokeCredentialCommand {
    async fn run(self, context: &Context, remote: &impl Clusters) -> Result<Ending, Failure> {
        match self {
            Self::Create { cluster, change } => {
                let made = remote.create_spoke_credential(change.into(), cluster).await?;
                context.show(&changed(made, WithToken::of))
            }
            Self::List { cluster } => {
                let listed = remote.list_spoke_credentials(admitted_at_the_door(), cluster).await?;
                context.show(&Listing(listed))
            }
            Self::Delete { cluster, credential, change } => {
                let ended = remote.delete_spoke_credential(change.into(), cluster, credential).await?;
                context.show(&Changed(ended))
            }
        }
    }
}
