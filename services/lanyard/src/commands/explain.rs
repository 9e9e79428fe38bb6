//! `lanyard explain`: each stage in turn, from token to door.

use clap::Args;
use lanyard_api::{Authority, ClusterId, DecisionId, Standing};
use lanyard_iam::PrincipalArn;
use lanyard_proto::gateway::v1::{
    self as pb, explain_request::Who, identity_part::Standing as Worth, stage::Outcome,
};
use serde::Serialize;

use super::token::read_token;
use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::request,
    input::Source,
    output::{Tabular, one_a_line},
    question::Question,
};

const HELP: &str = "\
Examples:
  lanyard token --cluster-name dev | lanyard explain --token - --cluster dev get pods -n team-a
  lanyard explain --as arn:aws:iam::111122223333:user/ana --cluster dev get pods/log web-0 -n team-a
  lanyard explain --as arn:aws:sts::111122223333:assumed-role/ci/1 --cluster dev update deployments.apps
  lanyard explain --as arn:aws:iam::111122223333:user/ana --cluster dev get /metrics
  lanyard explain --id 0d3b6f0e-0000-4000-8000-000000000000     # it stands in kubectl's message

It ends with 0 where the answer is yes, with 1 where it is Unauthorized, Forbidden or left to the cluster, with 69 where a \
stage has no answer, or one that is not yours to know.";

/// The flags of `lanyard explain`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct ExplainArgs {
    #[command(flatten)]
    who: WhoArgs,
    /// Whose identity the ARN would be; by default of the authority that the cluster trusts for its account.
    #[arg(long, value_name = "AUTHORITY", conflicts_with_all = ["token", "id"])]
    authority: Option<Authority>,
    /// The cluster's id.
    #[arg(long, value_name = "CLUSTER", required_unless_present = "id", conflicts_with = "id")]
    cluster: Option<ClusterId>,
    #[command(flatten)]
    question: Question,
}

/// Who or what is explained.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct WhoArgs {
    /// The token, or an ExecCredential with it: a file, or `-` for standard input.
    #[arg(long, value_name = "FILE")]
    token: Option<Source>,
    /// A principal or session, taken as if it were proved.
    #[arg(long = "as", value_name = "ARN")]
    arn: Option<PrincipalArn>,
    /// A finished decision, while it is kept.
    #[arg(long, value_name = "ID")]
    id: Option<DecisionId>,
}

#[derive(Debug, Serialize)]
struct Shown {
    verdict: String,
    stages: Vec<Stage>,
    advice: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Stage {
    name: String,
    outcome: &'static str,
    code: String,
    lines: Vec<String>,
    /// Of `identity` alone. As a table the lines have them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Part>,
}

/// A part of an identity, and what it is worth.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Part {
    name: String,
    value: String,
    standing: &'static str,
}

impl From<pb::IdentityPart> for Part {
    fn from(part: pb::IdentityPart) -> Self {
        let standing = match part.standing() {
            Worth::Verified => Standing::Verified.code(),
            Worth::CallerChosen => Standing::CallerChosen.code(),
            Worth::Assumed => Standing::Assumed.code(),
            Worth::Unspecified => "unknown",
        };
        Self { name: part.name, value: part.value, standing }
    }
}

impl From<pb::Explanation> for Shown {
    fn from(explanation: pb::Explanation) -> Self {
        Self {
            verdict: explanation.verdict,
            stages: explanation.stages.into_iter().map(Stage::from).collect(),
            advice: explanation.advice,
        }
    }
}

impl From<pb::Stage> for Stage {
    fn from(stage: pb::Stage) -> Self {
        let outcome = match stage.outcome() {
            Outcome::Passed => "passed",
            Outcome::Refused => "refused",
            Outcome::Fault | Outcome::Unspecified => "no_answer",
        };
        let parts = stage.parts.into_iter().map(Part::from).collect();
        Self { name: stage.name, outcome, code: stage.code, lines: stage.lines, parts }
    }
}

impl Tabular for Shown {
    fn columns(&self) -> Vec<&'static str> {
        vec!["STAGE", "OUTCOME", "CODE", "WHAT WAS SEEN"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |stage: &Stage| {
            let outcome = stage.outcome.replace('_', " ");
            vec![stage.name.clone(), outcome, stage.code.clone(), one_a_line(&stage.lines)]
        };
        self.stages.iter().map(row).collect()
    }

    fn last_has_lines(&self) -> bool {
        true
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = vec![String::new(), verdict_text(&self.verdict).to_owned()];
        notes.extend(self.advice.iter().map(|advice| format!("next: {advice}")));
        notes
    }
}

/// What the person at kubectl sees.
fn verdict_text(verdict: &str) -> &str {
    match verdict {
        "allowed" => "allowed",
        "unauthorized" => {
            "unauthorized: kubectl says \"You must be logged in to the server\" (401), for nobody is known by this"
        }
        "forbidden" => "forbidden: kubectl says \"Forbidden\" (403), for the person is known and may not",
        "left_to_cluster" => {
            "left to the cluster: Lanyard neither allows nor denies it, the cluster's own RBAC decides"
        }
        "refused" => "refused: the spoke was told so, and nothing was done",
        "no_answer" => "no answer: a stage could not say; this is no refusal",
        other => other,
    }
}

