//! A session as it is shown: whoever asks for it gets its secrets.

use clap::Args;
use lanyard_api::credentials::{RoleSession, SessionCredentials, WebIdentitySession};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;

use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    input::moment_text,
    output::{Tabular, line},
};

/// In which form a session is printed.
#[derive(Debug, Clone, Copy, Args)]
pub struct FormArgs {
    /// Print shell lines that put the session into the environment.
    #[arg(long, conflicts_with = "credential_process")]
    export: bool,
    /// Print what AWS tools read from a `credential_process`.
    #[arg(long)]
    credential_process: bool,
}

impl FormArgs {
    /// Prints it.
    pub(super) fn show(self, context: &Context, session: &Shown) -> Result<Ending, Failure> {
        match (self.export, self.credential_process) {
            (true, _) => line(&session.export())?,
            (false, true) => line(&session.credential_process())?,
            (false, false) => context.output.show(session)?,
        }
        Ok(Ending::Yes)
    }
}

/// A session with its secrets; of a role also who it is, and of a web identity whose token made it.
#[derive(Default, Serialize)]
pub(super) struct Shown {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expires_at: String,
    #[serde(flatten)]
    role: Option<OfRole>,
    #[serde(flatten)]
    web_identity: Option<OfWebIdentity>,
}

#[derive(Serialize)]
struct OfRole {
    arn: String,
    assumed_role_id: String,
    packed_policy_percent: u32,
}

#[derive(Serialize)]
struct OfWebIdentity {
    provider: String,
    audience: String,
    subject: String,
    source_identity: Option<String>,
}

impl From<RoleSession> for Shown {
    fn from(session: RoleSession) -> Self {
        let RoleSession { access_key_id, secret_access_key, session_token, expires_at, .. } = session;
        let role = OfRole {
            arn: session.arn,
            assumed_role_id: session.assumed_role_id,
            packed_policy_percent: session.packed_policy_percent,
        };
        let credentials = SessionCredentials { access_key_id, secret_access_key, session_token, expires_at };
        Self { role: Some(role), ..Self::from(credentials) }
    }
}

impl From<WebIdentitySession> for Shown {
    fn from(made: WebIdentitySession) -> Self {
        let WebIdentitySession { session, provider, audience, subject, source_identity } = made;
        let web_identity = Some(OfWebIdentity { provider, audience, subject, source_identity });
        Self { web_identity, ..Self::from(session) }
    }
}

/// A session as AWS tools read it from a `credential_process`.
pub(in crate::commands) fn process_json(session: &SessionCredentials) -> String {
    Shown::from(session).credential_process()
}

impl From<SessionCredentials> for Shown {
    fn from(session: SessionCredentials) -> Self {
        Self::from(&session)
    }
}

impl From<&SessionCredentials> for Shown {
    fn from(session: &SessionCredentials) -> Self {
        Self {
            access_key_id: session.access_key_id.to_string(),
            secret_access_key: session.secret_access_key.expose_secret().to_owned(),
            session_token: session.session_token.expose_secret().to_owned(),
            expires_at: moment_text(session.expires_at),
            role: None,
            web_identity: None,
        }
    }
}

impl Tabular for Shown {
    fn columns(&self) -> Vec<&'static str> {
        vec!["FIELD", "VALUE"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let role = self.role.iter().map(|role| ("arn", &role.arn));
        let of_token =
            |of: &OfWebIdentity| [("provider", of.provider.clone()), ("subject", of.subject.clone())];
        let web_identity: Vec<_> = self.web_identity.iter().flat_map(of_token).collect();
        let own = [
            ("expires at", &self.expires_at),
            ("access key id", &self.access_key_id),
            ("secret access key", &self.secret_access_key),
            ("session token", &self.session_token),
        ];
        let whose = web_identity.iter().map(|(name, value)| (*name, value));
        role.chain(whose).chain(own).map(|(name, value)| vec![name.to_owned(), value.clone()]).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown() -> Shown {
        Shown {
            access_key_id: "LSIAAAAAAAAAAAAAAAAA".to_owned(),
            secret_access_key: "a'b/+=".to_owned(),
            session_token: "t".to_owned(),
            expires_at: "2030-01-01T00:00:00Z".to_owned(),
            ..Shown::default()
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

    #[test]
    fn a_session_says_whose_it_is_where_it_is_a_roles() {
        let of = |shown: &Shown| serde_json::to_value(shown).unwrap();
        assert_eq!(of(&shown()).get("arn"), None);
        let role = OfRole { arn: "a".to_owned(), assumed_role_id: "i".to_owned(), packed_policy_percent: 1 };
        let web_identity = OfWebIdentity {
            provider: "p".to_owned(),
            audience: "u".to_owned(),
            subject: "s".to_owned(),
            source_identity: None,
        };
        let whole = Shown { role: Some(role), web_identity: Some(web_identity), ..shown() };
        assert_eq!((&of(&whole)["arn"], &of(&whole)["subject"]), (&json!("a"), &json!("s")));
        assert_eq!(whole.rows().len(), shown().rows().len() + 3);
    }
}
