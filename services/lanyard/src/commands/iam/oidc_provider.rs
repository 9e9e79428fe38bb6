//! `lanyard iam oidc-provider`: the OIDC issuers that the roles of an account may trust.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use lanyard_api::{
    authn::oidc_providers::{
        CreateOidcProvider, OidcProvider, OidcProviderRef, OidcProviders, UpdateOidcProvider as Update,
    },
    grpc::admitted_at_the_door,
};

use super::{
    AccountArg,
    named::{DeleteArgs, TagArgs, UntagArgs},
};
use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::{ChangeArgs, Hub, all_pages},
    input::{Source, key_value, moment_text},
    show::{Changed, Fields, Listing, Row},
};

const CREATE: &str = "\
Examples:
  lanyard iam oidc-provider create https://token.actions.githubusercontent.com --client-id sts.amazonaws.com
  lanyard iam oidc-provider create https://gitlab.internal:8443 --client-id sts.amazonaws.com --ca-bundle ca.pem

A role trusts it by a statement whose principal is {\"Federated\": \"arn:aws:iam::ACCOUNT:oidc-provider/HOST\"}, with a condition on \
HOST:sub that says whom of its people. An issuer with a private address has to be allowed by the hub's own configuration \
(authn.oidc.private_hosts, in a process of its own credentials.oidc.private_hosts).";

/// What there is to do with OIDC providers.
#[derive(Debug, Subcommand)]
pub enum OidcProviderCommand {
    /// Make a provider for an issuer.
    #[command(after_help = CREATE)]
    Create(Box<CreateArgs>),
    /// One provider, whole.
    #[command(after_help = "Examples:\n  lanyard iam oidc-provider get https://ci.example")]
    Get(WhichArgs),
    /// The providers of an account.
    #[command(after_help = "Examples:\n  lanyard iam oidc-provider list")]
    List {
        #[command(flatten)]
        account: AccountArg,
    },
    /// Delete a provider; sessions that were made by its tokens end with it.
    #[command(after_help = "Examples:\n  lanyard iam oidc-provider delete https://ci.example")]
    Delete(DeleteArgs<WhichArgs>),
    /// Take tokens for one more client id.
    #[command(
        after_help = "Examples:\n  lanyard iam oidc-provider add-client-id https://ci.example sts.amazonaws.com"
    )]
    AddClientId(ClientIdArgs),
    /// Take tokens for a client id no more.
    #[command(
        after_help = "Examples:\n  lanyard iam oidc-provider remove-client-id https://ci.example sts.amazonaws.com"
    )]
    RemoveClientId(ClientIdArgs),
    /// Replace the thumbprints, by which an issuer is known whom no authority of the system's vouches for.
    #[command(
        after_help = "Examples:\n  lanyard iam oidc-provider set-thumbprints https://ci.example --thumbprint 990f4193972f2becf12ddeda5237f9c952f20d9e"
    )]
    SetThumbprints {
        #[command(flatten)]
        which: WhichArgs,
        /// SHA-1 of certificates in hex; may be given again.
        #[arg(long = "thumbprint", value_name = "HEX")]
        thumbprints: Vec<String>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Replace the authorities that the issuer is verified by.
    #[command(
        after_help = "Examples:\n  lanyard iam oidc-provider set-ca-bundle https://ci.example --ca-bundle ca.pem\n  lanyard iam oidc-provider set-ca-bundle https://ci.example --system"
    )]
    SetCaBundle {
        #[command(flatten)]
        which: WhichArgs,
        /// A PEM file; `-` is standard input.
        #[arg(long, value_name = "FILE", required_unless_present = "system")]
        ca_bundle: Option<Source>,
        /// The system's authorities.
        #[arg(long, conflicts_with = "ca_bundle")]
        system: bool,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Put tags on a provider, beside those that it has.
    #[command(after_help = "Examples:\n  lanyard iam oidc-provider tag https://ci.example team=a")]
    Tag(TagArgs<WhichArgs>),
    /// Take tags away from a provider.
    #[command(after_help = "Examples:\n  lanyard iam oidc-provider untag https://ci.example team")]
    Untag(UntagArgs<WhichArgs>),
}

