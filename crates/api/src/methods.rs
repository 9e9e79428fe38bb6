//! Every management method with its action, and how its request says what it is about.
//!
//! Both doors ask this one table. Admit decodes the request's bytes with [`read`], fills in from its snapshots what the
//! request does not say ([`Place`]), evaluates policy documents for ([`Call::action`], [`Target::arn`]), and puts
//! [`Call::request_digest`] into the actor. A method that is in none of the lists passes no door.
//!
//! Where AWS has the operation, action and resource are AWS's (Service Authorization Reference); else the action is
//! `lanyard:<Method>`.

mod masks;
mod table;
mod target;

use prost::Message;
use sha2::{Digest as _, Sha256};

pub use table::MANAGED;
pub use target::{AccountRef, ClusterRef, PassedRole, PassedRoleName, Place, Resource, Target, Targeted};

use crate::fault::{CallError, Denial};

/// The code of a [`Denial`] that is no refusal by policy: the request's bytes could not be read. Doors answer it as a wrong
/// argument.
pub const INVALID_REQUEST: &str = "invalid_request";

/// The code of a [`Denial`] for a cluster that the caller's account has not, told to whoever might ask for one of that name.
pub const UNKNOWN_CLUSTER: &str = "unknown_cluster";

/// The code of a [`Denial`] for a method that no door lets through.
pub const UNKNOWN_METHOD: &str = "unknown_method";

/// What a hub tells of itself to anybody.
pub const HUB: &str = "/lanyard.gateway.v1.Explain/Hub";

/// Methods that need no signature at the front door: what a client has to know before it can sign, whether the hub is
/// there, and what it speaks.
pub const OPEN: &[&str] = &[
    HUB,
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/List",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Methods whose message is its own proof, which the service judges: the front door passes them on without a signature.
pub const UNSIGNED: &[&str] = &[
    "/lanyard.credentials.v1.Sessions/AssumeRoleWithWebIdentity",
    "/lanyard.credentials.v1.Sessions/ExchangeCallerIdentity",
];

/// Methods between services, which know each other by certificate. No front door lets them through.
pub const INTERNAL: &[&str] = &[
    "/lanyard.authn.v1.Authenticate/Authenticate",
    "/lanyard.authn.v1.Admit/Admit",
    ADMIT_AWS,
    "/lanyard.mapping.v1.Resolve/Resolve",
    "/lanyard.mapping.v1.Resolve/ResolveBreakGlass",
    "/lanyard.mapping.v1.Clusters/WatchDirectory",
    "/lanyard.mapping.v1.Clusters/WatchRevisions",
    "/lanyard.mapping.v1.Spokes/LendSpoke",
    "/lanyard.mapping.v1.Spokes/ReturnSpoke",
    "/lanyard.authz.v1.Authorize/Authorize",
    RECORD_DECISIONS,
    FIND_ISSUER,
    "/lanyard.credentials.v1.Pods/MutatePod",
    REVIEW_POD,
];

/// Of these the ones that read: what the doors ask for each request. An entry that a resolution pins is pinned to the same
/// principal however often it is asked.
const READS: &[&str] = &[
    "/lanyard.authn.v1.Authenticate/Authenticate",
    "/lanyard.authn.v1.Admit/Admit",
    ADMIT_AWS,
    "/lanyard.mapping.v1.Resolve/Resolve",
    "/lanyard.authz.v1.Authorize/Authorize",
    FIND_ISSUER,
    "/lanyard.credentials.v1.Pods/MutatePod",
];

/// Methods whose calls travel together between processes, with those that wait at the same time: what the gateway asks for each
/// review, and for each signed call. Each only reads, and is answered by one message, out of memory as a rule. Those that share a
/// connection share a task: a batch, whose work may be longer than a review's, pauses for the others.
pub const TOGETHER: &[&str] = &[
    "/lanyard.authn.v1.Authenticate/Authenticate",
    "/lanyard.authn.v1.Admit/Admit",
    "/lanyard.mapping.v1.Resolve/Resolve",
    "/lanyard.authz.v1.Authorize/Authorize",
    "/lanyard.authz.v1.Authorize/AuthorizeBatch",
];

/// Make a session, each time another, though they change no record.
const MAKES_SESSIONS: &[&str] =
    &["/lanyard.credentials.v1.Sessions/AssumeRole", "/lanyard.credentials.v1.Sessions/GetSessionToken"];

/// Keeps what the watcher inside of a cluster says, though that changes no record: a word that comes late would stand in place of a newer
/// one, which is due in a moment anyway.
const REPORT_SPOKE: &str = "/lanyard.mapping.v1.Spokes/ReportSpoke";

/// Admits calls of the AWS wire, for its door.
const ADMIT_AWS: &str = "/lanyard.authn.v1.AdmitAws/AdmitAws";

/// Takes finished decisions: both doors have some.
const RECORD_DECISIONS: &str = "/lanyard.authz.v1.Decisions/RecordDecisions";

/// What everybody may see of a cluster's issuer: both doors show it.
const FIND_ISSUER: &str = "/lanyard.credentials.v1.Issuers/FindIssuer";

/// Has a pod's token reviewed by its cluster's API server, for the service that vends to pods.
const REVIEW_POD: &str = "/lanyard.spoke.v1.PodReviews/ReviewPod";

/// What everybody may ask, whatever policies say (AWS STS `GetCallerIdentity`).
pub const GET_CALLER_IDENTITY: &str = "sts:GetCallerIdentity";

/// What everybody may ask of themselves, unless a policy of theirs denies just that.
pub const GET_CALLER_POLICIES: &str = "lanyard:GetCallerPolicies";

/// Every method that the suite has: what metrics and traces tell apart.
pub fn paths() -> impl Iterator<Item = &'static str> {
    let own = OPEN.iter().chain(INTERNAL).chain(UNSIGNED).copied();
    MANAGED.iter().map(|method| method.path).chain(own)
}

