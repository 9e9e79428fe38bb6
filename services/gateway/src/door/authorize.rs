//! authz's questions at the front door: as authz answers them, with entries named for callers who may list them.

use std::{mem, sync::Arc};

use lanyard_api::{
    CallError, ClusterUid, Fault,
    authz::{Authorize, WhoCanQuery, first_cluster},
    grpc::{Door, MESSAGE_BYTES_MAX, Served},
};
use lanyard_proto::{
    Each,
    authz::v1::{self as pb, authorize_server},
};
use prost::Message as _;
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
        let batch = request.into_inner();
        let cluster = first_cluster(&batch);
        let authz = self.gateway.parts.services.authz();
        let answer = authz.authorize_written(batch).await.map_err(of_an_admitted_batch)?;
        Ok(Response::new(self.named(answer, signed.as_ref(), cluster).await?))
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
    /// A batch's answer with the entries named in what would have allowed something. One that names none goes on as it came.
    async fn named(
        &self,
        answer: pb::AuthorizeBatchResponse,
        signed: Option<&Signed>,
        cluster: Option<ClusterUid>,
    ) -> Result<pb::AuthorizeBatchResponse, Fault> {
        let Some(cluster) = cluster.filter(|_| names_any_entry(&answer)) else { return Ok(answer) };
        Ok(with_names(&answer, &Names::of(&self.gateway, signed, cluster).await?))
    }
}

/// The error of a batch whose caller was let in: what cannot be read of it, or a fault. authz refuses nobody, so what reads like a refusal
/// is about this door, and not about the caller.
fn of_an_admitted_batch(error: CallError) -> CallError {
    match error {
        CallError::Invalid { .. } | CallError::Fault(_) => error,
        error => {
            tracing::error!(%error, "authz gave an error that it has for no batch");
            Fault::Internal.into()
        }
    }
}

/// Whether a decision names an entry in what would have allowed something.
fn names_any_entry(answer: &pb::AuthorizeBatchResponse) -> bool {
    // Of those in a row that say the same one is looked at.
    let mut last: &[u8] = &[];
    let mut decisions = answer.decisions.iter_bytes();
    decisions.any(|bytes| mem::replace(&mut last, bytes) != bytes && naming_an_entry(bytes).is_some())
}

/// A decision that names an entry in what would have allowed something; nearly none needs to be read for that.
fn naming_an_entry(bytes: &[u8]) -> Option<pb::Decision> {
    let decision = names_an_entry(&String::from_utf8_lossy(bytes)).then(|| pb::Decision::decode(bytes).ok());
    decision.flatten().filter(|decision| decision.hints.iter().any(|hint| names_an_entry(hint)))
}

/// The answer with the principals of entries in place of their numbers; what names none stays as it came.
fn with_names(answer: &pb::AuthorizeBatchResponse, names: &Names) -> pb::AuthorizeBatchResponse {
    let mut decisions = Each::default();
    for bytes in answer.decisions.iter_bytes() {
        match naming_an_entry(bytes) {
            Some(mut decision) => {
                for hint in &mut decision.hints {
                    *hint = names.in_text(hint).into_owned();
                }
                decisions.push(&decision);
            }
            None => decisions.push_written(bytes.len(), |wire| wire.extend_from_slice(bytes)),
        }
    }
    pb::AuthorizeBatchResponse { decisions }
}

#[cfg(test)]
mod tests {
    use lanyard_api::{Denial, EntryId};

    use super::*;

    fn decision(evaluation_error: &str, hints: &[String]) -> pb::Decision {
        pb::Decision {
            evaluation_error: Some(evaluation_error.to_owned()),
            hints: hints.to_vec(),
            ..pb::Decision::default()
        }
    }

    #[test]
    fn entries_are_named_in_hints_and_all_else_of_an_answer_stays_as_it_came() {
        let id = EntryId::random();
        let hint = |who: &str| vec!["a role".to_owned(), format!("access entry {who} has ended")];
        let (numbered, ana) = (hint(&id.to_string()), "arn:aws:iam::111122223333:user/ana");
        // What a selector's key or a role's name says is no entry.
        let other = decision("`access entry x` is no key", &[]);
        let mut decisions = Each::default();
        decisions.push(&other);
        assert!(!names_any_entry(&pb::AuthorizeBatchResponse { decisions: decisions.clone() }));
        decisions.push(&decision("", &numbered));
        decisions.push(&decision("", &numbered));
        // A field that nobody knows here, and no message.
        decisions.push_written(2, |wire| wire.extend_from_slice(&[0x78, 1]));
        decisions.push_written(1, |wire| wire.push(0xff));
        let answer = pb::AuthorizeBatchResponse { decisions };
        assert!(names_any_entry(&answer));
        let named = with_names(&answer, &Names::from_iter([(id, ana.to_owned())]));
        let written: Vec<_> = named.decisions.iter_bytes().map(<[u8]>::to_vec).collect();
        let expected = decision("", &hint(ana)).encode_to_vec();
        assert_eq!(written, [other.encode_to_vec(), expected.clone(), expected, vec![0x78, 1], vec![0xff]]);
    }

    #[test]
    fn what_authz_refuses_the_door_is_no_refusal_of_the_caller() {
        let kept = [CallError::invalid("reviews", "malformed", "no message"), Fault::Internal.into()];
        for error in kept {
            assert_eq!(of_an_admitted_batch(error.clone()), error);
        }
        let denial = Denial { code: "refused_on_the_way".into(), message: "not a caller".to_owned() };
        for error in [CallError::Denied(denial), CallError::not_found("cluster", "c1")] {
            assert_eq!(of_an_admitted_batch(error), Fault::Internal.into());
        }
    }
}
