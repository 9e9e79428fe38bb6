//! What credentials promises: role sessions, what is known of the workloads of clusters, which of these get which role, and the
//! credentials that their pods get.

mod associations;
mod client;
mod convert;
mod issuers;
mod pods;
pub mod server;
mod vend;
mod vend_record;
mod workloads;

use std::{collections::BTreeMap, future::Future, net::IpAddr};

use lanyard_iam::{AccessKeyId, AccountId, PrincipalKind};
use secrecy::SecretString;
use time::OffsetDateTime;

use crate::{
    fault::CallError,
    identity::{Actor, ActorKind, Authority, Vouched},
};

pub use associations::{
    ANY_CLUSTER_TAG, AWS_ROAD_TAG, Associations, AwsRoad, CreatePodIdentityAssociation, POD_IDENTITY_SERVICE,
    PodIdentityAssociation, PodIdentityAssociationDetail, PodIdentityAssociationFilter,
    PodIdentityAssociationId, PodIdentityAssociationRef, ProposeTrust, TrustProposal,
    UpdatePodIdentityAssociation,
};
pub use issuers::{
    FoundIssuer, HostedIssuer, HostedKey, IssuerDescription, IssuerSigner, Issuers, PublishIssuerKey,
    PublishedDocuments, WORKLOAD_TOKEN_LIFETIME, jwks_uri, published_documents,
};
pub use pods::{MutatePod, PodMutation, PodRefusal, Pods};
pub use vend::{
    AssumeRoleForPodIdentity, POD_IDENTITY_AUDIENCE, PodCredentials, Vend, VendRefusal, VendedAssociation,
    VendedUser,
};
pub use vend_record::VendCall;
pub use workloads::{
    ANNOTATION_PREFIX, IrsaObstacle, IssuerDocuments, IssuerKey, ServiceAccount, ServiceAccountBatch,
    ServiceAccountName, ServiceAccountSummary, WorkloadIssuer, Workloads,
};

/// Mints role sessions.
pub trait Sessions: Send + Sync + 'static {
    /// A session of a local role, for an actor whom identity policy and the role's trust policy let (AWS STS `AssumeRole`).
    fn assume_role(
        &self,
        by: Vouched<Actor>,
        query: AssumeRole,
    ) -> impl Future<Output = Result<RoleSession, CallError>> + Send;
    /// Who the caller is (AWS STS `GetCallerIdentity`).
    fn get_caller_identity(
        &self,
        by: Vouched<Actor>,
    ) -> impl Future<Output = Result<CallerIdentity, CallError>> + Send;

    /// A session of a local role, for whoever bears a token of an OIDC issuer that the role's trust policy lets in (AWS STS
    /// `AssumeRoleWithWebIdentity`). The token is the proof, and is judged here: no actor was admitted. `from` is the address
    /// that the door saw.
    ///
    /// A refusal has one of the codes [`WebIdentityRefusal`] lists.
    fn assume_role_with_web_identity(
        &self,
        from: Option<IpAddr>,
        query: AssumeRoleWithWebIdentity,
    ) -> impl Future<Output = Result<WebIdentitySession, CallError>> + Send;

    /// A session for a principal of AWS, or of a self-hosted STS, that proves itself by a presigned `GetCallerIdentity` for this hub.
    /// The URL is the proof, counts once, and is judged here: no actor was admitted. `from` is the address that the door saw.
    fn exchange_caller_identity(
        &self,
        from: Option<IpAddr>,
        query: ExchangeCallerIdentity,
    ) -> impl Future<Output = Result<ExchangedSession, CallError>> + Send;

    /// A session of the calling user (AWS STS `GetSessionToken`). 0 seconds mean 43200.
    fn get_session_token(
        &self,
        by: Vouched<Actor>,
        duration_seconds: u32,
    ) -> impl Future<Output = Result<SessionCredentials, CallError>> + Send;
}

/// Why a web identity gets no session: the [`crate::Denial`]'s code, and AWS STS's error that it stands for. An issuer whose keys
/// are not to be had is a fault of the part [`WebIdentityRefusal::issuer_part`] names (`IDPCommunicationError`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebIdentityRefusal {
    /// `InvalidIdentityToken`: no such provider, another audience, a bad signature or claim.
    InvalidToken,
    /// `ExpiredTokenException`: it was good.
    ExpiredToken,
    /// `IDPRejectedClaim`: the issuer or its subject is blocked.
    RejectedClaim,
    /// `AccessDenied`: no such role, or its trust policy does not let this identity.
    AccessDenied,
}

impl WebIdentityRefusal {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::InvalidToken, Self::ExpiredToken, Self::RejectedClaim, Self::AccessDenied];

    /// The code of the denial.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidToken => "invalid_identity_token",
            Self::ExpiredToken => "expired_identity_token",
            Self::RejectedClaim => "idp_rejected_claim",
            Self::AccessDenied => "web_identity_denied",
        }
    }

    /// The refusal of a code.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.code() == code)
    }

    /// The part that a fault names where an issuer's keys are not to be had.
    #[must_use]
    pub fn issuer_part(issuer_url: &str) -> String {
        format!("OIDC issuer {issuer_url}")
    }
}

/// The parameters of AWS STS `AssumeRoleWithWebIdentity`, parsed.
#[derive(Debug, Clone, Default)]
pub struct AssumeRoleWithWebIdentity {
    /// The role's whole ARN, path included.
    pub role_arn: String,
    /// 2 to 64 of `[\w+=,.@-]`.
    pub session_name: String,
    /// A JWT.
    pub web_identity_token: SecretString,
    /// 900 to the role's maximum; 0 means 3600.
    pub duration_seconds: u32,
    /// Narrows the session.
    pub session_policy: Option<String>,
}

