//! `lanyard tag`: the tags of clusters and of what belongs to them.

use std::collections::BTreeMap;

use clap::Subcommand;
use lanyard_api::{
    Mutated,
    grpc::admitted_at_the_door,
    tags::{TagEdit, TaggedArn, Tags},
};
use serde::Serialize;

use crate::{
    cli::Context, exit::Ending, failure::Failure, hub::ChangeArgs, input::key_value, output::Tabular,
    show::standing,
};

const ADD: &str = "\
Examples:
  lanyard tag add arn:aws:eks:eu-central-1:111122223333:cluster/dev team=platform stage=live

A resource is named by its ARN, as `describe` and lists with --output json show it: a cluster, an access entry, an
identity-provider configuration or a Pod Identity association. It has 50 tags at most. Policies see them as
aws:ResourceTag/<key>.";

/// What there is to do with tags.
#[derive(Debug, Subcommand)]
pub enum TagCommand {
    /// Put tags on; those of the same key get the new value.
    #[command(after_help = ADD)]
    Add {
        /// The resource.
        arn: TaggedArn,
        /// Each tag.
        #[arg(required = true, value_name = "KEY=VALUE", value_parser = key_value)]
        tags: Vec<(String, String)>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Take tags off.
    #[command(
        after_help = "Examples:\n  lanyard tag remove arn:aws:eks:us-east-1:111122223333:cluster/dev team"
    )]
    Remove {
        /// The resource.
        arn: TaggedArn,
        /// The key of each tag.
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// All tags of a resource.
    #[command(after_help = "Examples:\n  lanyard tag list arn:aws:eks:us-east-1:111122223333:cluster/dev")]
    List {
        /// The resource.
        arn: TaggedArn,
    },
}

/// Tags, a line each; in JSON an object.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Shown(BTreeMap<String, String>);

impl Tabular for Shown {
    fn columns(&self) -> Vec<&'static str> {
        vec!["KEY", "VALUE"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        rows(&self.0)
    }
}

impl TagCommand {
    /// Does it.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let remote = context.connect().await?.remote();
        let edited = match self {
            Self::Add { arn, tags, change } => {
                remote.edit_tags(change.into(), arn, TagEdit::Put(BTreeMap::from_iter(tags))).await?
            }
            Self::Remove { arn, keys, change } => {
                remote.edit_tags(change.into(), arn, TagEdit::Remove(keys)).await?
            }
            Self::List { arn } => {
                return context.show(&Shown(remote.list_tags(admitted_at_the_door(), arn).await?));
            }
        };
        context.show(&Edited(edited))
    }
}

/// The tags after a change, with how far it has got.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Edited(Mutated<BTreeMap<String, String>>);

impl Tabular for Edited {
    fn columns(&self) -> Vec<&'static str> {
        vec!["KEY", "VALUE"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        rows(&self.0.value)
    }

    fn notes(&self) -> Vec<String> {
        standing(&self.0)
    }
}

fn rows(tags: &BTreeMap<String, String>) -> Vec<Vec<String>> {
    tags.iter().map(|(key, value)| vec![key.clone(), value.clone()]).collect()
}
