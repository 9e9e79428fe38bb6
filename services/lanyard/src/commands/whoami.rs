//! `lanyard whoami`: which credentials AWS's tools would use here, why these, whose they are, what those may do, and for how long.

mod caller_policies;
mod identity;
mod permissions;
mod sources;
mod statements;

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

use clap::Args;
use lanyard_aws::{AwsFault, CredentialPlace, CredentialSource};
use lanyard_iam::{CallerIdentity, Credentials, PrincipalKind, Region};
use lanyard_kit::{Clock as _, SystemClock};
use serde::Serialize;
use time::OffsetDateTime;

use self::{
    identity::Endpoint,
    permissions::{Asking, Permissions},
    sources::{Candidate, Source, Standing, Surroundings, resolve},
};
use crate::{
    cli::Context,
    credentials::{Lookup, ProfileSettings},
    exit::Ending,
    failure::Failure,
    output::Tabular,
    serve::Ready,
};

const HELP: &str = "\
Examples:
  lanyard whoami
  kubectl exec deploy/app -- lanyard whoami --output json
  lanyard whoami --no-call      only where credentials are looked for, and which place wins
  lanyard whoami --ready-file ready.json      whose a key of that hub is

The places are those of the AWS CLI and boto3, in botocore's order: the environment, a role of the profile, a web identity (IRSA), IAM \
Identity Center, the credentials file, a login, a credential_process, the config file, a container (Pod Identity), the metadata service. \
The first that has any wins. Who it is is asked of the STS in effect: AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL, the profile's \
endpoint_url, for a hub's own credentials the hub of --ready-file, else that of the region. Of a hub's own credentials that STS is asked \
by which policies they are weighed, too (GetCallerPolicies, which needs no permission): each statement is a line, and so is each of a \
session policy; JSON and YAML have all of them. Where the hub is too old for that, or a statement denies it, its IAM is asked for the \
names: at AWS_ENDPOINT_URL_IAM, AWS_ENDPOINT_URL, the profile's endpoint_url, else where that STS is. No secret is shown.";

/// Where nothing says which region it is.
const REGION_DEFAULT: &str = "us-east-1";

/// The flags of `lanyard whoami`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct WhoamiArgs {
    /// Ask nobody: only say where credentials are looked for, and which place wins.
    #[arg(long)]
    no_call: bool,
}

/// What is told.
#[derive(Debug, Serialize)]
struct Told {
    /// The place that wins.
    source: Option<Source>,
    /// Why it does.
    why: String,
    /// Each place in order.
    places: Vec<Candidate>,
    /// Whose the credentials are.
    identity: Option<Who>,
    /// What they may do at the hub whose credentials they are, as far as it tells.
    permissions: Option<Permissions>,
    /// What to know of them, and the next step.
    notes: Vec<String>,
}

/// Whose credentials are.
#[derive(Debug, Serialize)]
struct Who {
    arn: String,
    account: String,
    user_id: String,
    /// What sort of principal it is.
    kind: &'static str,
    /// Who vouches for it: the STS that was asked.
    sts: String,
    access_key_id: String,
    /// The end, where whoever gave the credentials tells it.
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

impl Tabular for Told {
    fn columns(&self) -> Vec<&'static str> {
        vec!["PLACE", "STANDING", "WHY"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |place: &Candidate| {
            vec![
                crate::show::wire_name(&place.source),
                crate::show::wire_name(&place.standing),
                place.why.clone(),
            ]
        };
        self.places.iter().map(row).collect()
    }

