//! The AWS wire, read: which operation a request is, and which management call that makes. Pure: no I/O, no clock.
//!
//! [`find`] tells the operation by the service that the request was signed for: EKS's and EKS Auth's (REST-JSON) by verb and path, those of the
//! Query protocol by `Action` and `Version`. [`Found::read`] holds its parameters against what the service's model and EKS's own
//! rules allow, and makes the gRPC message of them, in which names have become what the hub's services call things ([`Caller`]).
//! Authn does both after the signature held; the door does the first alone, to know how an answer is to look.
//!
//! An operation is a row of its service's table (`eks`, `eks_auth`, `iam`, `sts`) with a function that reads it, a shape of the answer in
//! `services/awsapi`, and a method in [`crate::methods::MANAGED`]. The one operation that nobody signs is [`unsigned`].

mod eks;
mod eks_auth;
mod error;
mod iam;
mod input;
mod json;
mod operation;
mod page_key;
mod parameters;
mod sts;

pub use error::AwsError;
pub use input::{Asked, Caller, KnownCluster};
pub use operation::{
    Found, HttpCall, OPERATIONS, OWN_OPERATIONS, Operation, Paging, Protocol, Route, Service, asked_by_query,
    find,
};
pub use page_key::PageKey;
pub use sts::{ASSUME_ROLE_WITH_WEB_IDENTITY, unsigned};

#[cfg(test)]
mod tests;
