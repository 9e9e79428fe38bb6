//! `lanyard iam assume-role-with-web-identity`: a session of a local role by a token of an OIDC issuer.

use clap::Args;
use lanyard_api::credentials::{AssumeRoleWithWebIdentity, Sessions};

use super::shown::{FormArgs, Shown};
use crate::{cli::Context, exit::Ending, failure::Failure, hub, input::Source};

const HELP: &str = "\
Examples:
  lanyard iam assume-role-with-web-identity arn:aws:iam::111122223333:role/ci --session-name run-17 --token-file token
  eval \"$(lanyard iam assume-role-with-web-identity \"$AWS_ROLE_ARN\" --session-name pod --export)\"

The token is the proof, so no credentials are needed. Its issuer has to be an OIDC provider of the role's account (`lanyard iam \
oidc-provider create`), it has to be for one of the provider's client ids, and the role's trust policy has to let its subject in:
  {\"Effect\": \"Allow\", \"Action\": \"sts:AssumeRoleWithWebIdentity\",
   \"Principal\": {\"Federated\": \"arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com\"},
   \"Condition\": {\"StringEquals\": {\"token.actions.githubusercontent.com:aud\": \"sts.amazonaws.com\"},
                 \"StringLike\": {\"token.actions.githubusercontent.com:sub\": \"repo:octo-org/octo-repo:*\"}}}";

/// The flags of `lanyard iam assume-role-with-web-identity`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct AssumeRoleWithWebIdentityArgs {
    /// The role's whole ARN, path included.
    role_arn: String,
    /// The session's name; it stands in the ARN that clusters see.
    #[arg(long, value_name = "NAME")]
    session_name: String,
    /// A file with the token (a JWT); `-` is standard input.
    #[arg(long, value_name = "FILE", env = "AWS_WEB_IDENTITY_TOKEN_FILE", hide_env_values = true)]
    token_file: Source,
    /// How long it lives, 900 to the role's maximum; 0 means 3600.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    duration_seconds: u32,
    /// A policy document (JSON) that narrows the session; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    session_policy: Option<Source>,
    #[command(flatten)]
    form: FormArgs,
}

impl AssumeRoleWithWebIdentityArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let query = AssumeRoleWithWebIdentity {
            role_arn: self.role_arn,
            session_name: self.session_name,
            web_identity_token: self.token_file.read()?.trim().into(),
            duration_seconds: self.duration_seconds,
            session_policy: self.session_policy.as_ref().map(Source::read).transpose()?,
        };
        let remote = hub::unsigned(&context.hub).await?;
        let session = remote.assume_role_with_web_identity(None, query).await;
        let file = self.session_policy.as_ref().map(Source::name);
        let session = session.map_err(|error| Failure::in_file(error, "session_policy", file.as_deref()))?;
        self.form.show(context, &Shown::from(session))
    }
}
