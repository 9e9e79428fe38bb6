//! `lanyard.gateway.v1.Explain` over gRPC.

use std::sync::Arc;

use lanyard_api::{
    Authority, CallError, IdentityPart, Standing,
    authz::{Attributes, DecisionKind, DecisionOutcome, DecisionRecord, Decisions},
    grpc::Door,
};
use lanyard_iam::PrincipalArn;
use lanyard_kit::clock::moment_text;
use lanyard_proto::gateway::v1::{self as pb, explain_server};
use tonic::{Request, Response, Status};

use super::{ExplainQuery, Explanation, Stage, StageOutcome, Subject, anew};
use crate::{audiences, kubernetes::Gateway, names::Signed, services::Services};

/// Serves explanations to admitted callers, and the hub's own names to anybody.
pub struct ExplainServer<S> {
    gateway: Arc<Gateway<S>>,
    door: Door,
}

impl<S: Services> ExplainServer<S> {
    /// The tonic service.
    pub fn service(gateway: Arc<Gateway<S>>) -> explain_server::ExplainServer<Self> {
        explain_server::ExplainServer::new(Self { gateway, door: Door::behind_door() })
    }
}

#[tonic::async_trait]
impl<S: Services> explain_server::Explain for ExplainServer<S> {
    async fn explain(
        &self,
        request: Request<pb::ExplainRequest>,
    ) -> Result<Response<pb::Explanation>, Status> {
        let by = self.door.actor(&request).await?;
        let signed = request.extensions().get::<Signed>().cloned();
        let query = ExplainQuery::try_from(request.into_inner())?;
        let explanation = super::explain(&self.gateway, by, signed.as_ref(), query).await?;
        Ok(Response::new(explanation.into()))
    }

    async fn explain_decision(
        &self,
        request: Request<pb::ExplainDecisionRequest>,
    ) -> Result<Response<pb::Explanation>, Status> {
        let by = self.door.actor(&request).await?;
        let signed = request.extensions().get::<Signed>().cloned();
        let id = request.into_inner().id.parse().map_err(|error| invalid("id", error))?;
        let record = self.gateway.parts.services.authz().find(by, id).await?;
        let anew = anew::ask(&self.gateway, signed.as_ref(), &record).await;
        let spoke = self.gateway.parts.directory.by_uid(record.cluster);
        let is_decided_here = spoke.is_some_and(|spoke| super::is_decided_here(&spoke.cluster));
        let mut explanation = record_explanation(&record, is_decided_here);
        explanation.stages.extend(anew.stage.map(pb::Stage::from));
        explanation.advice.extend(anew.advice);
        Ok(Response::new(explanation))
    }

    async fn hub(&self, _: Request<()>) -> Result<Response<pb::HubInfo>, Status> {
        let hub = &self.gateway.parts.hub;
        Ok(Response::new(pb::HubInfo {
            hub_id: hub.hub_id.to_string(),
            version: hub.version.to_owned(),
            account: hub.account.clone(),
            region: hub.region.clone(),
        }))
    }
}

fn invalid(field: &'static str, error: impl std::fmt::Display) -> Status {
    CallError::invalid(field, "malformed", error.to_string()).into()
}

impl TryFrom<pb::ExplainRequest> for ExplainQuery {
    type Error = Status;

    fn try_from(request: pb::ExplainRequest) -> Result<Self, Status> {
        let subject = match request.who {
            None => return Err(CallError::invalid("who", "required", "give a token or a principal").into()),
            Some(pb::explain_request::Who::Token(token)) => Subject::Token(token.into()),
            Some(pb::explain_request::Who::Principal(principal)) => Subject::As {
                arn: PrincipalArn::parse(&principal.arn).map_err(|error| invalid("principal.arn", error))?,
                authority: principal
                    .authority
                    .map(|authority| authority.parse::<Authority>())
                    .transpose()
                    .map_err(|error| invalid("principal.authority", error))?,
                principal_id: principal.principal_id,
            },
        };
        Ok(Self {
            subject,
            cluster: request.cluster.parse().map_err(|error| invalid("cluster", error))?,
            attributes: request.attributes.map(Attributes::try_from).transpose()?,
        })
    }
}

