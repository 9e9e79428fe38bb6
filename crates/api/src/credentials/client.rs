//! Credentials' traits over gRPC.

use lanyard_proto::credentials::v1::sessions_client::SessionsClient;

use super::{AssumeRole, RoleSession, Sessions};
use crate::{
    fault::CallError,
    grpc::{Remote, Wire, call},
    identity::{Actor, Vouched},
};

impl<C: Wire> Sessions for Remote<C> {
    async fn assume_role(&self, by: Vouched<Actor>, query: AssumeRole) -> Result<RoleSession, CallError> {
        call!(self.SessionsClient::assume_role(self.actor(by, query.into())))
    }
}