/// A role session, and whose token it was made by.
#[derive(Debug)]
pub struct WebIdentitySession {
    /// Its credentials.
    pub session: RoleSession,
    /// The issuer, as the token writes it.
    pub provider: String,
    /// For whom the token was.
    pub audience: String,
    /// Who the issuer says it is.
    pub subject: String,
    /// Who stands behind the session, if the token says.
    pub source_identity: Option<String>,
}

/// The proof of a principal that another authority keeps.
#[derive(Debug, Clone, Default)]
pub struct ExchangeCallerIdentity {
    /// `GetCallerIdentity`, presigned for this hub (`lanyard_iam::token::HubProof`).
    pub presigned_url: SecretString,
    /// 900 to what the hub allows; 0 means that.
    pub duration_seconds: u32,
}

/// A session of a principal that another authority keeps.
#[derive(Debug)]
pub struct ExchangedSession {
    /// Its credentials.
    pub session: SessionCredentials,
    /// The whole ARN, as STS said it.
    pub arn: String,
    /// `AIDA…`, `AROA…:SESSION`.
    pub user_id: String,
    /// Who vouched.
    pub authority: Authority,
}

/// Credentials of a session.
#[derive(Debug, Clone)]
pub struct SessionCredentials {
    /// `LSIA…`.
    pub access_key_id: AccessKeyId,
    /// Signs; not derivable from the token.
    pub secret_access_key: SecretString,
    /// Goes with each request.
    pub session_token: SecretString,
    /// The end.
    pub expires_at: OffsetDateTime,
}

/// The parameters of AWS STS `AssumeRole`, parsed.
#[derive(Debug, Clone, Default)]
pub struct AssumeRole {
    /// The role's whole ARN, path included.
    pub role_arn: String,
    /// 2 to 64 of `[\w+=,.@-]`.
    pub session_name: String,
    /// 900 to the role's maximum; 0 means 3600.
    pub duration_seconds: u32,
    /// At most 50.
    pub tags: BTreeMap<String, String>,
    /// Tags that a chained session inherits.
    pub transitive_tag_keys: Vec<String>,
    /// What the trust policy may ask for.
    pub external_id: Option<String>,
    /// Kept through chaining.
    pub source_identity: Option<String>,
    /// Narrows the session.
    pub session_policy: Option<String>,
}

/// Who a caller is, as AWS STS writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerIdentity {
    /// The account.
    pub account: AccountId,
    /// The whole ARN, session included.
    pub arn: String,
    /// `AIDA…`, `AROA…:SESSION`, the account number for root.
    pub user_id: String,
}

impl CallerIdentity {
    /// The identity of whoever acts; none where that is no principal.
    pub fn of(actor: &Actor) -> Option<Self> {
        let ActorKind::Principal { arn, principal_id, .. } = &actor.kind else { return None };
        let user_id = match &arn.kind {
            PrincipalKind::Root => arn.account.to_string(),
            PrincipalKind::FederatedUser { name } => format!("{}:{name}", arn.account),
            PrincipalKind::User { .. } | PrincipalKind::Role { .. } => principal_id.clone(),
            PrincipalKind::AssumedRole { session, .. } => format!("{principal_id}:{session}"),
        };
        Some(Self { account: arn.account, arn: arn.to_string(), user_id })
    }
}

/// A role session's credentials.
#[derive(Debug)]
pub struct RoleSession {
    /// `LSIA…`.
    pub access_key_id: AccessKeyId,
    /// Signs; not derivable from the token.
    pub secret_access_key: SecretString,
    /// Goes with each request.
    pub session_token: SecretString,
    /// The end.
    pub expires_at: OffsetDateTime,
    /// `arn:…:assumed-role/ROLE/SESSION`.
    pub arn: String,
    /// `AROA…:SESSION`.
    pub assumed_role_id: String,
    /// How full the token is, in percent.
    pub packed_policy_percent: u32,
    /// Who stands behind it, as it was given with this session or with an earlier one of its chain.
    pub source_identity: Option<String>,
}

#[cfg(test)]
mod tests {
    use lanyard_iam::PrincipalArn;

    use super::*;
    use crate::identity::Lineage;

    #[test]
    fn a_caller_is_written_as_sts_writes_it() {
        let identity = |arn: &str, principal_id: &str| {
            let kind = ActorKind::Principal {
                authority: Authority::Local,
                arn: PrincipalArn::parse(arn).unwrap(),
                principal_id: principal_id.to_owned(),
                lineage: Box::new(Lineage {
                    access_key_id: None,
                    ancestors: Vec::new(),
                    transitive_tags: BTreeMap::new(),
                    source_identity: None,
                    chain_depth: 0,
                }),
                session_policy: None,
            };
            CallerIdentity::of(&Actor { kind, ..Actor::system("test") }).unwrap()
        };
        let cases = [
            ("arn:aws:iam::111122223333:root", "111122223333", "111122223333"),
            ("arn:aws:iam::111122223333:user/team/ana", "AIDAX", "AIDAX"),
            ("arn:aws:sts::111122223333:assumed-role/Admin/ana", "AROAX", "AROAX:ana"),
            ("arn:aws:sts::111122223333:federated-user/ana", "111122223333:ana", "111122223333:ana"),
        ];
        for (arn, principal_id, user_id) in cases {
            let found = identity(arn, principal_id);
            assert_eq!((found.arn.as_str(), found.user_id.as_str()), (arn, user_id));
            assert_eq!(found.account.as_str(), "111122223333");
        }
        assert_eq!(CallerIdentity::of(&Actor::system("test")), None);
    }
}