/// The services that may call the methods of authn, mapping, authz and credentials: the doors, which carry what authn
/// vouched for.
pub const DOORS: &[&str] = &[GATEWAY, AWSAPI];

/// The door of API servers and of gRPC.
const GATEWAY: &str = "gateway";

/// The door of the AWS wire, which asks nothing that its callers have not signed.
pub const AWSAPI: &str = "awsapi";

/// The service that watches spoke clusters, and the only one that a kubeconfig is lent to.
pub const SPOKE_SERVICE: &str = "spoke";

/// The service that vends to pods, and the only one that has their tokens reviewed.
const CREDENTIALS: &str = "credentials";

/// What the spoke service asks beside what a spoke may: who is there to be watched, the loan of a kubeconfig, and to be
/// admitted as a spoke.
const OF_SPOKE_SERVICE: &[&str] = &[
    "/lanyard.authn.v1.Admit/Admit",
    "/lanyard.mapping.v1.Clusters/WatchDirectory",
    "/lanyard.mapping.v1.Spokes/LendSpoke",
    "/lanyard.mapping.v1.Spokes/ReturnSpoke",
];

/// What a spoke may ask of its own cluster, by its certificate or by the spoke service that watches it: nothing but to push
/// what it sees, to see what became of that, and to say how its watch goes.
pub const OF_SPOKES: &[&str] = &[
    "/lanyard.mapping.v1.Clusters/DescribeCluster",
    "/lanyard.mapping.v1.Clusters/PushAwsAuth",
    "/lanyard.mapping.v1.Clusters/GetAwsAuth",
    REPORT_SPOKE,
    "/lanyard.authz.v1.Objects/ApplyObjects",
    "/lanyard.authz.v1.Objects/DeleteObject",
    "/lanyard.authz.v1.Objects/ListObjects",
    "/lanyard.credentials.v1.Workloads/ApplyServiceAccounts",
    "/lanyard.credentials.v1.Workloads/ListServiceAccounts",
    "/lanyard.credentials.v1.Workloads/PushIssuer",
    "/lanyard.credentials.v1.Workloads/GetIssuer",
];

/// What a node of a cluster may ask, by the projected token of its agent: credentials for its pods.
pub const OF_NODES: &[&str] = &["/lanyard.credentials.v1.Vend/AssumeRoleForPodIdentity"];

/// Whether a method is for the spoke service alone.
fn is_loan(path: &str) -> bool {
    path.starts_with("/lanyard.mapping.v1.Spokes/") && INTERNAL.contains(&path)
}

