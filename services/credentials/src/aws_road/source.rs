//! [`AwsSource`]: credentials of pods from AWS STS.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use lanyard_api::{
    CallError, Fault,
    credentials::{AwsRoad, SessionCredentials, VendedUser},
};
use lanyard_aws::{AssumeRefusal, AssumeRoleAsked, AssumedBy, AssumedRole, AwsFault, RoleSessionAsked};
use lanyard_iam::PrincipalArn;
use lanyard_kit::Clock;
use secrecy::SecretString;

use super::{
    Road, faults,
    issuer::{AUDIENCE, IssuerTokens, TokenAsked, tag_claims},
    lifetime::{may_be_shorter, session_seconds},
    spelled, subject,
};
use crate::{
    Credentials,
    rules::SESSION_SECONDS_MIN,
    vend::{CredentialSource, Decided, SourceError, Sourced},
};

/// Gives credentials of roles that AWS keeps, by the road that the association names. Of what a session descends from AWS knows
/// nothing: an association that goes, or a block, ends no session that AWS has given, only what comes after, for whoever vends asks no source
/// on behalf of whom a block stops.
#[derive(Clone)]
pub struct AwsSource<T> {
    road: Road,
    tokens: T,
    clock: Arc<dyn Clock>,
}

/// Which role of an association a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hop {
    Role,
    Target,
}

impl<T> std::fmt::Debug for AwsSource<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsSource").field("road", &self.road).finish_non_exhaustive()
    }
}

impl Credentials {
    /// What gives the credentials of roles that AWS keeps; nothing where this hub does not call AWS in its own name.
    #[must_use]
    pub fn aws_source(&self) -> Option<AwsSource<Self>> {
        let road = self.road()?.clone();
        Some(AwsSource::new(road, self.clone(), Arc::clone(self.store().clock())))
    }
}

impl<T: IssuerTokens> AwsSource<T> {
    pub(crate) fn new(road: Road, tokens: T, clock: Arc<dyn Clock>) -> Self {
        Self { road, tokens, clock }
    }

    /// The session of the association's own role.
    async fn of_role(&self, decided: &Decided, road: AwsRoad) -> Result<AssumedRole, SourceError> {
        let role = &decided.association.role_arn;
        let is_chained = match road {
            AwsRoad::HubPrincipal => self.is_session().await?,
            AwsRoad::Issuer => false,
        };
        let session = |seconds| RoleSessionAsked {
            role,
            session_name: &decided.session_name,
            seconds,
            session_policy: match decided.target {
                Some(_) => None,
                None => decided.session_policy.as_deref(),
            },
        };
        // A session that is used once, to assume the target role.
        if decided.target.is_some() {
            let made = self.made(decided, road, session(SESSION_SECONDS_MIN)).await?;
            return made.map_err(|fault| refused(fault, Hop::Role, role, road));
        }
        let now = self.clock.now();
        let role_max = match is_chained {
            true => None,
            false => self.road.role_max(role, now).await,
        };
        let seconds = session_seconds(decided.seconds_max, role_max, is_chained);
        let made = match self.made(decided, road, session(seconds)).await? {
            Err(AwsFault::Refused(refusal))
                if refusal.of_role() == AssumeRefusal::Parameter && may_be_shorter(seconds) =>
            {
                let shorter = self.road.learn_shorter(role, seconds, now);
                self.made(decided, road, session(shorter)).await?
            }
            made => made,
        };
        made.map_err(|fault| refused(fault, Hop::Role, role, road))
    }

    /// A session of the association's role, by its road. The outer error is of the hub's own signing.
    async fn made(
        &self,
        decided: &Decided,
        road: AwsRoad,
        session: RoleSessionAsked<'_>,
    ) -> Result<Result<AssumedRole, AwsFault>, SourceError> {
        let (cluster, pod) = (&decided.cluster, &decided.pod);
        match road {
            AwsRoad::HubPrincipal => {
                let external_id = self.road.external_id(cluster, &pod.namespace, &pod.service_account);
                let transitive_keys: BTreeSet<String> = decided.tags.keys().cloned().collect();
                let asked = AssumeRoleAsked {
                    session,
                    tags: &decided.tags,
                    transitive_keys: &transitive_keys,
                    external_id: Some(&external_id),
                };
                Ok(self.road.aws().assume_role(AssumedBy::Hub, asked).await)
            }
            AwsRoad::Issuer => {
                let asked = TokenAsked {
                    subject: subject(&pod.namespace, &pod.service_account),
                    audience: AUDIENCE.to_owned(),
                    claims: tag_claims(&decided.tags),
                };
                let token = self.tokens.token(cluster.uid, asked).await?;
                Ok(self.road.aws().assume_role_with_web_identity(&token, session).await)
            }
        }
    }

    /// Whether the hub is a session of a role itself.
    async fn is_session(&self) -> Result<bool, SourceError> {
        let caller = self.road.aws().caller().await.map_err(|fault| faulty(&fault))?;
        Ok(matches!(caller.arn.kind, lanyard_iam::PrincipalKind::AssumedRole { .. }))
    }