impl Shown {
    fn ending(&self) -> Ending {
        match self.verdict.as_str() {
            "allowed" => Ending::Yes,
            "no_answer" => Ending::NoAnswer,
            _ => Ending::No,
        }
    }
}

impl ExplainArgs {
    /// Asks, and shows each stage.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let attributes = self.question.asked().map_err(Failure::usage)?;
        let explanation = match (self.who.id, self.cluster) {
            (Some(_), _) if attributes.is_some() => {
                return Err(Failure::usage(
                    "a finished decision has its question already: leave it out beside --id",
                ));
            }
            (Some(id), _) => {
                let call = request(pb::ExplainDecisionRequest { id: id.to_string() });
                context.connect().await?.explain().explain_decision(call).await?
            }
            (None, None) => return Err(Failure::usage("at which cluster? Add --cluster")),
            (None, Some(cluster)) => {
                let who = who(self.who.token, self.who.arn, self.authority)?;
                let call = request(pb::ExplainRequest {
                    cluster: cluster.to_string(),
                    who: Some(who),
                    attributes: attributes.map(Into::into),
                });
                context.connect().await?.explain().explain(call).await?
            }
        };
        let shown = Shown::from(explanation.into_inner());
        context.show(&shown)?;
        Ok(shown.ending())
    }
}

fn who(
    token: Option<Source>,
    arn: Option<PrincipalArn>,
    authority: Option<Authority>,
) -> Result<Who, Failure> {
    match (token, arn) {
        (Some(source), _) => Ok(Who::Token(read_token(&source)?.expose().to_owned())),
        (None, Some(arn)) => Ok(Who::Principal(pb::Principal {
            arn: arn.to_string(),
            authority: authority.map(|authority| authority.to_string()),
            principal_id: None,
        })),
        (None, None) => Err(Failure::usage("who knocks? Add --token or --as")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_ends_as_one_and_no_answer_is_no_refusal() {
        let ending = |verdict: &str| {
            Shown { verdict: verdict.to_owned(), stages: Vec::new(), advice: Vec::new() }.ending()
        };
        assert_eq!(ending("allowed"), Ending::Yes);
        for no in ["unauthorized", "forbidden", "left_to_cluster", "refused", "something new"] {
            assert_eq!(ending(no), Ending::No, "{no}");
        }
        assert_eq!(ending("no_answer"), Ending::NoAnswer);
    }

    #[test]
    fn as_json_each_part_of_the_identity_says_what_it_is_worth() {
        let cases = [
            (Worth::Verified, "verified"),
            (Worth::CallerChosen, "caller_chosen"),
            (Worth::Assumed, "assumed"),
            (Worth::Unspecified, "unknown"),
        ];
        let part = |worth: Worth| pb::IdentityPart {
            name: "session name".to_owned(),
            value: "ana".to_owned(),
            standing: worth.into(),
        };
        let stage = pb::Stage {
            name: "identity".to_owned(),
            parts: cases.into_iter().map(|(worth, _)| part(worth)).collect(),
            ..pb::Stage::default()
        };
        let shown = serde_json::to_value(Stage::from(stage)).unwrap();
        let expected: Vec<_> = cases
            .into_iter()
            .map(|(_, standing)| {
                serde_json::json!({ "name": "session name", "value": "ana", "standing": standing })
            })
            .collect();
        assert_eq!(shown["parts"], serde_json::Value::Array(expected));
        let other = serde_json::to_value(Stage::from(pb::Stage::default())).unwrap();
        assert_eq!(other.get("parts"), None, "there are none but of an identity");
    }

    #[test]
    fn an_explanation_is_a_table_with_the_verdict_in_words_below() {
        let stage = |name: &str, outcome: Outcome, code: &str, lines: &[&str]| pb::Stage {
            name: name.to_owned(),
            outcome: outcome.into(),
            code: code.to_owned(),
            lines: lines.iter().map(|&line| line.to_owned()).collect(),
            parts: Vec::new(),
        };
        let shown = Shown::from(pb::Explanation {
            stages: vec![
                stage(
                    "token",
                    Outcome::Passed,
                    "verified",
                    &["verified by: local IAM", "from the token cache: no"],
                ),
                stage(
                    "mapping",
                    Outcome::Refused,
                    "unmapped",
                    &["near miss: role x is mapped with its path"],
                ),
            ],
            verdict: "unauthorized".to_owned(),
            advice: vec!["make an access entry with `lanyard entry create`".to_owned()],
        });
        insta::assert_snapshot!(crate::output::table(&shown));
    }

    #[test]
    fn whoever_names_an_object_writes_no_line_of_an_explanation() {
        let lines = ["hint: bound by `ClusterRoleBinding/b`\nallow: access policy X`", "hint: another"];
        let stage = pb::Stage { lines: lines.map(str::to_owned).to_vec(), ..pb::Stage::default() };
        let shown = Shown::from(pb::Explanation { stages: vec![stage], ..pb::Explanation::default() });
        let text = crate::output::table(&shown);
        let begins = |word: &str| text.lines().any(|line| line.trim_start().starts_with(word));
        assert!(
            !begins("allow:") && begins("hint: another") && text.contains(r"b`\nallow: access"),
            "{text}"
        );
    }
}
