//! What Lanyard's services promise each other.
//!
//! Per service its domain types, traits and errors: [`authn`] proves who is knocking and admits management calls,
//! [`mapping`] turns an identity into user info, [`authz`] decides which doors that opens, [`credentials`] mints role
//! sessions, and [`spoke`] asks the API servers of clusters. Each trait is implemented by its service's engine, and by a gRPC client here, so that doors need not know
//! which of the two they hold. [`proof`] is the codec of the value by which authz knows what mapping granted.
//!
//! Over gRPC: [`grpc`] has what servers ([`grpc::Served`] behind a [`grpc::Door`]) and clients ([`grpc::Remote`]) are made
//! of; [`methods`] is the one table of management methods with their actions and resources; [`signing`] signs calls; and
//! [`voucher`] is how a service knows that authn said so, whoever carried the answer.
//!
//! "No" is an answer and stands in the `Ok` of a call; an `Err` means that there is none ([`Fault`], [`CallError`]).

pub mod access_policies;
pub mod authn;
pub mod authz;
pub mod aws_auth;
pub mod aws_wire;
pub mod credentials;
mod fault;
pub mod grants;
pub mod grpc;
mod holds;
mod identity;
mod ids;
pub mod kinds;
pub mod kubeconfig;
pub mod kubernetes;
pub mod mapping;
pub mod methods;
mod mutation;
pub mod proof;
pub mod signing;
pub mod spoke;
#[cfg(any(test, feature = "suite"))]
pub mod suite;
pub mod tags;
pub mod template;
pub mod voucher;
mod watches;
mod written_user;

pub use fault::{CallError, Denial, Fault};
pub use holds::{Basis, Holds};
pub use identity::{
    Actor, ActorKind, Authority, AwsIdentity, ClaimValue, Extra, Identity, IdentityKind, IdentityPart, Kin,
    Lineage, OidcIdentity, SignatureUse, Standing, TrustedAccount, UserInfo, Vouched,
};
pub use ids::{
    BlockId, CLUSTER_NAME_CHARS_MAX, CertificateSha256, ClusterId, ClusterUid, ClusterUpdateId, DecisionId,
    EntryId, HubId, IdentityProviderConfigId, InvalidName, OidcProviderId, Revision, Scope, TraceId,
};
pub use mutation::{
    ClientRequestToken, Mutated, Mutation, NAMED_MAX, PAGE_ITEMS_MAX, Page, PageQuery, named,
};
pub use watches::{WatchPlace, WatchPlaces};
pub use written_user::WrittenUser;
