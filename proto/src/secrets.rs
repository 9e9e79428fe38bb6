//! `Debug` for the messages that hold secrets: it names the message and what may be known of it.

use std::fmt::{Debug, Formatter, Result};

use crate::{
    authn::v1 as authn, credentials::v1 as credentials, gateway::v1 as gateway, mapping::v1 as mapping,
    spoke::v1 as spoke,
};

macro_rules! redacted {
    ($($message:ty { $($shown:ident),* })+) => {$(
        impl Debug for $message {
            fn fmt(&self, f: &mut Formatter<'_>) -> Result {
                let name = stringify!($message).rsplit("::").next().unwrap_or_default().trim();
                f.debug_struct(name)$(.field(stringify!($shown), &self.$shown))*.finish_non_exhaustive()
            }
        }
    )+};
}

redacted! {
    authn::AuthenticateRequest { cluster_uid, audiences, explain }
    authn::AdmitRequest { method, authority, source_ip, certificate_principal }
    authn::AdmitAwsRequest { method, path, authority, source_ip }
    authn::AdmittedAws { actor, method }
    authn::Header { name }
    authn::AccessKeyCreated { key, mutated }
    mapping::ResolveBreakGlassRequest { cluster_uid }
    mapping::SpokeCredentialCreated { credential, mutated }
    mapping::BreakGlassArmed { break_glass, mutated }
    mapping::PutSpokeKubeconfigRequest { cluster, context }
    mapping::SpokeLoan { version, lifetime_seconds }
    credentials::RoleSession { access_key_id, expires_at, arn, assumed_role_id }
    credentials::SessionCredentials { access_key_id, expires_at }
    credentials::AssumeRoleWithWebIdentityRequest { role_arn, session_name, duration_seconds }
    credentials::ExchangeCallerIdentityRequest { duration_seconds }
    credentials::AssumeRoleForPodIdentityRequest { cluster, node_name }
    credentials::MutatePodRequest { cluster_uid, namespace, required }
    spoke::ReviewPodRequest { cluster_uid }
    gateway::ExplainRequest { cluster, attributes }
}

impl Debug for gateway::explain_request::Who {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Token(_) => f.write_str("Token(..)"),
            Self::Principal(principal) => principal.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "hush-hush";

    #[test]
    fn immunity_27_messages_with_secrets_do_not_print_them() {
        let secret = || SECRET.to_owned();
        let header = authn::Header { name: "authorization".into(), value: secret() };
        let shown = [
            format!("{:?}", authn::AuthenticateRequest { token: secret(), ..Default::default() }),
            format!("{:?}", authn::AdmitRequest { headers: vec![header.clone()], ..Default::default() }),
            format!("{:?}", authn::AdmitRequest { body: SECRET.into(), ..Default::default() }),
            format!("{:?}", authn::AdmitAwsRequest { query: secret(), ..Default::default() }),
            format!("{:?}", authn::AdmitAwsRequest { headers: vec![header.clone()], ..Default::default() }),
            format!("{:?}", authn::AdmittedAws { page_key: SECRET.into(), ..Default::default() }),
            format!("{header:?}"),
            format!(
                "{:?}",
                credentials::AssumeRoleWithWebIdentityRequest {
                    web_identity_token: secret(),
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                credentials::ExchangeCallerIdentityRequest { presigned_url: secret(), ..Default::default() }
            ),
            format!(
                "{:?}",
                credentials::SessionCredentials { session_token: secret(), ..Default::default() }
            ),
            format!(
                "{:?}",
                credentials::AssumeRoleForPodIdentityRequest { token: secret(), ..Default::default() }
            ),
            format!("{:?}", spoke::ReviewPodRequest { token: secret(), ..Default::default() }),
            format!("{:?}", credentials::MutatePodRequest { pod: SECRET.into(), ..Default::default() }),
            format!("{:?}", authn::AccessKeyCreated { secret: secret(), ..Default::default() }),
            format!("{:?}", mapping::ResolveBreakGlassRequest { credential: secret(), ..Default::default() }),
            format!("{:?}", mapping::SpokeCredentialCreated { token: secret(), ..Default::default() }),
            format!("{:?}", mapping::BreakGlassArmed { token: secret(), ..Default::default() }),
            format!(
                "{:?}",
                mapping::PutSpokeKubeconfigRequest { kubeconfig: secret(), ..Default::default() }
            ),
            format!("{:?}", mapping::SpokeLoan { kubeconfig: Some(secret()), ..Default::default() }),
            format!("{:?}", credentials::RoleSession { secret_access_key: secret(), ..Default::default() }),
            format!("{:?}", credentials::RoleSession { session_token: secret(), ..Default::default() }),
            format!("{:?}", gateway::explain_request::Who::Token(secret())),
            format!(
                "{:?}",
                gateway::ExplainRequest {
                    who: Some(gateway::explain_request::Who::Token(secret())),
                    ..Default::default()
                }
            ),
        ];
        for text in shown {
            assert!(!text.contains(SECRET), "{text}");
        }
    }

    #[test]
    fn what_is_not_secret_is_shown_under_the_name_of_the_message() {
        let request = authn::AuthenticateRequest { cluster_uid: "c1".into(), ..Default::default() };
        assert_eq!(
            format!("{request:?}"),
            r#"AuthenticateRequest { cluster_uid: "c1", audiences: [], explain: false, .. }"#
        );
    }
}