/// Which services may call a method of another one. What says whether a service is there and what it speaks is for all of
/// them; what nobody may call is in no list.
pub fn callers(path: &str) -> Callers {
    let is_managed = || MANAGED.iter().any(|method| method.path == path);
    if path.starts_with("/lanyard.gateway.") {
        Callers::Nobody
    } else if is_open(path) {
        Callers::Anyone
    } else if is_loan(path) {
        Callers::These(&[SPOKE_SERVICE])
    } else if OF_SPOKE_SERVICE.contains(&path) || OF_SPOKES.contains(&path) {
        match is_managed() {
            true => Callers::These(&[GATEWAY, AWSAPI, SPOKE_SERVICE]),
            false => Callers::These(&[GATEWAY, SPOKE_SERVICE]),
        }
    } else if path == REVIEW_POD {
        Callers::These(&[CREDENTIALS])
    } else if path == ADMIT_AWS {
        Callers::These(&[AWSAPI])
    } else if path == FIND_ISSUER || path == RECORD_DECISIONS {
        Callers::These(DOORS)
    } else if INTERNAL.contains(&path) {
        Callers::These(&[GATEWAY])
    } else if is_unsigned(path) || is_managed() {
        Callers::These(DOORS)
    } else {
        Callers::Nobody
    }
}

/// The action that a door's own method is weighed by, for what it asks of a service in the caller's name: an explanation looks
/// at the cluster, and at what somebody would get, by the permission to explain there.
pub fn covering(signed: &str, inner: &str) -> Option<&'static str> {
    match (signed, inner) {
        (
            "/lanyard.gateway.v1.Explain/Explain",
            "/lanyard.mapping.v1.Clusters/DescribeCluster" | "/lanyard.mapping.v1.Preview/Preview",
        )
        // A kept decision is one permission, and what would help with it another.
        | ("/lanyard.gateway.v1.Explain/ExplainDecision", "/lanyard.mapping.v1.Preview/Preview") => {
            Some("lanyard:Explain")
        }
        ("/lanyard.gateway.v1.Explain/ExplainDecision", "/lanyard.authz.v1.Decisions/FindDecision") => {
            Some("lanyard:ExplainDecision")
        }
        _ => None,
    }
}

/// Who may call a method of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callers {
    /// Every service of the hub.
    Anyone,
    /// These services.
    These(&'static [&'static str]),
    /// No service: it is not a method, or a front door's.
    Nobody,
}

impl Callers {
    /// Whether a service is among them.
    #[must_use]
    pub fn include(self, service: &str) -> bool {
        match self {
            Self::Anyone => true,
            Self::These(services) => services.contains(&service),
            Self::Nobody => false,
        }
    }
}

/// Whether a method answers with a stream that goes on: its caller is weighed again before each message of it.
pub fn is_watch(path: &str) -> bool {
    path.rsplit_once('/').is_some_and(|(_, name)| name.starts_with("Watch"))
}

/// Whether a call may be sent once more where its connection broke before an answer: it reads, and finds what it would have found.
/// A role is assumed once, though that changes no record; and a watch is begun anew by who listens.
pub fn is_repeatable(path: &str) -> bool {
    let reads =
        |method: &Method| !method.mutates && !is_watch(path) && !makes_session(path) && path != REPORT_SPOKE;
    READS.contains(&path) || find(path).is_some_and(reads)
}

/// Whether a method makes a session: that is not a change of any record, and its signature counts once all the same.
pub fn makes_session(path: &str) -> bool {
    MAKES_SESSIONS.contains(&path)
}

/// Whether a method's message is its own proof, which the service judges.
pub fn is_unsigned(path: &str) -> bool {
    UNSIGNED.contains(&path)
}

/// Whether a method is answered to anybody at the front door.
pub fn is_open(path: &str) -> bool {
    OPEN.contains(&path)
}

