//! `lanyard authorize --cluster C -f REVIEWS`: many access reviews, decided by the hub in one question.

use std::sync::Arc;

use clap::Args;
use lanyard_api::{
    Authority, ClusterId, UserInfo,
    authz::{
        Attributes, Authorize as _, BATCH_REVIEWS_MAX, Decision, Review, Verdict, batch_message,
        read_decisions,
    },
    grpc::admitted_at_the_door,
    mapping::Clusters,
};
use lanyard_iam::PrincipalArn;
use serde::Serialize;

use super::{
    rbac::review::{HubReview, read_for_hub},
    rules::badge,
};
use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    input::Source,
    output::{Output, line, one_a_line},
    show::{Listing, Row},
};

const HELP: &str = r#"Examples:
  lanyard authorize --as arn:aws:iam::111122223333:user/ana --cluster dev -f questions.json
  echo '{"resourceAttributes":{"verb":"get","resource":"pods","namespace":"team-a"}}' |
    lanyard authorize --as arn:aws:iam::111122223333:user/ana --cluster dev -f - --output json
  lanyard authorize --cluster dev -f reviews.json --all-allowed

Reviews are SubjectAccessReview objects or their `spec` alone: one, a list, or one a line. With --as all are about that principal, taken as if it were proved, and name nobody; without it each names its user and groups, who get what RBAC gives and no access policy. With --output json each gets a line {"verdict":…,"reason":…,"hints":[…]}, in order; a verdict is allow, deny or no_opinion.

It ends with 0 where all were decided; with --all-allowed, 1 unless all are allowed; and with 1 where nothing maps the principal."#;

/// Reviews of one question: an answer holds all of them, and is of one state of the cluster. All are explained, and the explanations
/// of one question share what they may look at.
const BATCH_MAX: usize = 500;
const _: () = assert!(BATCH_MAX <= BATCH_REVIEWS_MAX, "the hub refuses larger ones");

/// The flags of `lanyard authorize`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct AuthorizeArgs {
    /// A principal or session, mapped as if it knocked now.
    #[arg(long = "as", value_name = "ARN")]
    arn: Option<PrincipalArn>,
    /// Whose identity the ARN would be; by default the authority of its account on this hub.
    #[arg(long, value_name = "AUTHORITY", requires = "arn")]
    authority: Option<Authority>,
    /// The cluster's id.
    #[arg(long, value_name = "CLUSTER")]
    cluster: ClusterId,
    /// The reviews; `-` is standard input.
    #[arg(long = "file", short = 'f', value_name = "FILE")]
    reviews: Source,
    /// End with 1 unless every review is allowed.
    #[arg(long)]
    all_allowed: bool,
}

/// A decision. The order of its members is that of the line.
#[derive(Debug, Serialize)]
struct Decided {
    verdict: Verdict,
    reason: String,
    hints: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluation_error: Option<String>,
    #[serde(skip)]
    who: String,
    #[serde(skip)]
    what: String,
}

impl Row for Decided {
    const COLUMNS: &'static [&'static str] = &["ANSWER", "WHO", "ASKS TO", "BECAUSE"];
    const LAST_HAS_LINES: bool = true;

    fn cells(&self) -> Vec<String> {
        let answer = match self.verdict {
            Verdict::Allow => "allow",
            Verdict::Deny => "deny",
            Verdict::NoOpinion => "no opinion",
        };
        let because = [&self.reason].into_iter().chain(&self.evaluation_error).chain(&self.hints);
        vec![answer.to_owned(), self.who.clone(), self.what.clone(), one_a_line(because)]
    }
}

impl Decided {
    fn of(decision: Decision, asked: (String, String)) -> Self {
        Self {
            verdict: decision.verdict,
            reason: decision.reason.to_string(),
            hints: decision.hints,
            evaluation_error: decision.evaluation_error,
            who: asked.0,
            what: asked.1,
        }
    }
}

