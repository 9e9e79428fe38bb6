//! Sessions: `lanyard iam assume-role`, and beside it by a web identity's token, and a user's own.

mod own;
mod shown;
mod web_identity;

use std::collections::BTreeMap;

use clap::Args;
use lanyard_api::{
    credentials::{AssumeRole, Sessions},
    grpc::admitted_at_the_door,
};

pub(in crate::commands) use self::shown::process_json;
use self::shown::{FormArgs, Shown};
pub(super) use self::{own::GetSessionTokenArgs, web_identity::AssumeRoleWithWebIdentityArgs};
use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::Hub,
    input::{Source, key_value},
};

pub(super) const HELP: &str = "\
Examples:
  lanyard iam assume-role arn:aws:iam::111122223333:role/ci --session-name run-17 --tag run=17
  eval \"$(lanyard iam assume-role arn:aws:iam::111122223333:role/ci --session-name ana --export)\"

In ~/.aws/config, for all AWS tools:
  [profile ci]
  credential_process = lanyard iam assume-role ROLE_ARN --session-name ana --credential-process";

/// The flags of `lanyard iam assume-role`.
#[derive(Debug, Args)]
pub struct AssumeRoleArgs {
    /// The role's whole ARN, path included.
    role_arn: String,
    /// The session's name; it stands in the ARN that clusters see.
    #[arg(long, value_name = "NAME")]
    session_name: String,
    /// How long it lives, 900 to the role's maximum; 0 means 3600.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    duration_seconds: u32,
    /// A session tag; may be given again.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = key_value)]
    tags: Vec<(String, String)>,
    /// The key of a tag that chained sessions inherit; may be given again.
    #[arg(long = "transitive-tag-key", value_name = "KEY")]
    transitive_tag_keys: Vec<String>,
    /// What the trust policy may ask for.
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    /// Who is behind it; kept through chaining.
    #[arg(long, value_name = "NAME")]
    source_identity: Option<String>,
    /// A policy document (JSON) that narrows the session; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    session_policy: Option<Source>,
    #[command(flatten)]
    form: FormArgs,
}

impl AssumeRoleArgs {
    pub(super) async fn run(self, context: &Context, hub: &Hub) -> Result<Ending, Failure> {
        let query = AssumeRole {
            role_arn: self.role_arn,
            session_name: self.session_name,
            duration_seconds: self.duration_seconds,
            tags: BTreeMap::from_iter(self.tags),
            transitive_tag_keys: self.transitive_tag_keys,
            external_id: self.external_id,
            source_identity: self.source_identity,
            session_policy: self.session_policy.as_ref().map(Source::read).transpose()?,
        };
        let session = hub.remote().assume_role(admitted_at_the_door(), query).await;
        let file = self.session_policy.as_ref().map(Source::name);
        let session = session.map_err(|error| Failure::in_file(error, "session_policy", file.as_deref()))?;
        self.form.show(context, &Shown::from(session))
    }
}
