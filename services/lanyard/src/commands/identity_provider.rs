//! `lanyard identity-provider`: the OIDC issuers whose tokens a cluster takes.

mod reach;

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Args, Subcommand};
use lanyard_api::{
    ClusterId,
    grpc::admitted_at_the_door,
    mapping::{
        AssociateIdentityProvider, IdentityProviderConfigDetail, IdentityProviderRef,
        IdentityProviderSettings, IdentityProviders,
    },
};

use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::{ChangeArgs, all_pages},
    input::key_value,
    show::{Changed, Fields, Listing, Row},
};
use reach::Reach;

const ASSOCIATE: &str = "\
Examples:
  lanyard identity-provider associate dev okta --issuer-url https://okta.example/oauth2/default --client-id 0oa1 \\
    --groups-claim groups --groups-prefix okta:
  lanyard identity-provider associate dev google --issuer-url https://accounts.google.com --client-id web.apps.example \\
    --username-claim email --required-claim hd=example.com
  lanyard identity-provider associate dev dex --issuer-url https://dex.internal --client-id kubernetes --ca-bundle ca.pem

A username is the claim `sub` behind the issuer's URL and `#`, unless you say otherwise; `--username-prefix -` leaves it bare. \
Tokens are good for the client id alone: give each cluster one of its own. An issuer with a private address has to be \
allowed by the hub's own configuration (authn.oidc.private_hosts).";

const DISASSOCIATE: &str = "\
Examples:
  lanyard identity-provider disassociate dev okta

Nobody of the issuer gets in any more, and who is in is denied with the next request, whatever the API server has cached.";

