//! A role of the hub itself, for keys of the hub.

use lanyard_api::{
    credentials::{AssumeRole, Sessions},
    grpc::admitted_at_the_door,
};
use lanyard_iam::{Credentials, PrincipalArn, SecretAccessKey, SessionToken};
use secrecy::ExposeSecret;

use crate::{cli::Context, failure::Failure, hub::Hub};

/// A session of the role, by a signed call of these credentials.
pub(super) async fn assume(
    context: &Context,
    by: Credentials,
    role: &PrincipalArn,
    session_name: &str,
) -> Result<Credentials, Failure> {
    let hub = Hub::connect_as(&context.hub, by).await?;
    let query = AssumeRole {
        role_arn: role.to_string(),
        session_name: session_name.to_owned(),
        ..AssumeRole::default()
    };
    let session = hub.remote().assume_role(admitted_at_the_door(), query).await?;
    Ok(Credentials {
        access_key_id: session.access_key_id,
        secret_access_key: SecretAccessKey::new(session.secret_access_key.expose_secret().to_owned()),
        session_token: Some(SessionToken::new(session.session_token.expose_secret().to_owned())),
    })
}