    fn notes(&self) -> Vec<String> {
        let who = self.identity.iter().flat_map(|who| {
            [
                format!("you are {}", who.arn),
                format!(
                    "account {}, {} `{}`, key {}, says {}",
                    who.account, who.kind, who.user_id, who.access_key_id, who.sts
                ),
            ]
        });
        [String::new(), self.why.clone()].into_iter().chain(who).chain(self.notes.iter().cloned()).collect()
    }
}

impl WhoamiArgs {
    /// Says it.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let lookup = Lookup { profile: context.hub.profile.clone() };
        let settings = lookup.settings()?;
        let seen = surroundings(&lookup, &settings);
        let places = resolve(&seen);
        let used = places.iter().find(|place| place.standing == Standing::Used);
        let (source, why) = match used {
            Some(used) => (Some(used.source), won(used, &places)),
            None => (None, "no place has credentials".to_owned()),
        };
        let mut told = Told { source, why, places, identity: None, permissions: None, notes: Vec::new() };
        let Some(source) = source else {
            told.notes.push(format!("next: {}", next_step(administrator(context).as_deref())));
            context.show(&told)?;
            return Ok(Ending::No);
        };
        if self.no_call {
            return context.show(&told);
        }
        let asked_in = region(context, &seen, &settings, None)?;
        let (credentials, expires_at) = fetched(context, source, &lookup, &asked_in).await?;
        // A hub knows nobody by a key of AWS's, and its region may be a name of the site's own.
        let hub = if credentials.access_key_id.is_local() { context.hub.named_ready()? } else { None };
        let region = region(context, &seen, &settings, hub.as_ref())?;
        let ca = context.hub.ca.as_deref();
        let place = Endpoint::sts(&seen.environment, &settings, &region, ca, hub.as_ref())?;
        let caller = identity::ask(&place, &credentials, &region).await?;
        if credentials.access_key_id.is_local() {
            let iam = place.iam(&seen.environment, &settings)?;
            let (caller, by, sts, iam) = (&caller, &credentials, &place, iam.as_ref());
            let asking = Asking { source, caller, by, region: &region, sts, iam, hub: &context.hub };
            told.permissions = Box::pin(asking.ask()).await;
        }
        told.notes = lessons(source, &caller, &credentials, expires_at);
        told.notes.extend(told.permissions.iter().flat_map(Permissions::notes));
        told.identity = Some(Who {
            arn: caller.arn.to_string(),
            account: caller.account.to_string(),
            user_id: user_id(&caller),
            kind: kind(&caller),
            sts: place.shown(),
            access_key_id: credentials.access_key_id.to_string(),
            expires_at,
        });
        context.show(&told)
    }
}

/// Why a place wins over the others.
fn won(used: &Candidate, places: &[Candidate]) -> String {
    let name = |place: &Candidate| crate::show::wire_name(&place.source);
    let over: Vec<String> =
        places.iter().filter(|place| place.standing == Standing::PassedOver).map(name).collect();
    let first = format!("{} wins: {}, and no place before it has any", name(used), used.why);
    match over.is_empty() {
        true => first,
        false => format!("{first}; passed over: {}", over.join(", ")),
    }
}

/// The variables that are looked at.
const VARIABLES: [&str; 14] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_IAM",
    "AWS_ENDPOINT_URL",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_CA_BUNDLE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
];

fn surroundings(lookup: &Lookup, settings: &ProfileSettings) -> Surroundings {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let environment: BTreeMap<String, String> =
        VARIABLES.into_iter().filter_map(|name| Some((name.to_owned(), set(name)?))).collect();
    Surroundings {
        environment,
        profile: settings.profile.clone(),
        by_flag: lookup.profile.is_some(),
        credentials_file: settings.credentials_file.clone(),
        config_file: settings.config_file.clone(),
    }
}

fn region(
    context: &Context,
    seen: &Surroundings,
    settings: &ProfileSettings,
    hub: Option<&Ready>,
) -> Result<Region, Failure> {
    let variable = |name: &str| seen.environment.get(name).cloned();
    let text = context
        .hub
        .region
        .clone()
        .or_else(|| variable("AWS_REGION"))
        .or_else(|| variable("AWS_DEFAULT_REGION"))
        .or_else(|| settings.get("region"))
        .or_else(|| hub.map(|ready| ready.region.clone()));
    Region::parse(text.as_deref().unwrap_or(REGION_DEFAULT)).map_err(Failure::usage)
}

/// The credentials of the place that wins, and their end where that is told.
async fn fetched(
    context: &Context,
    source: Source,
    lookup: &Lookup,
    region: &Region,
) -> Result<(Credentials, Option<OffsetDateTime>), Failure> {
    let place = match source {
        Source::Environment | Source::CredentialsFile | Source::ConfigFile => {
            return Ok((lookup.find()?.credentials, None));
        }
        Source::CredentialProcess => return Ok((lookup.of_process()?, None)),
        Source::Sso | Source::Login => {
            let message = "these credentials come from a login, which the AWS CLI keeps: hand them over with a profile that has \
                           `credential_process = aws configure export-credentials --profile NAME`";
            return Err(Failure::usage(message));
        }
        Source::AssumeRole => CredentialPlace::Profile,
        Source::WebIdentity => CredentialPlace::WebIdentity,
        Source::Container => CredentialPlace::Container,
        Source::InstanceMetadata => CredentialPlace::InstanceMetadata,
    };
    let found = CredentialSource::at(place, lookup.asked().as_deref(), region);
    found
        .found(SystemClock.now())
        .await
        .map_err(|fault| Failure::NoAnswer(none_there(source, &fault, administrator(context).as_deref())))
}

