//! authz's questions at the front door: as authz answers them, with entries named for callers who may list them.

use std::sync::Arc;

use lanyard_api::{
    ClusterUid,
    authz::{Authorize, Decision, WhoCanQuery, batch_decisions, batch_reviews},
    grpc::{Door, MESSAGE_BYTES_MAX, Served},
};
use lanyard_proto::authz::v1::{self as pb, authorize_server};
use tonic::{Request, Response, Status};

use crate::{
    kubernetes::Gateway,
    names::{Names, Signed, names_an_entry},
    services::Services,
};

/// Serves authz's questions.
pub(super) struct AuthorizeServer<S: Services> {
    gateway: Arc<Gateway<S>>,
    door: Door,
    served: Served<S::Authz>,
}

impl<S: Services> AuthorizeServer<S> {
    /// The tonic service.
    pub(super) fn service(gateway: Arc<Gateway<S>>, door: Door) -> authorize_server::AuthorizeServer<Self> {
        let served = Served::new(Arc::clone(gateway.parts.services.authz()), door.clone());
        authorize_server::AuthorizeServer::new(Self { gateway, door, served })
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }
}

#[tonic::async_trait]
impl<S: Services> authorize_server::Authorize for AuthorizeServer<S> {
    async fn authorize(&self, request: Request<pb::Review>) -> Result<Response<pb::Decision>, Status> {
        authorize_server::Authorize::authorize(&self.served, request).await
    }

    async fn authorize_batch(
        &self,
        request: Request<pb::AuthorizeBatchRequest>,
    ) -> Result<Response<pb::AuthorizeBatchResponse>, Status> {
        self.door.question(&request).await?;
        let signed = request.extensions().get::<Signed>().cloned();
        let reviews = batch_reviews(request.into_inner())?;
        let cluster = reviews.first().map(|review| review.cluster);
        let mut decisions = self.gateway.parts.services.authz().authorize_batch(reviews).await?;
        self.name(&mut decisions, signed.as_ref(), cluster).await?;
        Ok(Response::new(batch_decisions(decisions)))
    }

    async fn rules_for(&self, request: Request<pb::RulesForRequest>) -> Result<Response<pb::Rules>, Status> {
        authorize_server::Authorize::rules_for(&self.served, request).await
    }

    async fn who_can(
        &self,
        request: Request<pb::WhoCanRequest>,
    ) -> Result<Response<pb::WhoCanResponse>, Status> {
        self.door.question(&request).await?;
        let signed = request.extensions().get::<Signed>().cloned();
        let query = WhoCanQuery::try_from(request.into_inner())?;
        let cluster = query.cluster;
        let mut answer = self.gateway.parts.services.authz().who_can(query).await?;
        if answer.holders.iter().any(|holder| holder.entry.is_some()) {
            let names = Names::of(&self.gateway, signed.as_ref(), cluster).await?;
            for holder in &mut answer.holders {
                holder.principal_arn = holder.entry.and_then(|id| names.get(id)).map(str::to_owned);
            }
        }
        Ok(Response::new(answer.into()))
    }
}

impl<S: Services> AuthorizeServer<S> {
    /// Names the entries in what would have allowed something.
    async fn name(
        &self,
        decisions: &mut [Decision],
        signed: Option<&Signed>,
        cluster: Option<ClusterUid>,
    ) -> Result<(), Status> {
        let names_any =
            decisions.iter().flat_map(|decision| &decision.hints).any(|hint| names_an_entry(hint));
        let Some(cluster) = cluster.filter(|_| names_any) else { return Ok(()) };
        let names = Names::of(&self.gateway, signed, cluster).await?;
        for hint in decisions.iter_mut().flat_map(|decision| &mut decision.hints) {
            *hint = names.in_text(hint).into_owned();
        }
        Ok(())
    }
}
