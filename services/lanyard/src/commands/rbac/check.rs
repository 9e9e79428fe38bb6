//! `lanyard rbac check`: SubjectAccessReviews decided by objects in files, by the engine that hubs decide with.

use std::collections::BTreeMap;

use clap::Args;
use lanyard_rbac::{Grant, Index, Object, ObjectKey, RuleGrant, Subject};
use serde::Serialize;

use super::review::{Review, read_all};
use crate::{
    cli::{Context, complain},
    exit::Ending,
    failure::Failure,
    input::Source,
    output::{Output, line},
    show::{Listing, Row},
};

pub(super) const HELP: &str = r#"Examples:
  lanyard rbac check -f rbac.yaml --reviews reviews.json
  echo '{"user":"ana","groups":["devs"],"resourceAttributes":{"verb":"get","resource":"pods"}}' |
    lanyard rbac check -f rbac.yaml --reviews - --output json
  lanyard rbac check -f roles.yaml -f bindings.yaml --reviews expected.json --expect

Reviews are SubjectAccessReview objects or their `spec` alone: one, a list, or one a line. With --output json each gets a line {"allowed":…,"reason":…,"rule":…}, in order. Users and groups count as given: an API server adds `system:authenticated` itself.

It ends with 0 where all were decided; with --all-allowed, 1 unless all are allowed; with --expect, 1 unless each is decided as its own `status.allowed` (or `allowed` beside `spec`) says; and with 2 where something cannot be read, an object stands in the files twice, or none is in them."#;

/// The flags of `lanyard rbac check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// RBAC objects, any output of `kubectl get -o yaml|json`; may be given again.
    #[arg(long = "file", short = 'f', value_name = "FILE", required = true)]
    files: Vec<Source>,
    /// The reviews; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    reviews: Source,
    /// End with 1 unless every review is allowed.
    #[arg(long)]
    all_allowed: bool,
    /// End with 1 unless every review is decided as it says itself.
    #[arg(long, conflicts_with = "all_allowed")]
    expect: bool,
}

/// A decision. The order of its members is that of the line.
#[derive(Debug, Serialize)]
struct Decided {
    allowed: bool,
    reason: String,
    rule: Option<Rule>,
    #[serde(skip)]
    who: String,
    #[serde(skip)]
    what: String,
}

/// The rule that allowed it.
#[derive(Debug, Serialize)]
struct Rule {
    /// Whom the binding names, and the asker is.
    subject: String,
    binding: String,
    role: String,
    /// Its place in the role, from 0.
    index: usize,
    /// The role that it is written in, where the bound one aggregates it.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
}

impl From<RuleGrant<'_>> for Rule {
    fn from(grant: RuleGrant<'_>) -> Self {
        let from = (grant.origin() != grant.role()).then(|| grant.origin().to_string());
        Self {
            subject: Subject::from(grant.subject()).to_string(),
            binding: grant.binding().to_string(),
            role: grant.role().to_string(),
            index: grant.rule_index(),
            from,
        }
    }
}

impl Row for Decided {
    const COLUMNS: &'static [&'static str] = &["ALLOWED", "WHO", "ASKS TO", "BECAUSE"];

    fn cells(&self) -> Vec<String> {
        let allowed = if self.allowed { "yes" } else { "no" };
        vec![allowed.to_owned(), self.who.clone(), self.what.clone(), self.reason.clone()]
    }
}

impl Decided {
    fn of(index: &Index, review: &Review) -> Self {
        let (user, attributes) = (review.user(), review.attributes());
        let grant = index.authorize(user, &attributes);
        let reason = match &grant {
            Some(grant) => grant.to_string(),
            None => {
                let explanation = index.explain(user, &attributes);
                let mut reasons = vec!["no rule allows it".to_owned()];
                reasons.extend(explanation.near_misses.iter().map(ToString::to_string));
                reasons.join("; ")
            }
        };
        let rule = match grant {
            Some(Grant::Rule(grant)) => Some(Rule::from(grant)),
            Some(Grant::SystemMasters) | None => None,
        };
        Self { allowed: grant.is_some(), reason, rule, who: review.who(), what: review.what() }
    }
}

