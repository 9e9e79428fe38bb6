//! Spokes over gRPC.

use lanyard_proto::mapping::v1::{self as pb, spokes_client::SpokesClient};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    fault::{CallError, Fault},
    grpc::{Remote, Wire, call},
    identity::{Actor, Vouched},
    ids::{ClusterId, ClusterUid},
    mapping::{
        SpokeCredential,
        spokes::{LendQuery, Lending, SpokeKubeconfig, SpokeStatus, SpokeWatch, Spokes},
    },
    mutation::{Mutated, Mutation},
};

impl<C: Wire> Spokes for Remote<C> {
    async fn put_spoke_kubeconfig(
        &self,
        by: Mutation,
        id: ClusterId,
        kubeconfig: SecretString,
        context: Option<String>,
    ) -> Result<Mutated<SpokeKubeconfig>, CallError> {
        let kubeconfig = kubeconfig.expose_secret().to_owned();
        let message =
            pb::PutSpokeKubeconfigRequest { mutation: None, cluster: id.into(), kubeconfig, context };
        call!(self.SpokesClient::put_spoke_kubeconfig(self.mutation(by, message)))
    }

    async fn delete_spoke_kubeconfig(
        &self,
        by: Mutation,
        id: ClusterId,
    ) -> Result<Mutated<SpokeKubeconfig>, CallError> {
        let message = pb::DeleteSpokeKubeconfigRequest { mutation: None, cluster: id.into() };
        call!(self.SpokesClient::delete_spoke_kubeconfig(self.mutation(by, message)))
    }

    async fn register_spoke_certificate(
        &self,
        by: Mutation,
        id: ClusterId,
        certificate_sha256: String,
    ) -> Result<Mutated<SpokeCredential>, CallError> {
        let message =
            pb::RegisterSpokeCertificateRequest { mutation: None, cluster: id.into(), certificate_sha256 };
        call!(self.SpokesClient::register_spoke_certificate(self.mutation(by, message)))
    }

    async fn get_spoke(&self, by: Vouched<Actor>, id: ClusterId) -> Result<SpokeStatus, CallError> {
        let message = pb::DescribeSpokeRequest { cluster: id.into() };
        call!(self.SpokesClient::describe_spoke(self.actor(by, message)))
    }

    async fn report_spoke(
        &self,
        by: Vouched<Actor>,
        id: ClusterId,
        watch: SpokeWatch,
    ) -> Result<(), CallError> {
        let message = pb::ReportSpokeRequest { cluster: id.into(), watch: Some(watch.into()) };
        call!(raw self.SpokesClient::report_spoke(self.actor(by, message)));
        Ok(())
    }

    async fn lend_spoke(&self, query: LendQuery) -> Result<Lending, Fault> {
        call!(self.SpokesClient::lend_spoke(self.internal(query.into())))
    }

    async fn return_spoke(&self, cluster: ClusterUid, holder: String) -> Result<(), Fault> {
        let message = pb::ReturnSpokeRequest { cluster_uid: cluster.to_string(), holder };
        call!(raw self.SpokesClient::return_spoke(self.internal(message)));
        Ok(())
    }
}
