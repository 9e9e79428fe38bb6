//! `lanyard token`: makes a client token, as kubectl's exec plugin; `lanyard token inspect` looks at one.

mod aws_role;
mod hub_role;
mod inspect;
mod inspect_break_glass;
mod inspect_jwt;
mod inspected;

use std::env;

use clap::{Args, Subcommand};
use lanyard_iam::{
    Credentials, Partition, PrincipalArn, Region, Token, mint_token, partition_of_region,
    token::{TOKEN_EXPIRES, TOKEN_PREFIX},
};
use lanyard_kit::{Clock, SystemClock};
use serde::Deserialize;

pub use inspect::InspectArgs;

use crate::{
    cli::Context,
    credentials::{self, CredentialsError, Found, Lookup, Origin},
    exec_credential,
    exit::Ending,
    failure::Failure,
    hub::Target,
    input::Source,
    output::{Output, line},
};

const HELP: &str = "\
Examples:
  lanyard token --cluster-name dev                  # what kubectl's exec plugin prints
  lanyard token --cluster-name dev --raw            # the token alone
  lanyard token --cluster-name dev --role-arn arn:aws:iam::111122223333:role/deployer
  lanyard token --cluster-name dev | lanyard token inspect -

Credentials come from --profile, the environment, or the AWS files, as AWS tools find them; where nobody names a profile or a file, and \
there are none, from the administrator of the hub on this machine. A token is good for a quarter of an hour: treat it as a password.";

/// The session name that stock tools give.
const SESSION_NAME: &str = "EKSGetTokenAuth";

/// The flags of `lanyard token`.
#[derive(Debug, Args)]
#[command(after_help = HELP, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct TokenArgs {
    #[command(subcommand)]
    command: Option<TokenCommand>,
    #[command(flatten)]
    mint: MintArgs,
}

/// What else there is to do with tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Show each part of a token, offline, and nothing that is secret.
    #[command(after_help = inspect::HELP)]
    Inspect(InspectArgs),
}

/// What a token is made of. The names are those of `aws eks get-token`.
#[derive(Debug, Args)]
struct MintArgs {
    /// The cluster's id, which the token signs.
    #[arg(long, short = 'i', value_name = "CLUSTER", required = true, visible_alias = "cluster-id")]
    cluster_name: Option<String>,
    /// Assume this role first: at the hub for a hub's keys, at AWS for AWS's.
    #[arg(long, short, value_name = "ARN")]
    role_arn: Option<PrincipalArn>,
    /// The name of that session.
    #[arg(long, value_name = "NAME", requires = "role_arn", default_value = SESSION_NAME)]
    session_name: String,
    /// The STS host that the token is for; by default the region's.
    #[arg(long, value_name = "HOST")]
    sts_host: Option<String>,
    /// Print the token alone.
    #[arg(long)]
    raw: bool,
}

impl TokenArgs {
    /// Makes a token, or looks at one.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        match self.command {
            Some(TokenCommand::Inspect(args)) => args.run(context),
            None => Box::pin(self.mint.run(context)).await,
        }
    }
}

