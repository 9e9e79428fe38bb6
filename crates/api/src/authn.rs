//! What authn promises: who is knocking, whether a management call may go on, and the accounts behind both.

pub mod accounts;
mod aws;
mod client;
mod convert;
pub mod instance_profiles;
pub mod oidc_providers;
pub mod server;
mod vouching;

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use lanyard_iam::{AccessKeyId, TokenDigest};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use accounts::Accounts;
pub use aws::{AdmitAws, AdmitAwsQuery, AwsAdmission, AwsAdmitted};
pub use instance_profiles::InstanceProfiles;
pub use oidc_providers::OidcProviders;
pub use vouching::{LiveVouchers, Vouching};

use crate::{
    fault::{Denial, Fault},
    holds::Holds,
    identity::{Actor, Authority, Identity, Vouched},
    ids::ClusterUid,
};

/// For whom the token is by which the agent of a node proves the node: the hub, and nobody else.
pub const NODE_AUDIENCE: &str = "lanyard:node";
/// The metadata of a node's call that names its cluster, by its id. The token goes beside it as `authorization: Bearer …`.
pub const NODE_CLUSTER_HEADER: &str = "x-lanyard-cluster";

/// Proves who bears a client token.
pub trait Authenticate: Send + Sync + 'static {
    /// Verified, refused, or not our kind of token; `Err` when there is no answer (STS down, throttled, slow).
    fn authenticate(
        &self,
        query: AuthenticateQuery,
    ) -> impl Future<Output = Result<Authentication, Fault>> + Send;
}

/// A token, and the cluster whose API server asks.
#[derive(Debug, Clone)]
pub struct AuthenticateQuery {
    /// As it came, prefix included.
    pub token: SecretString,
    /// The token's digest, by who has it already. It stays in the process.
    pub digest: Option<TokenDigest>,
    /// The asking cluster; known by its credential, never by the token.
    pub cluster: ClusterUid,
    /// The audiences that the API server asked for; part of the cache's key.
    pub audiences: Vec<String>,
    /// Collect what explanations need beyond the answer (a look at other clusters' ids, for one).
    pub explain: bool,
}

/// The answer to [`AuthenticateQuery`].
#[derive(Debug, Clone, PartialEq)]
pub enum Authentication {
    /// No `k8s-aws-v1.` token, and no JWT of an issuer that the cluster knows: another authenticator's affair.
    NotOurs,
    /// Somebody, proven.
    Verified(Box<Verified>),
    /// Our kind of token, and no.
    Refused(Refusal),
}

/// Somebody, proven.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// Who.
    pub identity: Vouched<Arc<Identity>>,
    /// The token's digest, by which logs name it.
    pub token: TokenDigest,
    /// When the signature's life ends.
    pub not_after: OffsetDateTime,
    /// Who was asked: `local IAM`, `AWS STS sts.us-east-1.amazonaws.com`, `OIDC issuer https://…`.
    pub verifier: Arc<str>,
    /// Whether signature work was saved by the token cache.
    pub cached: bool,
    /// How long the answer may be given again; none where each token is looked at anew.
    pub holds: Option<Holds>,
}

/// A definite no from authn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Stable reason code and the text for people who may know.
    pub denial: Denial,
    /// Which part of the token failed: `host`, `X-Amz-Date`, `signature`, …; empty when none did.
    pub part: String,
    /// Whose account it would be, where that is known.
    pub authority: Option<Authority>,
    /// The key that the token names, if it got that far.
    pub access_key_id: Option<AccessKeyId>,
    /// More for explanations: which other cluster's id fits, what could not be told apart.
    pub hints: Vec<String>,
}

/// Verifies and weighs management calls.
pub trait Admit: Send + Sync + 'static {
    /// The actor, or the refusal that names the statement or its lack; `Err` when there is no answer.
    fn admit(&self, query: AdmitQuery) -> impl Future<Output = Result<Admission, Fault>> + Send;
}

/// A management call at a door, before anything of it is believed.
#[derive(Clone)]
pub struct AdmitQuery {
    /// The gRPC method path, `/lanyard.mapping.v1.Entries/CreateAccessEntry`.
    pub method: String,
    /// The authority that the client addressed (HTTP/2 `:authority`).
    pub authority: String,
    /// The request's headers, lower case, as they came.
    pub headers: Vec<(String, String)>,
    /// The message's bytes as sent, without the gRPC frame.
    pub body: Bytes,
    /// The client's address, for `aws:SourceIp`.
    pub source_ip: Option<std::net::IpAddr>,
    /// Whom the connection's client certificate names, already verified by the door: `lanyard://hub/…/spoke/<uid>`, a principal,
    /// or the spoke service.
    pub certificate_principal: Option<String>,
    /// SHA-256 of that certificate (DER), hex.
    pub certificate_sha256: Option<String>,
    /// What is to be weighed in place of the signed call: doors ask so what else its caller may see.
    pub beside: Option<Beside>,
}

impl std::fmt::Debug for AdmitQuery {
    /// Without headers and messages, which hold signatures, bearer tokens and whatever else somebody sends.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("AdmitQuery");
        debug.field("method", &self.method).field("authority", &self.authority);
        debug.field("source_ip", &self.source_ip).field("certificate_principal", &self.certificate_principal);
        debug.field("beside", &self.beside.as_ref().map(|beside| &beside.method)).finish_non_exhaustive()
    }
}

/// A call that a door would make for a caller, beside the one that they signed. It must change nothing.
#[derive(Clone)]
pub struct Beside {
    /// Its method path.
    pub method: String,
    /// Its message's bytes.
    pub body: Bytes,
}

impl AdmitQuery {
    /// Method and message of the call that is weighed.
    pub fn weighed(&self) -> (&str, &Bytes) {
        match &self.beside {
            Some(Beside { method, body }) => (method, body),
            None => (&self.method, &self.body),
        }
    }
}

/// The answer to [`AdmitQuery`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Go on as this actor.
    Admitted(Box<Vouched<Actor>>),
    /// The caller is not proven (bad signature, stale date, another hub).
    Unauthenticated(Denial),
    /// The caller is known and may not.
    Forbidden(Denial),
}
