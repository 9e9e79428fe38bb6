//! The AWS wire: what the AWS CLI, the SDKs and Terraform speak, in front of Lanyard's services.
//!
//! One listener for EKS (REST-JSON), STS and IAM (Query). The door is thin: [`AwsDoor`] hands a request as it came to authn
//! ([`lanyard_api::authn::AdmitAws`]), which verifies its signature, reads it as a management call and weighs that; the message that
//! comes back goes to the service that has the method ([`Backend`]); and the answer is given the shape that the service's model
//! has, or the error that clients of that operation know. The door can make up neither the caller nor the call.
//!
//! | to find out | look at |
//! |---|---|
//! | which requests are which operations, and how they are read | [`lanyard_api::aws_wire`] |
//! | what an operation answers | `operations/` |
//! | which error a refusal or fault becomes | `errors.rs`, and `errors/eks.rs` for EKS's own texts |
//! | how answers and errors are written | `wire.rs` |

mod answer;
mod backend;
mod config;
mod door;
mod errors;
mod operations;
pub mod process;
mod recorder;
mod remote;
mod servers;
mod wire;

pub use backend::{Backend, InProcess, in_process};
pub use config::AwsApiConfig;
pub use door::{AwsDoor, Hub, Parts};
pub use recorder::Recorder;
pub use remote::RemoteServices;
pub use servers::Servers;
pub use wire::REQUEST_ID;
