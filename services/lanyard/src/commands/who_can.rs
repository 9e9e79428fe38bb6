//! `lanyard who-can VERB RESOURCE --cluster C`.

use clap::Args;
use lanyard_api::{
    ClusterId, EntryId,
    authz::{Holder, WhoCan, WhoCanQuery},
    grpc::admitted_at_the_door,
    mapping::Clusters,
};
use serde::Serialize;

use crate::{
    cli::Context, exit::Ending, failure::Failure, hub::request, output::Tabular, question::Question,
};

const HELP: &str = "\
Examples:
  lanyard who-can delete pods -n team-a --cluster dev
  lanyard who-can get secrets --cluster dev
  lanyard who-can get /metrics --cluster dev

It is answered by the engine that decides. Members of a group are known to their identity provider alone; then the answer \
says that it is incomplete. Where more may than one answer has room for, it says how many it left out.";

/// The flags of `lanyard who-can`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct WhoCanArgs {
    #[command(flatten)]
    question: Question,
    /// The cluster's id.
    #[arg(long, value_name = "CLUSTER")]
    cluster: ClusterId,
}

#[derive(Debug, Serialize)]
struct Shown {
    holders: Vec<Named>,
    incomplete: bool,
    left_out: u32,
}

/// Somebody who may, an access entry by its principal.
#[derive(Debug, Serialize)]
struct Named {
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<EntryId>,
    via: String,
}

impl Tabular for Shown {
    fn columns(&self) -> Vec<&'static str> {
        vec!["WHO", "BY"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let who = |named: &Named| named.principal_arn.clone().unwrap_or_else(|| named.subject.clone());
        self.holders.iter().map(|named| vec![who(named), named.via.clone()]).collect()
    }

    fn notes(&self) -> Vec<String> {
        let incomplete = "incomplete: there may be others, such as the members of a group";
        let cut = format!(
            "{} more may, for whom one answer has no room: ask about one namespace, or about a verb that fewer have",
            self.left_out
        );
        let notes = [(self.incomplete, incomplete.to_owned()), (self.left_out > 0, cut)];
        notes.into_iter().filter_map(|(holds, note)| holds.then_some(note)).collect()
    }
}

impl WhoCanArgs {
    /// Asks.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let attributes = self.question.required().map_err(Failure::usage)?;
        let hub = context.connect().await?;
        let cluster = hub.remote().get_cluster(admitted_at_the_door(), self.cluster.clone()).await?;
        let query = WhoCanQuery { cluster: cluster.uid, attributes };
        let answer = hub.authorize().who_can(request(query.into())).await?.into_inner();
        let WhoCan { holders, incomplete, left_out } = WhoCan::try_from(answer)?;
        let holders: Vec<Named> = holders.into_iter().map(Named::from).collect();
        let somebody = !holders.is_empty();
        context.show(&Shown { holders, incomplete, left_out })?;
        Ok(somebody.into())
    }
}

impl From<Holder> for Named {
    fn from(holder: Holder) -> Self {
        let Holder { subject, entry, via, principal_arn } = holder;
        Self { subject, principal_arn, entry, via }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_cut_says_how_many_it_left_out() {
        let notes = |incomplete, left_out| Shown { holders: Vec::new(), incomplete, left_out }.notes();
        assert!(notes(false, 0).is_empty());
        assert_eq!(notes(true, 0).len(), 1);
        let [incomplete, cut] = <[String; 2]>::try_from(notes(true, 12)).unwrap();
        assert!(
            incomplete.starts_with("incomplete: ") && cut.starts_with("12 more may, "),
            "{incomplete} {cut}"
        );
    }
}