impl MintArgs {
    async fn run(self, context: &Context) -> Result<Ending, Failure> {
        // Whatever else is wrong, kubectl has to be told in a version that it speaks.
        let exec_info = env::var("KUBERNETES_EXEC_INFO").ok();
        let version = exec_credential::version(exec_info.as_deref()).map_err(Failure::usage)?;
        let cluster =
            self.cluster_name.ok_or_else(|| Failure::usage("for which cluster? Add --cluster-name"))?;
        let found = find_credentials(context)?;
        let region = region(context, &found)?;
        let credentials = match &self.role_arn {
            None => found.credentials,
            Some(role) if found.credentials.access_key_id.is_local() => {
                hub_role::assume(context, found.credentials, role, &self.session_name).await?
            }
            Some(role) => aws_role::assume(&found.credentials, &region, role, &self.session_name).await?,
        };
        let host = self.sts_host.unwrap_or_else(|| partition(&region).sts_host(&region));
        let now = SystemClock.now();
        let token =
            mint_token(&credentials, &host, &region, &cluster, now, TOKEN_EXPIRES).map_err(Failure::usage)?;
        if self.raw {
            line(token.expose())?;
            return Ok(Ending::Yes);
        }
        let credential = exec_credential::render(version, &token, now);
        let text = match context.output {
            Output::Yaml => serde_saphyr::to_string(&credential).map_err(anyhow::Error::from)?,
            // kubectl reads JSON, and there is no other form for people: it is for no one's eyes.
            Output::Json | Output::Table => {
                serde_json::to_string_pretty(&credential).map_err(anyhow::Error::from)?
            }
        };
        line(text.trim_end())?;
        Ok(Ending::Yes)
    }
}

/// As AWS tools find them; where nobody chose any and there are none, the administrator of the hub on this machine.
fn find_credentials(context: &Context) -> Result<Found, Failure> {
    let none = match (Lookup { profile: context.hub.profile.clone() }).find() {
        Ok(found) => return Ok(found),
        Err(none @ CredentialsError::None { .. }) => none,
        Err(error) => return Err(error.into()),
    };
    let administrator = Target::of(&context.hub).ok().and_then(|target| target.credentials);
    match administrator.filter(|path| path.exists()) {
        Some(path) => {
            let credentials = credentials::of_file(&path, "default")?;
            Ok(Found { credentials, region: None, origin: Origin::Chosen })
        }
        None => Err(none.into()),
    }
}

/// `--region`, the environment's, the profile's, the hub's: in this order.
fn region(context: &Context, found: &Found) -> Result<Region, Failure> {
    let of_hub = || Target::of(&context.hub).ok().and_then(|target| target.names).map(|(_, region)| region);
    let text =
        context.hub.region.clone().or_else(|| found.region.clone()).or_else(of_hub).ok_or_else(|| {
            Failure::usage(
                "for which region? Add --region, or set AWS_REGION: the token is for that region's STS",
            )
        })?;
    Region::parse(&text).map_err(Failure::usage)
}

/// The partition that a region belongs to; a region that nobody has heard of is AWS's next one.
fn partition(region: &Region) -> Partition {
    partition_of_region(region.as_str()).unwrap_or(Partition::Aws)
}

/// What stands around a token where kubectl prints or reads one.
#[derive(Deserialize)]
struct ExecCredential {
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Status {
    token: Option<String>,
}

/// The token in a file or on standard input, alone or in an ExecCredential.
///
/// # Errors
/// [`Failure::Usage`] where nothing is there, or where the token itself was put on the command line.
pub(super) fn read_token(source: &Source) -> Result<Token, Failure> {
    if let Source::File(path) = source
        && path.to_str().is_some_and(|text| text.starts_with(TOKEN_PREFIX))
    {
        return Err(Failure::usage(
            "that is a token itself, and everybody on this machine can read command lines: give it on standard input, as `-`",
        ));
    }
    let text = source.read()?;
    let text = text.trim();
    let missing = || Failure::usage(format!("there is no token in {}", source.name()));
    if text.starts_with('{') {
        let credential: ExecCredential = serde_json::from_str(text).map_err(|_| missing())?;
        let token = credential.status.and_then(|status| status.token).ok_or_else(missing)?;
        return Ok(Token::new(token));
    }
    if text.is_empty() { Err(missing()) } else { Ok(Token::new(text.to_owned())) }
}

/// The caller's own credentials, where they are those that a token names: its signature can then be verified here.
fn own_credentials(context: &Context, access_key_id: &str) -> Option<Credentials> {
    let found = find_credentials(context).ok()?;
    (found.credentials.access_key_id.as_str() == access_key_id).then_some(found.credentials)
}
