//! The way out: who may assume a role gets credentials that work like any other, and so do the pods of clusters, by the role that is
//! for their ServiceAccount.
//!
//! [`Credentials`] is the engine of [`lanyard_api::credentials::Sessions`], [`lanyard_api::credentials::Workloads`],
//! [`lanyard_api::credentials::Associations`] and [`lanyard_api::credentials::Vend`]. authn's `Admit` has weighed identity policy and trust policy before a call comes
//! here; what is judged here is what AWS STS judges of the parameters ([`rules`]), the role's own limits, and what a chained
//! session inherits. A web identity comes without that: its token, the OIDC provider of the role's account and the role's trust
//! policy are judged here (`web_identity`), for nothing that authn could admit is signed. A session is a sealed claim set
//! (`lanyard_iam::session`): nothing about it is stored, and only this service holds the key that signs it. Nor is the proof by which a
//! principal of AWS is exchanged for a session: STS is asked about it here (`exchange`). Who asks without a signature has a share of
//! its own (`unsigned`), until a token says who it is.
//!
//! ServiceAccounts and issuers come from the spokes. [`WorkloadSnapshot`] is what of them answers from memory: a ServiceAccount by
//! name, and the issuer with its keys parsed. A key is one cluster's alone, and so is the name of an issuer by which an STS tells
//! clusters apart.
//!
//! The issuers of clusters are served by the hub where they have no other place ([`lanyard_api::credentials::Issuers`]); it signs tokens of
//! them itself for AWS alone ([`ClusterTokens`]).
//!
//! Which ServiceAccount's pods get which role stands in Pod Identity associations. A role is held against them when they are
//! written, where the hub keeps its account; [`AssociationSnapshot`] finds them by ServiceAccount. A role that AWS keeps is tried
//! there, and its credentials come from AWS (`aws_road`).
//!
//! Vending (`vend`) holds a pod's token against the issuer of its cluster and its caller against the token's node, has the spoke service
//! ask the cluster's API server whether the pod is still there (`replicas` finds the one that can), decides on session name, tags and life by the association, and has a [`CredentialSource`] give the credentials: [`LocalSource`] weighs the roles' trust
//! as it is now, and mints. Whom a block stops is given none, whoever would give them (`blocks`).

mod account;
mod associations;
mod aws_road;
mod blocks;
mod config;
mod engine;
mod exchange;
mod issuers;
mod keys;
mod names;
mod pods;
pub mod process;
mod replicas;
pub mod rules;
mod shares;
mod sight;
mod snapshot;
mod tags;
mod unsigned;
mod vend;
mod web_identity;
mod workloads;

pub use associations::AssociationSnapshot;
pub use aws_road::{
    AwsRoadConfig, AwsSource, IssuerTokens, TokenAsked, external_id, hub_principal_policy, issuer_policy,
};
pub use config::{
    ConfigError, CredentialsConfig, ExchangeConfig, PodReviewPolicy, UnsignedConfig, VendConfig,
    WebIdentityConfig, WebhookConfig,
};
pub use engine::{Credentials, SetUpError};
pub use exchange::Exchange;
pub use issuers::{ClusterToken, ClusterTokens};
pub use keys::{KeysError, minting_keys};
pub use snapshot::{KnownIssuer, WorkloadSnapshot};
pub use vend::{CredentialSource, Decided, LocalSource, PodIdentity, SourceError, Sourced, TargetHop};
