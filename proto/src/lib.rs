//! The gRPC wire of Lanyard: packages `lanyard.<service>.v1`, generated from the `.proto` files beside this crate, whose
//! comments are the documentation of the API.
//!
//! `call` holds what all services share; `authn`, `mapping`, `authz`, `credentials`, `spoke` and `gateway` are the services. Maps are
//! ordered, so that a message has one encoding and thus one digest; what [`Each`] holds has the one that it came in. Messages with
//! secrets in them do not print them.
//! Some messages are written by hand, [`AccessEntryPage`] and those of batches of reviews ([`Each`]), and are on the wire what their
//! protos say. Nothing is decided here: `lanyard-api` turns messages into domain types and back.

mod batch;
mod entries;
mod secrets;

pub use batch::{Each, framed};
pub use entries::{AccessEntryPage, PrincipalArnList, PrincipalArns};

macro_rules! package {
    ($($name:ident = $package:literal $([$($own:ident),+])?),+ $(,)?) => {$(
        #[allow(missing_docs, unreachable_pub, unused_qualifications, rustdoc::all, clippy::all, clippy::large_futures)]
        #[doc = concat!("Package `", $package, "`.")]
        pub mod $name {
            /// Version 1.
            pub mod v1 {
                $(pub use crate::batch::{$($own),+};)?
                tonic::include_proto!($package);
            }
        }
    )+};
}

package! {
    authn = "lanyard.authn.v1",
    authz = "lanyard.authz.v1" [AuthorizeBatchRequest, AuthorizeBatchResponse],
    call = "lanyard.call.v1",
    credentials = "lanyard.credentials.v1",
    gateway = "lanyard.gateway.v1",
    mapping = "lanyard.mapping.v1",
    spoke = "lanyard.spoke.v1",
}

/// All of it as an encoded `FileDescriptorSet`, comments included: for reflection, and for tests that go over all methods.
pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("lanyard");