/// One management method.
#[derive(Debug)]
pub struct Method {
    /// `/lanyard.<service>.v1.<Service>/<Method>`.
    pub path: &'static str,
    /// Whether it changes anything: then its signature counts once.
    pub mutates: bool,
    /// What it is called in policy documents.
    pub action: Action,
    /// The request's full name, `lanyard.<service>.v1.<Message>`.
    pub request: &'static str,
    read: fn(&'static Method, &[u8]) -> Result<Call, CallError>,
}

/// What a method is called in policy documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Always this.
    Always(&'static str),
    /// AWS has one operation for users and another for roles.
    ByOwner {
        /// When it is about a user.
        user: &'static str,
        /// When it is about a role.
        role: &'static str,
    },
}

impl Action {
    fn of(self, resource: &Resource) -> &'static str {
        match (self, resource) {
            (Self::Always(action), _) | (Self::ByOwner { role: action, .. }, Resource::Role { .. }) => action,
            (Self::ByOwner { user, .. }, _) => user,
        }
    }
}

/// A management call, read from its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The IAM action.
    pub action: &'static str,
    /// Whether its signature counts once.
    pub mutates: bool,
    /// What it is about.
    pub target: Target,
    /// For [`crate::Actor::request_digest`]: [`request_digest`] of the message.
    pub request_digest: [u8; 32],
}

/// A request of a managed method.
pub trait Managed: Targeted + Message + Default + Clone {
    /// Its method; each has a request of its own.
    const METHOD: &'static Method;

    /// Whether it has an update mask, which [`Managed::masked`] takes out.
    fn has_mask(&self) -> bool {
        false
    }

    /// The request as its update mask has it (AIP-134), without the mask: what is not named is not given, and what is named and not
    /// given is given as what empties it. One without a mask is as it was.
    ///
    /// # Errors
    /// [`CallError::Invalid`] with `update_mask` and the path, where that is none that the update writes; or with the field, where it
    /// is never empty.
    fn masked(self) -> Result<Self, CallError> {
        Ok(self)
    }

    /// What admission says of this very request.
    ///
    /// # Errors
    /// [`CallError::Invalid`] where a field that says what it is about cannot be read, or as [`Managed::masked`] says.
    fn call(&self) -> Result<Call, CallError> {
        // Policies see what will be written.
        let target = match self.has_mask() {
            true => self.clone().masked()?.target()?,
            false => self.target()?,
        };
        Ok(Call {
            action: Self::METHOD.action.of(&target.resource),
            mutates: Self::METHOD.mutates,
            target,
            request_digest: request_digest(self),
        })
    }
}

/// SHA-256 of the one encoding that a message has here, whatever order its sender wrote the fields in. The signature is over
/// the bytes as sent; the digest ties the admission to what was understood of them, so that it can be checked again wherever
/// the message is still a message. Of a batch the reviews stay as they came ([`lanyard_proto::Each`]), each with the fields, and the
/// order of fields, that its sender gave it: two ways to write a review are two digests.
pub fn request_digest(message: &impl Message) -> [u8; 32] {
    Sha256::digest(message.encode_to_vec()).into()
}

/// The managed method of a path.
pub fn find(path: &str) -> Option<&'static Method> {
    MANAGED.iter().copied().find(|method| method.path == path)
}

/// Reads a call at a door: the method's path, and the message's bytes without the frame.
///
/// # Errors
/// A [`Denial`] with code [`UNKNOWN_METHOD`] or [`INVALID_REQUEST`]. Ask only after the signature was verified: strangers
/// learn nothing about what can be read.
pub fn read(path: &str, message: &[u8]) -> Result<Call, Denial> {
    let denial = |code: &'static str, message: String| Denial { code: code.into(), message };
    let method = find(path).ok_or_else(|| {
        denial(UNKNOWN_METHOD, format!("`{path}` is not a method that this door lets through"))
    })?;
    (method.read)(method, message).map_err(|error| denial(INVALID_REQUEST, error.to_string()))
}

/// What is wrong with the message of a call that [`read`] refuses as [`INVALID_REQUEST`]: the same words, with the field that
/// they are about. None for a call that can be read, and for a path that is no method.
pub fn unreadable(path: &str, message: &[u8]) -> Option<CallError> {
    let method = find(path)?;
    (method.read)(method, message).err()
}

fn read_as<M: Managed>(method: &'static Method, message: &[u8]) -> Result<Call, CallError> {
    let request = M::decode(message).map_err(|error| {
        CallError::invalid("request", "malformed", format!("not a `{}`: {error}", method.request))
    })?;
    request.call()
}

#[cfg(test)]
mod tests;
