//! [`Updates`].

use lanyard_proto::mapping::v1::{self as pb, updates_client::UpdatesClient};

use crate::{
    fault::CallError,
    grpc::{Remote, Wire, call},
    identity::{Actor, Vouched},
    ids::{ClusterId, ClusterUpdateId},
    mapping::{ClusterUpdate, Updates},
    mutation::{Page, PageQuery},
};

impl<C: Wire> Updates for Remote<C> {
    async fn get_update(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        id: ClusterUpdateId,
    ) -> Result<ClusterUpdate, CallError> {
        let message = pb::DescribeUpdateRequest { cluster: cluster.into(), update_id: id.to_string() };
        call!(self.UpdatesClient::describe_update(self.actor(by, message)))
    }

    async fn list_updates(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        page: PageQuery,
    ) -> Result<Page<ClusterUpdate>, CallError> {
        let message = pb::ListUpdatesRequest { cluster: cluster.into(), page: Some(page.into()) };
        call!(self.UpdatesClient::list_updates(self.actor(by, message)))
    }
}
