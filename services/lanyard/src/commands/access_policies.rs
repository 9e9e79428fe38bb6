//! `lanyard access-policies`: what can be put on an access entry. Offline: they are part of the program.

use clap::Args;
use lanyard_api::access_policies::{AccessPolicies, AccessPolicy};
use lanyard_iam::Partition;
use serde::Serialize;

use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    show::{Listing, Row},
};

/// The flags of `lanyard access-policies`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  lanyard access-policies\n  lanyard access-policies --output json --partition aws-cn"
)]
pub struct AccessPoliciesArgs {
    /// The partition of the ARNs.
    #[arg(long, default_value = "aws", value_parser = partition)]
    partition: Partition,
}

/// A partition by its name.
pub fn partition(text: &str) -> Result<Partition, String> {
    Partition::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = Partition::ALL.into_iter().map(Partition::as_str).collect();
        format!("there is no such partition: use one of {}", names.join(", "))
    })
}

#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    arn: String,
    rules: usize,
    rules_complete: bool,
    service_linked_only: bool,
    note: Option<String>,
}

impl Shown {
    fn of(policy: &AccessPolicy, partition: Partition) -> Self {
        Self {
            name: policy.name.to_string(),
            arn: policy.arn(partition),
            rules: policy.rules.rules().len(),
            rules_complete: policy.rules_complete,
            service_linked_only: policy.service_linked_only,
            note: policy.note.clone(),
        }
    }
}

impl Row for Shown {
    const COLUMNS: &'static [&'static str] = &["NAME", "RULES", "ALL PUBLISHED", "FOR"];

    fn cells(&self) -> Vec<String> {
        let complete = if self.rules_complete { "yes" } else { "no" };
        let whom = if self.service_linked_only { "service-linked roles" } else { "any entry" };
        vec![self.name.clone(), self.rules.to_string(), complete.to_owned(), whom.to_owned()]
    }
}

impl AccessPoliciesArgs {
    /// Lists them.
    pub fn run(self, context: &Context) -> Result<Ending, Failure> {
        let shown = AccessPolicies::published().iter().map(|policy| Shown::of(policy, self.partition));
        context.show(&Listing(shown.collect()))
    }
}