/// Where the hub of a ready-file that somebody named has its administrator's credentials. Other commands sign with those where there
/// are none; AWS's tools, whose places these are, know nothing of a ready-file.
fn administrator(context: &Context) -> Option<PathBuf> {
    let ready = context.hub.named_ready().ok().flatten()?;
    Some(ready.credentials).filter(|path| path.exists())
}

/// What to do where no place has credentials.
fn next_step(administrator: Option<&Path>) -> String {
    match administrator {
        Some(path) => format!(
            "the hub of the ready-file has its administrator's in `{}`: AWS's tools, and this command, take them where \
             AWS_SHARED_CREDENTIALS_FILE names that",
            path.display()
        ),
        None => "set AWS_PROFILE, or give the pod an association (`lanyard associate --help`)".to_owned(),
    }
}

/// Why a place that should have credentials gives none: the fault itself is in a hub's words, and there is none here.
fn none_there(source: Source, fault: &AwsFault, administrator: Option<&Path>) -> String {
    let AwsFault::NoCredentials { reason } = fault else { return fault.to_string() };
    let next = match source {
        Source::InstanceMetadata => format!("nor does any place before it: {}", next_step(administrator)),
        Source::Container => {
            "see that the pod's association has a role (`lanyard association list CLUSTER`)".to_owned()
        }
        Source::WebIdentity => {
            "see that the token's file is there, and that the role trusts who issued it".to_owned()
        }
        _ => "see what the profile names as its role and as its source".to_owned(),
    };
    let name = crate::show::wire_name(&source);
    format!("`{name}` gives no credentials ({}); {next}", reason.trim_end_matches(", see the log"))
}

/// As STS writes it: a session's with its name.
fn user_id(caller: &CallerIdentity) -> String {
    match (&caller.arn.kind, caller.session_name()) {
        (PrincipalKind::Root, _) => caller.account.to_string(),
        (_, Some(session)) => format!("{}:{session}", caller.principal_id.as_str()),
        _ => caller.principal_id.as_str().to_owned(),
    }
}

fn kind(caller: &CallerIdentity) -> &'static str {
    match caller.arn.kind {
        PrincipalKind::Root => "the account itself",
        PrincipalKind::User { .. } => "user",
        PrincipalKind::Role { .. } => "role",
        PrincipalKind::AssumedRole { .. } => "role session",
        PrincipalKind::FederatedUser { .. } => "federated user",
    }
}

/// For how long such credentials last, and where they count.
fn lessons(
    source: Source,
    caller: &CallerIdentity,
    credentials: &Credentials,
    expires_at: Option<OffsetDateTime>,
) -> Vec<String> {
    let mut lessons = Vec::new();
    lessons.push(match (expires_at, &credentials.session_token) {
        (Some(end), _) => {
            let left = (end - SystemClock.now()).whole_minutes().max(0);
            format!("they last {left} more minutes; SDKs fetch new ones before that")
        }
        (None, Some(_)) => "they end when whoever gave them said, which stands nowhere here".to_owned(),
        (None, None) => "they are a long-term key: they last until somebody takes the key away".to_owned(),
    });
    let whom = match &caller.arn.kind {
        PrincipalKind::AssumedRole { role, .. } => {
            format!("the policies of role `{role}`, and a session policy if it has one,")
        }
        _ => "the principal's policies".to_owned(),
    };
    lessons.push(match credentials.access_key_id.is_local() {
        true => "in a cluster the access entry of this ARN says what they may do (`lanyard explain`); at AWS nothing, for the key is a \
                 hub's"
            .to_owned(),
        false => format!("{whom} say what they may do at AWS, or at the STS that gave them"),
    });
    if source == Source::Container {
        lessons.push(
            "a pod gets them by its association: `lanyard association list CLUSTER` shows which".to_owned(),
        );
    }
    lessons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_no_credentials_is_told_where_a_named_hub_has_some() {
        let fault = AwsFault::NoCredentials { reason: "no answer, see the log".to_owned() };
        let told = |source: Source| none_there(source, &fault, Some(Path::new("/hub/credentials")));
        let of_metadata = told(Source::InstanceMetadata);
        assert!(
            of_metadata.starts_with("`instance-metadata` gives no credentials (no answer); nor does any"),
            "{of_metadata}"
        );
        assert!(
            of_metadata.contains("`/hub/credentials`") && of_metadata.contains("AWS_SHARED_CREDENTIALS_FILE")
        );
        assert!(!told(Source::Container).contains("/hub"), "a pod's are its own");
        assert!(none_there(Source::InstanceMetadata, &fault, None).ends_with(&next_step(None)));
        assert!(next_step(None).starts_with("set AWS_PROFILE"));
    }
}