    /// An association that was written without a try is tried before it is of use.
    async fn tried(&self, decided: &Decided, road: AwsRoad) -> Result<(), SourceError> {
        let association = &decided.association;
        let key = (association.id.to_string(), association.modified_at.unix_timestamp_nanos());
        if !association.unprobed || self.road.inner.tried.get(&key).is_some() {
            return Ok(());
        }
        let finding = self.road.probe(&self.tokens, &decided.cluster, association, road).await?;
        match finding.refusal(association, road) {
            None => {
                self.road.inner.tried.insert(key, ());
                Ok(())
            }
            Some((code, text)) => Err(SourceError::Refused { code: Cow::Borrowed(code), text }),
        }
    }
}

impl<T: IssuerTokens> CredentialSource for AwsSource<T> {
    async fn credentials(&self, decided: &Decided) -> Result<Sourced, SourceError> {
        let association = &decided.association;
        let Some(road) = association.aws_road else {
            let text = format!(
                "the association of `{}/{}` was made before the account of `{}` was one of AWS's: update it",
                association.namespace, association.service_account, association.role_arn
            );
            return Err(SourceError::Refused { code: Cow::Borrowed("aws_road"), text });
        };
        self.tried(decided, road).await?;
        let first = self.of_role(decided, road).await?;
        let Some(target) = &decided.target else {
            return Ok(sourced(first, association.role_arn.clone()));
        };
        let none = Default::default();
        let asked = AssumeRoleAsked {
            session: RoleSessionAsked {
                role: &target.role_arn,
                session_name: &decided.session_name,
                seconds: session_seconds(decided.seconds_max, None, true),
                session_policy: decided.session_policy.as_deref(),
            },
            // Those of the first session are transitive.
            tags: &none,
            transitive_keys: &BTreeSet::new(),
            external_id: target.external_id.as_deref(),
        };
        let second = self.road.aws().assume_role(AssumedBy::Session(&first.credentials), asked).await;
        let second = second.map_err(|fault| refused(fault, Hop::Target, &target.role_arn, road))?;
        Ok(sourced(second, target.role_arn.clone()))
    }
}

fn sourced(made: AssumedRole, role_arn: PrincipalArn) -> Sourced {
    let AssumedRole { credentials, expires_at, arn, assumed_role_id, .. } = made;
    let token = credentials.session_token.as_ref().map(|token| token.expose().to_owned());
    Sourced {
        credentials: SessionCredentials {
            access_key_id: credentials.access_key_id,
            secret_access_key: SecretString::from(credentials.secret_access_key.expose()),
            session_token: SecretString::from(token.unwrap_or_default()),
            expires_at,
        },
        user: VendedUser { arn: arn.to_string(), id: assumed_role_id },
        role_arn,
    }
}

fn faulty(fault: &AwsFault) -> SourceError {
    CallError::from(faults::shown(fault)).into()
}

/// What STS's no, or its silence, is to the pod.
fn refused(fault: AwsFault, hop: Hop, role: &PrincipalArn, road: AwsRoad) -> SourceError {
    let AwsFault::Refused(refusal) = &fault else { return faulty(&fault) };
    let no = |code: &'static str, text: String| SourceError::Refused { code: Cow::Borrowed(code), text };
    match (refusal.of_role(), hop) {
        (AssumeRefusal::NotTrusted, Hop::Role) => no(
            "role_trust",
            format!(
                "AWS does not let the hub assume `{role}` by {}: its trust policy has changed, or it is gone; `lanyard associate \
                 --print-trust-policy` shows what it needs",
                spelled(road)
            ),
        ),
        (AssumeRefusal::NotTrusted, Hop::Target) => no(
            "target_trust",
            format!(
                "AWS does not let the association's role assume `{role}`: let the role do `sts:AssumeRole` there, and have the target \
                 role trust it"
            ),
        ),
        (AssumeRefusal::TokenRefused, _) => no(
            "aws_issuer_provider",
            format!(
                "account {} has no OIDC provider for the cluster's issuer with the client id `{AUDIENCE}`: make one there",
                role.account
            ),
        ),
        (AssumeRefusal::MalformedPolicy, _) => no(
            "malformed_policy_document",
            "AWS does not take the association's session policy: mend it".to_owned(),
        ),
        (AssumeRefusal::PackedPolicyTooLarge, _) => no(
            "packed_policy_too_large",
            "session policy and tags are too large for a session of AWS: make the policy shorter".to_owned(),
        ),
        (AssumeRefusal::RegionDisabled, _) => no(
            "region_disabled",
            format!(
                "account {} has not enabled the region whose STS the hub asks (aws.region)",
                role.account
            ),
        ),
        (AssumeRefusal::Parameter, _) => no(
            "parameter",
            format!("AWS does not take what is asked of `{role}`: its sessions may be shorter"),
        ),
        (AssumeRefusal::IssuerUnreachable, _) => SourceError::Fault(Fault::Unavailable {
            part: "AWS STS".into(),
            detail: "it cannot fetch the keys of the cluster's issuer".into(),
        }),
        // The hub's own credentials, or something unheard of: no word about the role.
        (AssumeRefusal::Expired | AssumeRefusal::Other, _) => faulty(&fault),
    }
}