impl CheckArgs {
    /// Decides them all.
    pub(super) fn run(self, context: &Context) -> Result<Ending, Failure> {
        let stdins =
            self.files.iter().chain([&self.reviews]).filter(|source| **source == Source::Stdin).count();
        if stdins > 1 {
            return Err(Failure::usage("standard input can be read once: give objects or reviews as a file"));
        }
        let index = Index::compile(&self.objects()?);
        index.problems().iter().for_each(|problem| complain(&format!("warning: {problem}")));
        let reviews = read_all(&self.reviews.read()?)
            .map_err(|error| Failure::usage(format!("{}: {error}", self.reviews.name())))?;
        if self.expect
            && let Some(at) = reviews.iter().position(|review| review.expected.is_none())
        {
            let rule = "says nothing of its answer: give it `status: {allowed: …}`";
            return Err(Failure::usage(format!("--expect: review {} {rule}", at + 1)));
        }
        let decided: Vec<Decided> = reviews.iter().map(|review| Decided::of(&index, review)).collect();
        let ending = self.ending(&reviews, &decided);
        show(context, decided)?;
        Ok(ending)
    }

    /// The objects of all files, which a hub would be given at once.
    fn objects(&self) -> Result<Vec<Object>, Failure> {
        let mut objects = Vec::new();
        let mut places = BTreeMap::<ObjectKey, &Source>::new();
        for file in &self.files {
            let read = read_objects(file)?;
            if read.is_empty() {
                complain(&format!("warning: {} holds no RBAC object", file.name()));
            }
            for key in read.iter().map(Object::key) {
                // As `rbac apply` has it: nobody says which of the two would count.
                if let Some(first) = places.get(&key) {
                    let (here, first) = (file.name(), first.name());
                    return Err(Failure::usage(format!(
                        "{here}: `{key}` is in the input twice, first in {first}: leave one out"
                    )));
                }
                places.insert(key, file);
            }
            objects.extend(read);
        }
        if objects.is_empty() {
            return Err(Failure::usage(
                "there is no RBAC object in what --file names, and every answer would be no: give Roles, ClusterRoles and their bindings",
            ));
        }
        Ok(objects)
    }

    fn ending(&self, reviews: &[Review], decided: &[Decided]) -> Ending {
        let mut as_expected = true;
        if self.expect {
            for ((review, decided), number) in reviews.iter().zip(decided).zip(1..) {
                if review.expected != Some(decided.allowed) {
                    as_expected = false;
                    let (is, should) =
                        if decided.allowed { ("allowed", "not be") } else { ("not allowed", "be") };
                    complain(&format!(
                        "review {number} is {is} and should {should}: {} {}",
                        decided.who, decided.what
                    ));
                }
            }
        }
        let all = !self.all_allowed || decided.iter().all(|decided| decided.allowed);
        (as_expected && all).into()
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

fn read_objects(file: &Source) -> Result<Vec<Object>, Failure> {
    let text = file.read()?;
    let parsed = lanyard_rbac::parse(text.as_bytes())
        .map_err(|error| Failure::usage(format!("{}: {error}", file.name())))?;
    for skipped in &parsed.skipped {
        let name = skipped.name.as_deref().unwrap_or("without a name");
        complain(&format!("note: {} is left out: {} {name}", file.name(), skipped.kind));
    }
    Ok(parsed.objects)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::table;

    const OBJECTS: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: view}
rules: [{verbs: [get], apiGroups: [""], resources: [pods]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "b`\nallow: access policy AmazonEKSClusterAdminPolicy in cluster scope"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: devs}]
"#;
    const REVIEW: &str =
        r#"{"groups":["devs"],"resourceAttributes":{"verb":"delete","resource":"pods","namespace":"a"}}"#;

    #[test]
    fn whoever_names_an_object_writes_no_line_of_the_table() {
        let index = Index::compile(&lanyard_rbac::parse(OBJECTS.as_bytes()).unwrap().objects);
        let reviews = read_all(REVIEW).unwrap();
        let text = table(&Listing(reviews.iter().map(|review| Decided::of(&index, review)).collect()));
        assert!(text.contains(r"ClusterRoleBinding/b`\nallow: access policy"), "{text}");
        assert!(!text.lines().any(|line| line.trim_start().starts_with("allow:")), "{text}");
    }
}
