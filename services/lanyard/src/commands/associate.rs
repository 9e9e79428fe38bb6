//! `lanyard associate`: a ServiceAccount's pods get a role of AWS, or of the hub; and what such a role has to trust.

use clap::Args;
use lanyard_api::{
    credentials::{Associations as _, ProposeTrust, TrustProposal},
    grpc::admitted_at_the_door,
};

use super::association::CreateArgs;
use crate::{
    cli::{Context, complain},
    exit::Ending,
    failure::Failure,
    output::{Output, line},
    show::{Changed, Fields},
};

/// What `lanyard associate --help` says below the flags.
pub const HELP: &str = "\
Examples:
  lanyard associate dev team-a/bot --role arn:aws:iam::111122223333:role/app --print-trust-policy > trust.json
  aws iam create-role --role-name app --assume-role-policy-document file://trust.json
  lanyard associate dev team-a/bot --role arn:aws:iam::111122223333:role/app

For a role of an account that AWS keeps (registered with --authority aws) there are two roads, for only EKS itself can be the service \
pods.eks.amazonaws.com:
  hub-principal  the role trusts the hub's own user or role, which names an external id of the hub's making. The id is for this \
ServiceAccount of this cluster alone, so that no other tenant of the hub can have the role.
  issuer         the role trusts the cluster's OIDC issuer, in whose name the hub signs a token. AWS has to reach the issuer, and the \
account has an OIDC provider for it.

The hub tries the role before it writes the association: it has to let the hub in, and neither without the external id nor with \
another's. A role that fails is refused, with the reason and the next step. --unprobed leaves that to the first use.

A role of an account that the hub keeps trusts the service pods.eks.amazonaws.com: see `lanyard association create --help`.";

/// The flags of `lanyard associate`.
#[derive(Debug, Args)]
pub struct AssociateArgs {
    #[command(flatten)]
    create: Box<CreateArgs>,
    /// Only print the trust policy that the role needs, and make nothing.
    #[arg(long)]
    print_trust_policy: bool,
}

impl AssociateArgs {
    /// Does it.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        if self.print_trust_policy {
            let proposal = self.create.trust();
            let remote = context.connect().await?.remote();
            return shown(context, remote.propose_trust(admitted_at_the_door(), proposal).await?);
        }
        let (change, asked) = self.create.split()?;
        let remote = context.connect().await?.remote();
        let made = remote.create_pod_identity_association(change.into(), asked).await?;
        context.show(&Changed(made))
    }
}

/// For people the policy alone, so that it can go into a file; what else to know stands beside, on standard error.
fn shown(context: &Context, proposal: TrustProposal) -> Result<Ending, Failure> {
    if context.output != Output::Table {
        return context.show(&Fields(proposal));
    }
    line(&proposal.trust_policy)?;
    for notice in &proposal.notices {
        complain(&format!("notice: {notice}"));
    }
    Ok(Ending::Yes)
}

impl CreateArgs {
    fn trust(&self) -> ProposeTrust {
        let (namespace, service_account) = self.service_account.clone();
        ProposeTrust {
            cluster: self.cluster.clone(),
            namespace,
            service_account,
            role_arn: self.role.clone(),
            aws_road: self.road,
        }
    }
}
