//! `lanyard iam assume-role`: a session of a local role.

use std::collections::BTreeMap;

use clap::Args;
use lanyard_api::{
    credentials::{AssumeRole, RoleSession, Sessions},
    grpc::admitted_at_the_door,
};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;

use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::Hub,
    input::{Source, key_value, moment_text},
    output::{Tabular, line},
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
    /// Print shell lines that put the session into the environment.
    #[arg(long, conflicts_with = "credential_process")]
    export: bool,
    /// Print what AWS tools read from a `credential_process`.
    #[arg(long)]
    credential_process: bool,
}

/// A session as it is shown: whoever asks for it gets its secrets.
#[derive(Serialize)]
struct Shown {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expires_at: String,
    arn: String,
    assumed_role_id: String,
    packed_policy_percent: u32,
}

impl From<RoleSession> for Shown {
    fn from(session: RoleSession) -> Self {
        Self {
            access_key_id: session.access_key_id.to_string(),
            secret_access_key: session.secret_access_key.expose_secret().to_owned(),
            session_token: session.session_token.expose_secret().to_owned(),
            expires_at: moment_text(session.expires_at),
            arn: session.arn,
            assumed_role_id: session.assumed_role_id,
            packed_policy_percent: session.packed_policy_percent,
        }
    }
}

impl Tabular for Shown {
    fn columns(&self) -> Vec<&'static str> {
        vec!["FIELD", "VALUE"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        [
            ("arn", &self.arn),
            ("expires at", &self.expires_at),
            ("access key id", &self.access_key_id),
            ("secret access key", &self.secret_access_key),
            ("session token", &self.session_token),
        ]
        .map(|(name, value)| vec![name.to_owned(), value.clone()])
        .to_vec()
    }
}

impl Shown {
    /// Keys and tokens hold nothing that a shell reads otherwise, but quotes cost nothing.
    fn export(&self) -> String {
        let line = |name: &str, value: &str| format!("export {name}='{}'", value.replace('\'', r"'\''"));
        [
            line("AWS_ACCESS_KEY_ID", &self.access_key_id),
            line("AWS_SECRET_ACCESS_KEY", &self.secret_access_key),
            line("AWS_SESSION_TOKEN", &self.session_token),
        ]
        .join("\n")
    }

    /// Version 1 of the process credential provider.
    fn credential_process(&self) -> String {
        json!({
            "Version": 1,
            "AccessKeyId": self.access_key_id,
            "SecretAccessKey": self.secret_access_key,
            "SessionToken": self.session_token,
            "Expiration": self.expires_at,
        })
        .to_string()
    }
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
            session_policy: self.session_policy.map(|source| source.read()).transpose()?,
        };
        let session = Shown::from(hub.remote().assume_role(admitted_at_the_door(), query).await?);
        match (self.export, self.credential_process) {
            (true, _) => line(&session.export())?,
            (false, true) => line(&session.credential_process())?,
            (false, false) => context.output.show(&session)?,
        }
        Ok(Ending::Yes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown() -> Shown {
        Shown {
            access_key_id: "LSIAAAAAAAAAAAAAAAAA".to_owned(),
            secret_access_key: "a'b/+=".to_owned(),
            session_token: "t".to_owned(),
            expires_at: "2030-01-01T00:00:00Z".to_owned(),
            arn: "arn:aws:sts::111122223333:assumed-role/deployer/ana".to_owned(),
            assumed_role_id: "AROA:ana".to_owned(),
            packed_policy_percent: 1,
        }
    }

    #[test]
    fn a_shell_reads_back_what_is_exported() {
        let script = format!("{}\nprintf %s \"$AWS_SECRET_ACCESS_KEY\"", shown().export());
        let said = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(said.stdout).unwrap(), "a'b/+=");
    }

    #[test]
    fn aws_tools_get_the_form_they_read() {
        let value: serde_json::Value = serde_json::from_str(&shown().credential_process()).unwrap();
        assert_eq!((&value["Version"], &value["Expiration"]), (&json!(1), &json!("2030-01-01T00:00:00Z")));
        assert_eq!(value["AccessKeyId"], "LSIAAAAAAAAAAAAAAAAA");
    }
}
