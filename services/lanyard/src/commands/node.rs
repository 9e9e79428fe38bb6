//! `lanyard node`: which node name an instance has, and who may be that node.

use clap::Subcommand;
use lanyard_api::{
    ClusterId,
    grpc::admitted_at_the_door,
    mapping::{Clusters, Node},
};
use lanyard_iam::AccessKeyId;

use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::{ChangeArgs, all_pages},
    show::{Changed, Listing, Row, or_dash},
};

/// What there is to do with nodes.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Bind an instance to its node name.
    #[command(
        after_help = "Examples:\n  lanyard node set dev i-0123456789abcdef0 ip-10-0-0-1.ec2.internal\n  \
                            lanyard node set edge shop-17 shop-17 --role arn:aws:iam::111122223333:role/nodes \\\n    \
                            --access-key LKIAXXXXXXXXXXXXXXXX"
    )]
    Set {
        /// The cluster's id.
        cluster: ClusterId,
        /// The session name of the node's role: `i-…`, or a hybrid node's name.
        instance: String,
        /// The private DNS name, with which the node's username ends.
        private_dns_name: String,
        /// The role whose sessions may be this node.
        #[arg(long, value_name = "ARN")]
        role: Option<String>,
        /// The long-term key whose sessions may be this node, where the hub keeps it.
        #[arg(long, value_name = "KEY")]
        access_key: Option<AccessKeyId>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// The nodes of a cluster.
    #[command(after_help = "Examples:\n  lanyard node list dev")]
    List {
        /// The cluster's id.
        cluster: ClusterId,
    },
    /// Take the binding of an instance away: nobody is that node from the next request.
    #[command(after_help = "Examples:\n  lanyard node delete dev i-0123456789abcdef0 --reason 'terminated'")]
    Delete {
        /// The cluster's id.
        cluster: ClusterId,
        /// The session name of the node's role, as the list has it.
        instance: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

impl Row for Node {
    const COLUMNS: &'static [&'static str] = &["INSTANCE", "NODE NAME", "ROLE", "ACCESS KEY"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.instance_id.clone(),
            self.private_dns_name.clone(),
            or_dash(self.role_arn.as_ref()),
            or_dash(self.access_key_id.as_ref()),
        ]
    }
}

impl NodeCommand {
    /// Does it.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let remote = context.connect().await?.remote();
        match self {
            Self::Set { cluster, instance, private_dns_name, role, access_key, change } => {
                let uid = remote.get_cluster(admitted_at_the_door(), cluster.clone()).await?.uid;
                let node = Node {
                    cluster: uid,
                    instance_id: instance,
                    private_dns_name,
                    role_arn: role,
                    access_key_id: access_key,
                };
                context.show(&Changed(remote.set_node(change.into(), cluster, node).await?))
            }
            Self::List { cluster } => {
                let nodes = all_pages(async |page| {
                    remote.list_nodes(admitted_at_the_door(), cluster.clone(), page).await
                });
                context.show(&Listing(nodes.await?))
            }
            Self::Delete { cluster, instance, change } => {
                context.show(&Changed(remote.delete_node(change.into(), cluster, instance).await?))
            }
        }
    }
}
