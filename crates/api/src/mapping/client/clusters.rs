//! Clusters over gRPC.

use std::sync::Arc;

use lanyard_proto::mapping::v1::{self as pb, clusters_client::ClustersClient};
use secrecy::SecretString;
use tokio::sync::watch;

use super::directory;
use crate::{
    fault::CallError,
    grpc::{Remote, Wire, call, field, received},
    identity::{Actor, Vouched},
    ids::ClusterId,
    mapping::{
        AwsAuthVersion, BreakGlass, Cluster, ClusterDirectory, Clusters, CreateCluster, Node,
        SpokeCredential, UpdateCluster,
    },
    mutation::{Mutated, Mutation, Page, PageQuery},
};

impl<C: Wire> Clusters for Remote<C> {
    async fn create_cluster(
        &self,
        by: Mutation,
        asked: CreateCluster,
    ) -> Result<Mutated<Cluster>, CallError> {
        call!(self.ClustersClient::create_cluster(self.mutation(by, asked.into())))
    }

    async fn get_cluster(&self, by: Vouched<Actor>, id: ClusterId) -> Result<Cluster, CallError> {
        let message = pb::DescribeClusterRequest { cluster: id.into() };
        call!(self.ClustersClient::describe_cluster(self.actor(by, message)))
    }

    async fn list_clusters(
        &self,
        by: Vouched<Actor>,
        region: Option<String>,
        page: PageQuery,
    ) -> Result<Page<Cluster>, CallError> {
        let message = pb::ListClustersRequest { page: Some(page.into()), region };
        call!(self.ClustersClient::list_clusters(self.actor(by, message)))
    }

    async fn update_cluster(
        &self,
        by: Mutation,
        id: ClusterId,
        change: UpdateCluster,
    ) -> Result<Mutated<Cluster>, CallError> {
        let message = pb::UpdateClusterConfigRequest { cluster: id.into(), ..change.into() };
        call!(self.ClustersClient::update_cluster_config(self.mutation(by, message)))
    }

    async fn delete_cluster(&self, by: Mutation, id: ClusterId) -> Result<Mutated<Cluster>, CallError> {
        let message = pb::DeleteClusterRequest { mutation: None, cluster: id.into() };
        call!(self.ClustersClient::delete_cluster(self.mutation(by, message)))
    }

    async fn push_aws_auth(
        &self,
        by: Mutation,
        id: ClusterId,
        content: String,
    ) -> Result<Mutated<AwsAuthVersion>, CallError> {
        let message = pb::PushAwsAuthRequest { mutation: None, cluster: id.into(), content };
        call!(self.ClustersClient::push_aws_auth(self.mutation(by, message)))
    }

    async fn get_aws_auth(
        &self,
        by: Vouched<Actor>,
        id: ClusterId,
    ) -> Result<Vec<AwsAuthVersion>, CallError> {
        let message = pb::GetAwsAuthRequest { cluster: id.into() };
        let answer = call!(raw self.ClustersClient::get_aws_auth(self.actor(by, message)));
        received(field::each(answer.versions))
    }

    async fn set_node(&self, by: Mutation, id: ClusterId, node: Node) -> Result<Mutated<Node>, CallError> {
        let message = pb::SetNodeRequest { mutation: None, cluster: id.into(), node: Some(node.into()) };
        call!(self.ClustersClient::set_node(self.mutation(by, message)))
    }

    async fn list_nodes(
        &self,
        by: Vouched<Actor>,
        id: ClusterId,
        page: PageQuery,
    ) -> Result<Page<Node>, CallError> {
        let message = pb::ListNodesRequest { cluster: id.into(), page: Some(page.into()) };
        call!(self.ClustersClient::list_nodes(self.actor(by, message)))
    }

    async fn delete_node(
        &self,
        by: Mutation,
        id: ClusterId,
        instance_id: String,
    ) -> Result<Mutated<Node>, CallError> {
        let message = pb::DeleteNodeRequest { mutation: None, cluster: id.into(), instance_id };
        call!(self.ClustersClient::delete_node(self.mutation(by, message)))
    }

    async fn create_spoke_credential(
        &self,
        by: Mutation,
        id: ClusterId,
    ) -> Result<Mutated<(SpokeCredential, SecretString)>, CallError> {
        let message = pb::CreateSpokeCredentialRequest { mutation: None, cluster: id.into() };
        call!(self.ClustersClient::create_spoke_credential(self.mutation(by, message)))
    }

    async fn list_spoke_credentials(
        &self,
        by: Vouched<Actor>,
        id: ClusterId,
    ) -> Result<Vec<SpokeCredential>, CallError> {
        let message = pb::ListSpokeCredentialsRequest { cluster: id.into() };
        let answer = call!(raw self.ClustersClient::list_spoke_credentials(self.actor(by, message)));
        received(field::each(answer.credentials))
    }

    async fn delete_spoke_credential(
        &self,
        by: Mutation,
        id: ClusterId,
        credential: String,
    ) -> Result<Mutated<SpokeCredential>, CallError> {
        let message = pb::DeleteSpokeCredentialRequest { mutation: None, cluster: id.into(), id: credential };
        call!(self.ClustersClient::delete_spoke_credential(self.mutation(by, message)))
    }

    async fn arm_break_glass(
        &self,
        by: Mutation,
        id: ClusterId,
    ) -> Result<Mutated<(BreakGlass, SecretString)>, CallError> {
        let message = pb::ArmBreakGlassRequest { mutation: None, cluster: id.into() };
        call!(self.ClustersClient::arm_break_glass(self.mutation(by, message)))
    }

    async fn disarm_break_glass(
        &self,
        by: Mutation,
        id: ClusterId,
    ) -> Result<Mutated<BreakGlass>, CallError> {
        let message = pb::DisarmBreakGlassRequest { mutation: None, cluster: id.into() };
        call!(self.ClustersClient::disarm_break_glass(self.mutation(by, message)))
    }

    async fn list_break_glass(&self, by: Vouched<Actor>) -> Result<Vec<BreakGlass>, CallError> {
        let request = self.actor(by, pb::ListBreakGlassRequest {});
        let answer = call!(raw self.ClustersClient::list_break_glass(request));
        received(field::each(answer.armed))
    }

    fn directory(&self) -> watch::Receiver<Arc<ClusterDirectory>> {
        self.directory.get_or_init(|| directory::watched(self.channel())).clone()
    }
}
