//! A kept refusal asked anew: what would help, as things are now.
//!
//! A refusal says what refused it, and no more: what would have allowed it is worked out for who asks, not for each refusal on
//! the way of requests. Nothing that proves anybody was kept, so the answer is about the principal or the entry, as one by
//! name is, and takes the permission that one takes.

use std::sync::Arc;

use lanyard_api::{
    Actor, CallError, ClusterId, Fault, UserInfo, Vouched,
    authn::{Admission, Admit, AdmitQuery, Beside},
    authz::{Authorize, DecisionRecord, DoorQuestion, KnockQuestion, Question, Review, Verdict},
    mapping::{Cluster, Preview, PreviewQuery},
    methods::Managed,
};
use lanyard_kit::clock::moment_text;
use lanyard_proto::gateway::v1::ExplainRequest;
use prost::Message as _;

use super::{Stage, StageOutcome, forbidden_advice, let_in, mapping_lines};
use crate::{
    kubernetes::Gateway,
    names::{Names, Signed, names_an_entry},
    services::Services,
};

/// What is said in place of hints to whoever may see the decision, and not explain in its cluster.
const NOT_TOLD: &str = "who has the permission lanyard:Explain in the cluster is told here what would help";

/// The answer as things are now, and the next step.
pub(super) struct Anew {
    pub(super) stage: Option<Stage>,
    pub(super) advice: Vec<String>,
}

impl Anew {
    fn of(stage: Stage, advice: String) -> Self {
        Self { stage: Some(stage), advice: vec![advice] }
    }

    fn nothing() -> Self {
        Self { stage: None, advice: Vec::new() }
    }

    fn no_answer(fault: &Fault) -> Self {
        let stage = Stage {
            name: "now",
            outcome: StageOutcome::NoAnswer,
            code: fault.code().to_owned(),
            lines: vec![fault.to_string()],
            parts: Vec::new(),
        };
        Self::of(stage, "what would help now has no answer: try again".to_owned())
    }
}

/// Asks what was refused anew, in the name of whoever asks about it.
pub(super) async fn ask<S: Services>(
    gateway: &Gateway<S>,
    signed: Option<&Signed>,
    record: &DecisionRecord,
) -> Anew {
    let Some(question) = &record.question else { return Anew::nothing() };
    let (Some(signed), Some(spoke)) = (signed, gateway.parts.directory.by_uid(record.cluster)) else {
        return Anew::nothing();
    };
    let cluster = &*spoke.cluster;
    let by = match may_explain(gateway, signed, &cluster.id).await {
        Ok(Some(by)) => by,
        Ok(None) => return Anew { stage: None, advice: vec![NOT_TOLD.to_owned()] },
        Err(fault) => return Anew::no_answer(&fault),
    };
    let answered = match &**question {
        Question::Knock(knock) => of_knock(gateway, by, cluster, knock).await,
        Question::Door(door) => of_door(gateway, signed, cluster, door).await,
    };
    match answered {
        Ok(anew) => anew,
        Err(CallError::Fault(fault)) => Anew::no_answer(&fault),
        // The cluster went meanwhile, or is not the caller's.
        Err(_) => Anew::nothing(),
    }
}

/// The caller, where they may explain in the cluster: what a refusal would take is told to them, as it is of a principal by name.
async fn may_explain<S: Services>(
    gateway: &Gateway<S>,
    signed: &Signed,
    cluster: &ClusterId,
) -> Result<Option<Vouched<Actor>>, Fault> {
    let message = ExplainRequest { cluster: cluster.to_string(), ..ExplainRequest::default() };
    let beside =
        Beside { method: ExplainRequest::METHOD.path.to_owned(), body: message.encode_to_vec().into() };
    let asked = AdmitQuery { beside: Some(beside), ..signed.0.clone() };
    Ok(match gateway.parts.services.authn().admit(asked).await? {
        Admission::Admitted(by) => Some(*by),
        Admission::Unauthenticated(_) | Admission::Forbidden(_) => None,
    })
}

async fn of_knock<S: Services>(
    gateway: &Gateway<S>,
    by: Vouched<Actor>,
    cluster: &Cluster,
    knock: &KnockQuestion,
) -> Result<Anew, CallError> {
    let ask = PreviewQuery {
        cluster: cluster.uid,
        authority: knock.authority.clone(),
        arn: knock.arn.clone(),
        principal_id: Some(knock.principal_id.clone()),
    };
    let resolution = gateway.parts.services.mapping().preview(by, ask).await?;
    let mut lines = vec![format!("as of: {}", moment_text(&gateway.parts.clock.now()))];
    Ok(match let_in(resolution, false, cluster) {
        Ok(mapped) => {
            lines.extend(mapping_lines(&mapped, None));
            let stage = Stage {
                name: "mapping now",
                outcome: StageOutcome::Passed,
                code: "mapped".to_owned(),
                lines,
                parts: Vec::new(),
            };
            Anew::of(stage, "by now the principal is let in: try again".to_owned())
        }
        Err(no) => {
            lines.extend(no.lines);
            let (outcome, code) = (StageOutcome::Refused, no.code);
            let stage = Stage { name: "mapping now", outcome, code, lines, parts: Vec::new() };
            Anew::of(stage, no.advice)
        }
    })
}

async fn of_door<S: Services>(
    gateway: &Gateway<S>,
    signed: &Signed,
    cluster: &Cluster,
    door: &DoorQuestion,
) -> Result<Anew, CallError> {
    let (username, groups) = (door.username.clone(), door.groups.clone());
    let review = Review {
        cluster: cluster.uid,
        user: Arc::new(UserInfo { username, groups, ..UserInfo::default() }),
        attributes: Arc::clone(&door.attributes),
        explain: true,
        full: false,
        grant: door.entry,
    };
    let mut decision = gateway.parts.services.authz().authorize(review).await?;
    if decision.hints.iter().any(|hint| names_an_entry(hint)) {
        let names = Names::of(gateway, Some(signed), cluster.uid).await?;
        decision.hints.iter_mut().for_each(|hint| *hint = names.in_text(hint).into_owned());
    }
    let at = moment_text(&gateway.parts.clock.now());
    let mut lines = vec![format!("as of: {at}, revision {}", decision.revision)];
    if door.entry.is_some() {
        lines.push("taken by: the access entry alone, whatever key or session there was".to_owned());
    }
    lines.push(decision.reason.to_string());
    lines.extend(decision.evaluation_error.iter().map(|error| format!("evaluation error: {error}")));
    lines.extend(decision.hints.iter().map(|hint| format!("hint: {hint}")));
    let (outcome, advice) = match decision.verdict {
        Verdict::Allow => (StageOutcome::Passed, "by now it is allowed: try again, with a new login"),
        Verdict::Deny => (
            StageOutcome::Refused,
            "kubectl says Forbidden, whatever RBAC gives: log in again for what is left",
        ),
        Verdict::NoOpinion => (StageOutcome::Refused, forbidden_advice(cluster)),
    };
    let code = decision.reason.code().to_owned();
    let stage = Stage { name: "decision now", outcome, code, lines, parts: Vec::new() };
    Ok(Anew::of(stage, advice.to_owned()))
}