impl From<Explanation> for pb::Explanation {
    fn from(explanation: Explanation) -> Self {
        Self {
            verdict: explanation.verdict.code().to_owned(),
            advice: explanation.advice,
            stages: explanation.stages.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Stage> for pb::Stage {
    fn from(stage: Stage) -> Self {
        let outcome = match stage.outcome {
            StageOutcome::Passed => pb::stage::Outcome::Passed,
            StageOutcome::Refused => pb::stage::Outcome::Refused,
            StageOutcome::NoAnswer => pb::stage::Outcome::Fault,
        };
        Self {
            name: stage.name.to_owned(),
            outcome: outcome.into(),
            code: stage.code,
            lines: stage.lines,
            parts: stage.parts.into_iter().map(part).collect(),
        }
    }
}

fn part(part: IdentityPart) -> pb::IdentityPart {
    let IdentityPart { name, value, standing } = part;
    let standing = match standing {
        Standing::Verified => pb::identity_part::Standing::Verified,
        Standing::CallerChosen => pb::identity_part::Standing::CallerChosen,
        Standing::Assumed => pb::identity_part::Standing::Assumed,
    };
    pb::IdentityPart { name, value, standing: standing.into() }
}

/// A finished decision as it was kept: one stage, with what was known then.
fn record_explanation(record: &DecisionRecord, is_decided_here: bool) -> pb::Explanation {
    let name = match record.kind {
        DecisionKind::TokenReview => "token review",
        DecisionKind::SubjectAccessReview => "subject access review",
        DecisionKind::ManagementCall => "management call",
    };
    let (outcome, verdict) = match record.outcome {
        DecisionOutcome::Refused | DecisionOutcome::Deny if record.kind == DecisionKind::ManagementCall => {
            (pb::stage::Outcome::Refused, "refused")
        }
        DecisionOutcome::Verified | DecisionOutcome::Allow => (pb::stage::Outcome::Passed, "allowed"),
        DecisionOutcome::NoAnswer => (pb::stage::Outcome::Fault, "no_answer"),
        DecisionOutcome::NoOpinion if is_decided_here => (pb::stage::Outcome::Refused, "forbidden"),
        DecisionOutcome::NoOpinion => (pb::stage::Outcome::Refused, "left_to_cluster"),
        DecisionOutcome::Refused => (pb::stage::Outcome::Refused, "unauthorized"),
        DecisionOutcome::Deny => (pb::stage::Outcome::Refused, "forbidden"),
    };
    let named = |name: &str, value: &str| (!value.is_empty()).then(|| format!("{name}: {value}"));
    let lines = [
        Some(format!("at: {}", moment_text(&record.at))),
        named("who", &record.who),
        named("asked", &record.what),
        named("outcome", &record.outcome.to_string()),
        record.trace.map(|trace| format!("trace: {trace}")),
    ];
    let lines = lines.into_iter().flatten().chain(record.detail.lines().map(str::to_owned)).collect();
    pb::Explanation {
        stages: vec![pb::Stage {
            name: name.to_owned(),
            outcome: outcome.into(),
            code: record.reason.to_string(),
            lines,
            parts: Vec::new(),
        }],
        verdict: verdict.to_owned(),
        advice: record_advice(record).into_iter().map(str::to_owned).collect(),
    }
}

/// What helps an API server that asks for none of its cluster's audiences: a token that is gone through stage by stage shows none of it.
const AUDIENCE_ADVICE: &str = "let the API server's `--api-audiences` hold one of the cluster's beside its own (without that flag they are its \
                               `--service-account-issuer` alone), or give the cluster the API server's: `lanyard cluster update ID --audience \
                               AUDIENCE`, with each that it is to have";

/// The next step, where it can be told by the record alone.
fn record_advice(record: &DecisionRecord) -> Option<&'static str> {
    match record.outcome {
        DecisionOutcome::NoAnswer => Some(super::FAULT_ADVICE),
        DecisionOutcome::Refused if audiences::are_told(record) => Some(AUDIENCE_ADVICE),
        // A token is not kept, and whose it would have been is not proven.
        DecisionOutcome::Refused if record.kind == DecisionKind::TokenReview && record.question.is_none() => {
            Some("`lanyard explain --token -` goes through such a token stage by stage")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use lanyard_api::{ClusterUid, DecisionId};

    use super::*;

    fn record(kind: DecisionKind, outcome: DecisionOutcome) -> DecisionRecord {
        DecisionRecord {
            id: DecisionId::random(),
            at: time::OffsetDateTime::UNIX_EPOCH,
            cluster: ClusterUid::random(),
            kind,
            outcome,
            reason: "code".into(),
            who: "ana".into(),
            what: "get pods".into(),
            detail: "at length".into(),
            trace: None,
            question: None,
        }
    }

    #[test]
    fn what_nobody_is_asked_about_after_lanyard_is_forbidden_and_the_rest_is_left_to_the_cluster() {
        let door = DecisionKind::SubjectAccessReview;
        let cases = [
            (DecisionOutcome::NoOpinion, true, "forbidden"),
            (DecisionOutcome::NoOpinion, false, "left_to_cluster"),
            (DecisionOutcome::Deny, false, "forbidden"),
            (DecisionOutcome::Allow, true, "allowed"),
        ];
        for (outcome, is_decided_here, verdict) in cases {
            let told = record_explanation(&record(door, outcome), is_decided_here);
            assert_eq!(told.verdict, verdict, "{outcome} {is_decided_here}");
        }
    }

    #[test]
    fn each_part_of_an_identity_goes_with_what_it_is_worth() {
        use pb::identity_part::Standing as Sent;

        let cases = [
            (Standing::Verified, Sent::Verified),
            (Standing::CallerChosen, Sent::CallerChosen),
            (Standing::Assumed, Sent::Assumed),
        ];
        for (standing, sent) in cases {
            let stage = Stage {
                name: "identity",
                outcome: StageOutcome::Passed,
                code: "verified".to_owned(),
                lines: Vec::new(),
                parts: vec![IdentityPart::new("session name", "ana", standing)],
            };
            let told = pb::Stage::from(stage).parts;
            let expected = pb::IdentityPart {
                name: "session name".to_owned(),
                value: "ana".to_owned(),
                standing: sent.into(),
            };
            assert_eq!(told, [expected], "{standing}");
        }
    }

    #[test]
    fn a_token_that_was_refused_and_a_fault_have_a_next_step() {
        let advice = |outcome| record_explanation(&record(DecisionKind::TokenReview, outcome), false).advice;
        assert!(advice(DecisionOutcome::Refused).concat().contains("--token -"));
        assert!(advice(DecisionOutcome::NoAnswer).concat().contains("not a refusal"));
        assert!(advice(DecisionOutcome::Verified).is_empty());
        let refused = |detail: String| DecisionRecord {
            reason: audiences::CODE.into(),
            detail: detail.into(),
            ..record(DecisionKind::TokenReview, DecisionOutcome::Refused)
        };
        let asked = refused(audiences::told(&["https://issuer".to_owned()], &["own".to_owned()]));
        let told = record_explanation(&asked, false);
        assert!(told.advice.concat().contains("--api-audiences"), "{:?}", told.advice);
        assert!(told.stages[0].lines.contains(&"audiences asked for: `https://issuer`".to_owned()));
        // Of a token's own audience something else is to be said.
        let of_a_token = record_explanation(&refused("the token is for others".to_owned()), false);
        assert!(of_a_token.advice.concat().contains("--token -"));
    }
}
