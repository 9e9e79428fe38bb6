//! Credentials' traits, served over gRPC.

use lanyard_proto::credentials::v1::{self as pb, sessions_server};

use super::Sessions;
use crate::grpc::serve;

serve! {
    /// Serves [`Sessions`].
    pub fn sessions = Sessions as sessions_server::Sessions in SessionsServer;
    actor assume_role(pb::AssumeRoleRequest) -> pb::RoleSession
        = |engine, by, m| engine.assume_role(by, m.try_into()?).await?.into();
}
