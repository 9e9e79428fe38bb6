//! Authz's traits over gRPC.

use lanyard_proto::authz::v1::{
    self as pb, authorize_client::AuthorizeClient, decisions_client::DecisionsClient,
    objects_client::ObjectsClient,
};
use lanyard_rbac::{Object, ObjectKey};

use super::{
    ApplySummary, Authorize, Decision, DecisionRecord, Decisions, InputChanges, ObjectBatch, Objects, Review,
    Rules, RulesQuery, WhoCan, WhoCanQuery,
    batch::{batch_message, read_decisions},
};
use crate::{
    fault::{CallError, Fault},
    grpc::{Remote, Wire, call, events, field, received},
    identity::{Actor, Vouched},
    ids::{ClusterId, DecisionId},
    mutation::{Mutated, Mutation, Page, PageQuery},
};

impl<C: Wire> Authorize for Remote<C> {
    async fn authorize(&self, review: Review) -> Result<Decision, Fault> {
        call!(self.AuthorizeClient::authorize(self.internal(review.into())))
    }

    async fn authorize_batch(&self, reviews: Vec<Review>) -> Result<Vec<Decision>, Fault> {
        let asked = reviews.len();
        let request = self.internal(batch_message(reviews));
        let answer = call!(raw self.AuthorizeClient::authorize_batch(request));
        answered_whole(asked, received::<_, Fault>(read_decisions(&answer))?, Vec::len)
    }

    async fn authorize_written(
        &self,
        batch: pb::AuthorizeBatchRequest,
    ) -> Result<pb::AuthorizeBatchResponse, CallError> {
        let asked = batch.reviews.len();
        let answer = call!(raw self.AuthorizeClient::authorize_batch(self.internal(batch)));
        Ok(answered_whole(asked, answer, |answer| answer.decisions.len())?)
    }

    async fn rules_for(&self, query: RulesQuery) -> Result<Rules, Fault> {
        call!(self.AuthorizeClient::rules_for(self.internal(query.into())))
    }

    async fn who_can(&self, query: WhoCanQuery) -> Result<WhoCan, Fault> {
        call!(self.AuthorizeClient::who_can(self.internal(query.into())))
    }
}

/// The answer to a batch, where it has a decision for each review.
fn answered_whole<A>(asked: usize, answer: A, count: impl FnOnce(&A) -> usize) -> Result<A, Fault> {
    let answered = count(&answer);
    if answered == asked {
        return Ok(answer);
    }
    tracing::error!(asked, answered, "a batch was not answered whole");
    Err(Fault::Internal)
}

impl<C: Wire> Objects for Remote<C> {
    async fn apply_objects(
        &self,
        by: Mutation,
        cluster: ClusterId,
        batch: ObjectBatch,
    ) -> Result<Mutated<ApplySummary>, CallError> {
        let ObjectBatch { documents, replace, partial } = batch;
        let message =
            pb::ApplyObjectsRequest { mutation: None, cluster: cluster.into(), documents, replace, partial };
        call!(self.ObjectsClient::apply_objects(self.mutation(by, message)))
    }

    async fn delete_object(
        &self,
        by: Mutation,
        cluster: ClusterId,
        key: ObjectKey,
    ) -> Result<Mutated<ObjectKey>, CallError> {
        let message =
            pb::DeleteObjectRequest { mutation: None, cluster: cluster.into(), key: key.to_string() };
        call!(self.ObjectsClient::delete_object(self.mutation(by, message)))
    }

    async fn list_objects(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        page: PageQuery,
    ) -> Result<Page<Object>, CallError> {
        let message = pb::ListObjectsRequest { cluster: cluster.into(), page: Some(page.into()) };
        call!(self.ObjectsClient::list_objects(self.actor(by, message)))
    }
}

impl<C: Wire> Decisions for Remote<C> {
    async fn record(&self, batch: Vec<DecisionRecord>) -> Result<(), Fault> {
        let request = self.internal(pb::RecordDecisionsRequest { records: field::all(batch) });
        let () = call!(raw self.DecisionsClient::record_decisions(request));
        Ok(())
    }

    async fn find(&self, by: Vouched<Actor>, id: DecisionId) -> Result<DecisionRecord, CallError> {
        let message = pb::FindDecisionRequest { id: id.to_string() };
        call!(self.DecisionsClient::find_decision(self.actor(by, message)))
    }

    async fn watch_inputs(&self, by: Vouched<Actor>, cluster: ClusterId) -> Result<InputChanges, CallError> {
        let message = pb::WatchInputsRequest { cluster: cluster.into() };
        Ok(events(call!(raw self.DecisionsClient::watch_inputs(self.ongoing(by, message)))))
    }
}