/// Names a provider.
#[derive(Debug, Args)]
pub struct WhichArgs {
    /// The issuer's URL, exactly as its tokens write it in `iss`.
    issuer_url: String,
    #[command(flatten)]
    account: AccountArg,
}

impl From<WhichArgs> for OidcProviderRef {
    fn from(which: WhichArgs) -> Self {
        Self { account: which.account.account, issuer_url: which.issuer_url }
    }
}

/// A client id of a provider.
#[derive(Debug, Args)]
pub struct ClientIdArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// For whom the tokens are.
    client_id: String,
    #[command(flatten)]
    change: ChangeArgs,
}

/// What makes a provider.
#[derive(Debug, Args)]
pub struct CreateArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// For whom its tokens have to be; may be given again.
    #[arg(long = "client-id", value_name = "ID")]
    client_ids: Vec<String>,
    /// SHA-1 of a certificate in hex, which AWS's tools show; may be given again.
    #[arg(long = "thumbprint", value_name = "HEX")]
    thumbprints: Vec<String>,
    /// A PEM file with the authorities that the issuer is verified by, in place of the system's; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    ca_bundle: Option<Source>,
    /// A tag; may be given again.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = key_value)]
    tags: Vec<(String, String)>,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Row for OidcProvider {
    const COLUMNS: &'static [&'static str] = &["ISSUER", "ACCOUNT", "CLIENT IDS", "AUTHORITIES", "CREATED"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.issuer_url.clone(),
            self.account.to_string(),
            self.client_ids.join(", "),
            if self.ca_bundle_pem.is_some() { "own" } else { "system" }.to_owned(),
            moment_text(self.created_at),
        ]
    }
}

impl OidcProviderCommand {
    pub(super) async fn run(self, context: &Context, hub: &Hub) -> Result<Ending, Failure> {
        let remote = hub.remote();
        let (which, update, change) = match self {
            Self::Create(args) => {
                let CreateArgs { which, client_ids, thumbprints, ca_bundle, tags, change } = *args;
                let provider = CreateOidcProvider {
                    account: which.account.account,
                    issuer_url: which.issuer_url,
                    client_ids,
                    thumbprints,
                    ca_bundle_pem: ca_bundle.map(|source| source.read()).transpose()?,
                    tags: BTreeMap::from_iter(tags),
                };
                return context.show(&Changed(remote.create_oidc_provider(change.into(), provider).await?));
            }
            Self::Get(which) => {
                let provider = remote.get_oidc_provider(admitted_at_the_door(), which.into()).await?;
                return context.show(&Fields(provider));
            }
            Self::List { account } => {
                let providers = all_pages(async |page| {
                    remote.list_oidc_providers(admitted_at_the_door(), account.account, page).await
                });
                return context.show(&Listing(providers.await?));
            }
            Self::Delete(args) => {
                let (which, change) = args.split();
                let gone = remote.delete_oidc_provider(change.into(), which.into()).await?;
                return context.show(&Changed(gone));
            }
            Self::AddClientId(ClientIdArgs { which, client_id, change }) => {
                (which, Update::AddClientId(client_id), change)
            }
            Self::RemoveClientId(ClientIdArgs { which, client_id, change }) => {
                (which, Update::RemoveClientId(client_id), change)
            }
            Self::SetThumbprints { which, thumbprints, change } => {
                (which, Update::Thumbprints(thumbprints), change)
            }
            Self::SetCaBundle { which, ca_bundle, system: _, change } => {
                let pem = ca_bundle.map(|source| source.read()).transpose()?;
                (which, Update::CaBundle(pem), change)
            }
            Self::Tag(args) => {
                let (which, tags, change) = args.split();
                (which, Update::Tag(tags), change)
            }
            Self::Untag(args) => {
                let (which, keys, change) = args.split();
                (which, Update::Untag(keys), change)
            }
        };
        context.show(&Changed(remote.update_oidc_provider(change.into(), which.into(), update).await?))
    }
}
