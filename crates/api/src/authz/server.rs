//! Authz's traits, served over gRPC.

use lanyard_proto::authz::v1::{self as pb, authorize_server, decisions_server, objects_server};

use super::{Authorize, Decisions, ObjectBatch, Objects, convert::object_page};
use tonic::{Request, Response, Status};

use crate::grpc::{Watched, field, mutation::page_query, serve, watched};

serve! {
    /// Serves [`Authorize`].
    pub fn authorize = Authorize as authorize_server::Authorize in AuthorizeServer;
    internal authorize(pb::Review) -> pb::Decision = |engine, (), m| engine.authorize(m.try_into()?).await?.into();
    question authorize_batch(pb::AuthorizeBatchRequest) -> pb::AuthorizeBatchResponse
        = |engine, (), m| engine.authorize_written(m).await?;
    question rules_for(pb::RulesForRequest) -> pb::Rules
        = |engine, (), m| engine.rules_for(m.try_into()?).await?.into();
    question who_can(pb::WhoCanRequest) -> pb::WhoCanResponse
        = |engine, (), m| engine.who_can(m.try_into()?).await?.into();
}

serve! {
    /// Serves [`Objects`].
    pub fn objects = Objects as objects_server::Objects in ObjectsServer;
    mutation apply_objects(pb::ApplyObjectsRequest) -> pb::ObjectsApplied = |engine, by, m| {
        let batch = ObjectBatch { documents: m.documents, replace: m.replace, partial: m.partial };
        engine.apply_objects(by, field::parse("cluster", &m.cluster)?, batch).await?.into()
    };
    mutation delete_object(pb::DeleteObjectRequest) -> pb::ObjectDeleted = |engine, by, m| {
        let key = field::parse("key", &m.key)?;
        engine.delete_object(by, field::parse("cluster", &m.cluster)?, key).await?.into()
    };
    list list_objects(pb::ListObjectsRequest) -> pb::ObjectPage = |engine, by, m| {
        object_page(engine.list_objects(by, field::parse("cluster", &m.cluster)?, page_query(m.page)).await?)?
    };
}

serve! {
    /// Serves [`Decisions`].
    pub fn decisions = Decisions as decisions_server::Decisions in DecisionsServer;
    internal record_decisions(pb::RecordDecisionsRequest) -> ()
        = |engine, (), m| engine.record(field::each_in("records", m.records)?).await?;
    actor find_decision(pb::FindDecisionRequest) -> pb::DecisionRecord
        = |engine, by, m| engine.find(by, field::parse("id", &m.id)?).await?.into();
    => {
        type WatchInputsStream = Watched<pb::Inputs>;

        async fn watch_inputs(
            &self,
            request: Request<pb::WatchInputsRequest>,
        ) -> Result<Response<Self::WatchInputsStream>, Status> {
            let by = self.door.actor(&request).await?;
            let cluster = field::parse("cluster", &request.get_ref().cluster)?;
            Ok(Response::new(watched(self.engine.watch_inputs(by, cluster).await?)))
        }
    }
}