/// Who asks for what, by their own name or by the principal that all are about.
fn persons(
    reviews: Vec<HubReview>,
    badge: Option<&Arc<UserInfo>>,
) -> Result<Vec<(Arc<UserInfo>, Attributes)>, String> {
    let person = |(review, number): (HubReview, usize)| {
        let HubReview { username, groups, attributes } = review;
        let names_somebody = !username.is_empty() || !groups.is_empty();
        match badge {
            Some(_) if names_somebody => {
                Err(format!("review {number} names its user: leave that out beside --as, or --as itself"))
            }
            Some(badge) => Ok((Arc::clone(badge), attributes)),
            None if !names_somebody => {
                Err(format!("review {number} names nobody: give `user`, `groups` or both, or --as"))
            }
            None => Ok((Arc::new(UserInfo { username, groups, ..UserInfo::default() }), attributes)),
        }
    };
    reviews.into_iter().zip(1..).map(person).collect()
}

impl AuthorizeArgs {
    /// Asks.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let read = read_for_hub(&self.reviews.read()?)
            .map_err(|error| Failure::usage(format!("{}: {error}", self.reviews.name())))?;
        let hub = context.connect().await?;
        let cluster = hub.remote().get_cluster(admitted_at_the_door(), self.cluster.clone()).await?;
        let known = match &self.arn {
            None => None,
            Some(arn) => match badge(&hub, cluster.uid, arn, self.authority.as_ref()).await? {
                Some((user, entry)) => Some((Arc::new(user), entry)),
                None => return Ok(Ending::No),
            },
        };
        let grant = known.as_ref().and_then(|(_, entry)| *entry);
        let asked = persons(read, known.as_ref().map(|(user, _)| user))
            .map_err(|error| Failure::usage(format!("{}: {error}", self.reviews.name())))?;
        let mut decided = Vec::with_capacity(asked.len());
        for batch in asked.chunks(BATCH_MAX) {
            let review = |(user, attributes): &(Arc<UserInfo>, Attributes)| Review {
                cluster: cluster.uid,
                user: Arc::clone(user),
                attributes: Arc::new(attributes.clone()),
                explain: true,
                full: false,
                grant,
            };
            let asked = batch_message(batch.iter().map(review).collect());
            let answer = hub.remote().authorize_written(asked).await?;
            let answered = read_decisions(&answer).map_err(anyhow::Error::from)?;
            for (decision, (user, attributes)) in answered.into_iter().zip(batch) {
                decided.push(Decided::of(decision, (user.username.clone(), attributes.to_string())));
            }
        }
        let all = !self.all_allowed || decided.iter().all(|one| one.verdict == Verdict::Allow);
        show(context, decided)?;
        Ok(all.into())
    }
}

fn show(context: &Context, decided: Vec<Decided>) -> Result<(), Failure> {
    if context.output != Output::Json {
        return Ok(context.output.show(&Listing(decided))?);
    }
    let lines: Result<Vec<String>, _> = decided.iter().map(serde_json::to_string).collect();
    line(&lines.map_err(anyhow::Error::from)?.join("\n"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(username: &str) -> HubReview {
        let attributes = Attributes::NonResource { path: "/x".into(), verb: "get".into() };
        HubReview { username: username.to_owned(), groups: Vec::new(), attributes }
    }

    #[test]
    fn whom_a_review_is_about_is_said_once() {
        let ana = Arc::new(UserInfo { username: "ana".to_owned(), ..UserInfo::default() });
        let names = |reviews, badge| {
            let persons = persons(reviews, badge)?;
            Ok::<_, String>(persons.into_iter().map(|(user, _)| user.username.clone()).collect::<Vec<_>>())
        };
        assert_eq!(names(vec![asked(""), asked("")], Some(&ana)).unwrap(), ["ana", "ana"]);
        assert_eq!(names(vec![asked("bob"), asked("cid")], None).unwrap(), ["bob", "cid"]);
        assert!(
            names(vec![asked(""), asked("bob")], Some(&ana))
                .unwrap_err()
                .starts_with("review 2 names its user")
        );
        assert!(names(vec![asked("bob"), asked("")], None).unwrap_err().starts_with("review 2 names nobody"));
    }
}
