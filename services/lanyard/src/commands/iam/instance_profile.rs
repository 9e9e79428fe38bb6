//! `lanyard iam instance-profile`: the roles that EC2 instances run with, as EC2 names them.

use clap::{Args, Subcommand};
use lanyard_api::{
    authn::{
        InstanceProfiles,
        instance_profiles::{CreateInstanceProfile, InstanceProfileDetail, UpdateInstanceProfile as Update},
    },
    grpc::admitted_at_the_door,
};

use super::{
    ListArgs,
    named::{CreateArgs, DeleteArgs, NamedArgs, TagArgs, UntagArgs},
};
use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::{ChangeArgs, Hub, all_pages},
    input::moment_text,
    show::{Changed, Fields, Listing, Row},
};

const CREATE: &str = "\
Examples:
  lanyard iam instance-profile create node
  lanyard iam instance-profile add-role node eks-node

The hub keeps profiles for tools that make a node's role and its profile together, such as Terraform. Which profile an instance \
has is EC2's to tell.";

/// What there is to do with instance profiles.
#[derive(Debug, Subcommand)]
pub enum InstanceProfileCommand {
    /// Make a profile; it has no role yet.
    #[command(after_help = CREATE)]
    Create(CreateArgs),
    /// One profile.
    #[command(after_help = "Examples:\n  lanyard iam instance-profile get nodes")]
    Get(NamedArgs),
    /// The profiles of an account.
    #[command(
        after_help = "Examples:\n  lanyard iam instance-profile list\n  lanyard iam instance-profile list --role nodes"
    )]
    List {
        /// Only those that have this role.
        #[arg(long, value_name = "NAME", conflicts_with = "path_prefix")]
        role: Option<String>,
        #[command(flatten)]
        of: ListArgs,
    },
    /// Put a role into a profile that has none. You need `iam:PassRole` on the role too.
    #[command(after_help = "Examples:\n  lanyard iam instance-profile add-role nodes node-role")]
    AddRole(RoleArgs),
    /// Take its role out of a profile.
    #[command(after_help = "Examples:\n  lanyard iam instance-profile remove-role nodes node-role")]
    RemoveRole(RoleArgs),
    /// Put tags on a profile, beside those that it has.
    #[command(after_help = "Examples:\n  lanyard iam instance-profile tag nodes team=a")]
    Tag(TagArgs<NamedArgs>),
    /// Take tags away from a profile.
    #[command(after_help = "Examples:\n  lanyard iam instance-profile untag nodes team")]
    Untag(UntagArgs<NamedArgs>),
    /// Delete a profile that has no role.
    #[command(after_help = "Examples:\n  lanyard iam instance-profile delete nodes")]
    Delete(DeleteArgs<NamedArgs>),
}

/// A role of a profile.
#[derive(Debug, Args)]
pub struct RoleArgs {
    #[command(flatten)]
    which: NamedArgs,
    /// The role's name.
    role: String,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Row for InstanceProfileDetail {
    const COLUMNS: &'static [&'static str] = &["NAME", "PATH", "ACCOUNT", "PROFILE ID", "ROLE", "CREATED"];

    fn cells(&self) -> Vec<String> {
        let profile = &self.profile;
        vec![
            profile.name.clone(),
            profile.path.clone(),
            profile.account.to_string(),
            profile.profile_id.clone(),
            profile.role.clone().unwrap_or_default(),
            moment_text(profile.created_at),
        ]
    }
}

impl InstanceProfileCommand {
    pub(super) async fn run(self, context: &Context, hub: &Hub) -> Result<Ending, Failure> {
        let remote = hub.remote();
        let (which, update, change) = match self {
            Self::Create(new) => {
                let (account, tags) = (new.account(), new.tags());
                let profile = CreateInstanceProfile { account, path: new.path, name: new.name, tags };
                let made = remote.create_instance_profile(new.change.into(), profile).await?;
                return context.show(&Changed(made));
            }
            Self::Get(which) => {
                let profile = remote.get_instance_profile(admitted_at_the_door(), which.into()).await?;
                return context.show(&Fields(profile));
            }
            Self::List { role: None, of } => {
                let profiles = all_pages(async |page| {
                    remote.list_instance_profiles(admitted_at_the_door(), of.clone().into(), page).await
                });
                return context.show(&Listing(profiles.await?));
            }
            Self::List { role: Some(role), of } => {
                let role = of.account.named(role);
                let profiles = all_pages(async |page| {
                    let (by, role) = (admitted_at_the_door(), role.clone());
                    remote.list_instance_profiles_for_role(by, role, page).await
                });
                return context.show(&Listing(profiles.await?));
            }
            Self::Delete(args) => {
                let (which, change) = args.split();
                let gone = remote.delete_instance_profile(change.into(), which.into()).await?;
                return context.show(&Changed(gone));
            }
            Self::AddRole(RoleArgs { which, role, change }) => (which, Update::AddRole(role), change),
            Self::RemoveRole(RoleArgs { which, role, change }) => (which, Update::RemoveRole(role), change),
            Self::Tag(args) => {
                let (which, tags, change) = args.split();
                (which, Update::Tag(tags), change)
            }
            Self::Untag(args) => {
                let (which, keys, change) = args.split();
                (which, Update::Untag(keys), change)
            }
        };
        context.show(&Changed(remote.update_instance_profile(change.into(), which.into(), update).await?))
    }
}