/// What there is to do with identity-provider configurations.
#[derive(Debug, Subcommand)]
pub enum IdentityProviderCommand {
    /// Take an issuer's tokens in a cluster.
    #[command(after_help = ASSOCIATE)]
    Associate(Box<AssociateArgs>),
    /// One configuration, whole.
    #[command(after_help = "Examples:\n  lanyard identity-provider describe dev okta")]
    Describe(WhichArgs),
    /// The configurations of a cluster.
    #[command(after_help = "Examples:\n  lanyard identity-provider list dev")]
    List {
        /// The cluster's id.
        cluster: ClusterId,
    },
    /// Take an issuer's tokens no more.
    #[command(after_help = DISASSOCIATE)]
    Disassociate {
        #[command(flatten)]
        which: WhichArgs,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

/// Names a configuration.
#[derive(Debug, Args)]
pub struct WhichArgs {
    /// The cluster's id.
    cluster: ClusterId,
    /// The configuration's name.
    name: String,
}

impl From<WhichArgs> for IdentityProviderRef {
    fn from(which: WhichArgs) -> Self {
        Self { cluster: which.cluster, name: which.name }
    }
}

/// What makes a configuration.
#[derive(Debug, Args)]
pub struct AssociateArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// The issuer, exactly as its tokens write it in `iss`.
    #[arg(long, value_name = "URL")]
    issuer_url: String,
    /// The audience that its tokens are for.
    #[arg(long, value_name = "ID")]
    client_id: String,
    /// The claim that becomes the username [default: sub].
    #[arg(long, value_name = "CLAIM")]
    username_claim: Option<String>,
    /// Before each username; `-` for none [default: the issuer's URL and `#`, but none before `email`].
    #[arg(long, value_name = "PREFIX", allow_hyphen_values = true)]
    username_prefix: Option<String>,
    /// The claim that becomes groups; without it there are none.
    #[arg(long, value_name = "CLAIM")]
    groups_claim: Option<String>,
    /// Before each group.
    #[arg(long, value_name = "PREFIX", allow_hyphen_values = true)]
    groups_prefix: Option<String>,
    /// A claim that a token must have, with this value; may be given again.
    #[arg(long = "required-claim", value_name = "CLAIM=VALUE", value_parser = key_value)]
    required_claims: Vec<(String, String)>,
    /// Other clusters may take tokens for this client id too: what one of them sees can be presented in the others.
    #[arg(long)]
    shared_audience: bool,
    /// A PEM file with the authorities that the issuer is verified by, in place of the system's.
    #[arg(long, value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
    /// Take `email` without a word on whether it is verified, as Entra ID sends it.
    #[arg(long)]
    email_verified_may_be_absent: bool,
    /// A tag; may be given again.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = key_value)]
    tags: Vec<(String, String)>,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Row for IdentityProviderConfigDetail {
    const COLUMNS: &'static [&'static str] =
        &["NAME", "ISSUER", "CLIENT ID", "USERNAME", "GROUPS", "REQUIRED CLAIMS", "SHARED"];

    fn cells(&self) -> Vec<String> {
        let settings = &self.config.settings;
        let required = settings.required_claims.iter().map(|(claim, value)| format!("{claim}={value}"));
        let groups = settings.groups_claim.as_ref();
        vec![
            settings.name.clone(),
            settings.issuer_url.clone(),
            settings.client_id.clone(),
            becomes(&settings.username_prefix(), settings.username_claim()),
            groups.map_or_else(|| "-".to_owned(), |claim| becomes(settings.groups_prefix(), claim)),
            required.collect::<Vec<_>>().join(", "),
            if settings.shared_audience { "yes" } else { "no" }.to_owned(),
        ]
    }
}

/// What a claim becomes: `okta:{sub}`.
fn becomes(prefix: &str, claim: &str) -> String {
    format!("{prefix}{{{claim}}}")
}

impl IdentityProviderCommand {
    /// Does it.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        if let Self::Associate(args) = self {
            let (change, asked) = args.split()?;
            let (hub, reach) = (context.connect().await?, Reach::of(&asked));
            let mut made = hub.remote().associate_identity_provider(change.into(), asked).await?;
            made.notices.extend(Box::pin(reach.notice(&hub)).await);
            return context.show(&Changed(made));
        }
        let remote = context.connect().await?.remote();
        match self {
            Self::Associate(_) => Ok(Ending::Yes),
            Self::Describe(which) => context
                .show(&Fields(remote.get_identity_provider(admitted_at_the_door(), which.into()).await?)),
            Self::List { cluster } => {
                let configs = all_pages(async |page| {
                    remote.list_identity_providers(admitted_at_the_door(), cluster.clone(), page).await
                });
                context.show(&Listing(configs.await?))
            }
            Self::Disassociate { which, change } => {
                let gone = remote.disassociate_identity_provider(change.into(), which.into()).await?;
                context.show(&Changed(gone))
            }
        }
    }
}

impl AssociateArgs {
    fn split(self) -> Result<(ChangeArgs, AssociateIdentityProvider), Failure> {
        let ca_bundle_pem = self.ca_bundle.map(|path| {
            std::fs::read_to_string(&path).map_err(|error| {
                Failure::usage(format!("cannot read `{}`: {error}; give a PEM file", path.display()))
            })
        });
        let settings = IdentityProviderSettings {
            name: self.which.name,
            issuer_url: self.issuer_url,
            client_id: self.client_id,
            username_claim: self.username_claim,
            username_prefix: self.username_prefix,
            groups_claim: self.groups_claim,
            groups_prefix: self.groups_prefix,
            required_claims: BTreeMap::from_iter(self.required_claims),
            shared_audience: self.shared_audience,
            ca_bundle_pem: ca_bundle_pem.transpose()?,
            email_verified_may_be_absent: self.email_verified_may_be_absent,
            tags: BTreeMap::from_iter(self.tags),
        };
        Ok((self.change, AssociateIdentityProvider { cluster: self.which.cluster, settings }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_what_claims_become() {
        assert_eq!(becomes("https://okta.example#", "sub"), "https://okta.example#{sub}");
        assert_eq!(becomes("", "email"), "{email}");
    }
}
