//! `lanyard credential-process`: a session of the hub for a principal of AWS, as AWS tools read it from a `credential_process`.

mod cache;

use std::{env, time::Duration};

use clap::Args;
use lanyard_api::{
    CallError,
    credentials::{ExchangeCallerIdentity, ExchangedSession, Sessions as _},
};
use lanyard_aws::CredentialSource;
use lanyard_iam::{Credentials, Region, partition_of_region, token::mint_hub_proof};
use lanyard_kit::{Clock as _, SystemClock};

use self::cache::Cache;
use super::iam::process_json;
use crate::{
    cli::Context,
    credentials::{CredentialsError, Found, Lookup, WITHIN},
    exit::Ending,
    failure::Failure,
    hub::{self, Known, Target},
    output::line,
};

const HELP: &str = "\
In ~/.aws/config, with the profile that has your credentials of AWS (keys, a role, a credential_process) named by --profile:
  [profile hub]
  region = eu-west-1
  endpoint_url = https://hub:8445
  credential_process = lanyard credential-process --hub https://hub:8444 --ca /ca.pem --profile aws

Then AWS's own tools, and this one, act on the hub as who you are at AWS:
  aws --profile hub eks list-access-entries --cluster-name dev
  lanyard --profile hub entry list dev
For a login of AWS IAM Identity Center, let the AWS CLI hand it over:
  [profile aws]
  credential_process = aws configure export-credentials --profile sso-login

A hub operator has registered your account, and attached policies to you or your role:
  lanyard iam account create 111122223333 --authority aws
  lanyard iam policy put --principal arn:aws:iam::111122223333:role/Dev p --document p.json

What is sent to the hub is a presigned GetCallerIdentity that signs the hub's id: your keys stay here, the hub asks AWS STS once who \
signed. The session is kept, for you alone, until shortly before its end.";

/// How often a proof is made anew that another exchange of this second has used up.
const TRIES_MAX: u32 = 3;
/// A signature's date has whole seconds: so much later it is another one.
const NEXT_SECOND: Duration = Duration::from_millis(1_100);
/// Where nothing says which STS to ask.
const REGION_DEFAULT: &str = "us-east-1";

/// The flags of `lanyard credential-process`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct CredentialProcessArgs {
    /// How long the session lives, 900 to what the hub allows; 0 means that.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    duration_seconds: u32,
    /// The STS host that is asked who you are; by default the region's.
    #[arg(long, value_name = "HOST")]
    sts_host: Option<String>,
    /// Make a new session, though one is kept.
    #[arg(long)]
    renew: bool,
}

impl CredentialProcessArgs {
    /// Prints a session: the kept one, or a new one.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        if env::var_os(WITHIN).is_some() {
            return Err(circle(
                "the credentials of AWS come from a command that calls `lanyard credential-process`",
            ));
        }
        let target = Target::of(&context.hub)?;
        let (credentials, region) = find(context, &target).await?;
        if credentials.access_key_id.is_local() {
            return Err(Failure::usage(format!(
                "`{}` is a key of a hub: sign with it as it is, or name a profile with credentials of AWS by --profile",
                credentials.access_key_id
            )));
        }
        let cache = Cache::of(&target, &credentials.access_key_id, self.duration_seconds)?;
        if !self.renew
            && let Some(kept) = cache.read(SystemClock.now())
        {
            line(&kept)?;
            return Ok(Ending::Yes);
        }
        let held = cache.lock().await?;
        // Whoever had the lock before may have made one.
        if !self.renew
            && let Some(kept) = cache.read(SystemClock.now())
        {
            line(&kept)?;
            return Ok(Ending::Yes);
        }
        let text = process_json(&self.exchange(context, &credentials, &region).await?.session);
        cache.write(&held, &text, SystemClock.now())?;
        line(&text)?;
        Ok(Ending::Yes)
    }

    async fn exchange(
        &self,
        context: &Context,
        credentials: &Credentials,
        region: &Region,
    ) -> Result<ExchangedSession, Failure> {
        let Known { remote, hub_id } = hub::known(&context.hub).await?;
        let of_region = || partition_of_region(region.as_str()).unwrap_or(lanyard_iam::Partition::Aws);
        let host = self.sts_host.clone().unwrap_or_else(|| of_region().sts_host(region));
        for again in 1.. {
            let proof = mint_hub_proof(credentials, &host, region, &hub_id, SystemClock.now())
                .map_err(Failure::usage)?;
            let query =
                ExchangeCallerIdentity { presigned_url: proof, duration_seconds: self.duration_seconds };
            match remote.exchange_caller_identity(None, query).await {
                // Somebody with the same key has made the same proof in this very second.
                Err(CallError::Replayed) if again < TRIES_MAX => tokio::time::sleep(NEXT_SECOND).await,
                answer => return Ok(answer?),
            }
        }
        Err(Failure::NoAnswer("no exchange was made".to_owned()))
    }
}

/// Credentials of AWS as its tools find them, and the region whose STS is asked.
async fn find(context: &Context, target: &Target) -> Result<(Credentials, Region), Failure> {
    let lookup = Lookup { profile: context.hub.profile.clone() };
    if let Some(profile) = lookup.comes_back()? {
        return Err(circle(&format!(
            "profile `{profile}` gets its credentials from `lanyard credential-process`"
        )));
    }
    let (credentials, region) = match lookup.find_within_process() {
        Ok(Found { credentials, region, .. }) => (Some(credentials), region),
        // What else AWS's tools know: roles of profiles, web identities, containers, instances.
        Err(CredentialsError::None { .. } | CredentialsError::NoKeys { .. }) => (None, lookup.region()?),
        Err(error) => return Err(error.into()),
    };
    let of_hub = || target.names.as_ref().map(|(_, region)| region.clone());
    let text = context.hub.region.clone().or(region).or_else(of_hub);
    let region = Region::parse(text.as_deref().unwrap_or(REGION_DEFAULT)).map_err(Failure::usage)?;
    let credentials = match credentials {
        Some(credentials) => credentials,
        None => {
            let chain = CredentialSource::chain(lookup.asked().as_deref(), &region);
            let found = chain.credentials(SystemClock.now()).await;
            found.map_err(|fault| {
                Failure::usage(format!(
                    "{fault}; name the profile that has your credentials of AWS by --profile, or set AWS_ACCESS_KEY_ID and \
                     AWS_SECRET_ACCESS_KEY"
                ))
            })?
        }
    };
    Ok((credentials, region))
}

/// A command that would call itself without end.
fn circle(how: &str) -> Failure {
    Failure::usage(format!(
        "{how}, and so would never end: name the profile that has your credentials of AWS by --profile"
    ))
}
