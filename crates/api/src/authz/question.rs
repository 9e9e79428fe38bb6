//! What a refusal was about, so that an explanation can ask it anew.

use std::sync::Arc;

use lanyard_iam::PrincipalArn;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{Attributes, ResourceAttributes, SelectorRequirement};
use crate::{
    identity::{Authority, Identity, UserInfo},
    ids::EntryId,
};

/// What a refusal was about. It holds nothing that proves anybody: whoever reads it can ask by it, and get nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// A token whose bearer was proven, and not let in.
    Knock(KnockQuestion),
    /// A door that stayed shut.
    Door(DoorQuestion),
}

/// Who knocked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnockQuestion {
    /// Who vouched.
    pub authority: Authority,
    /// The whole ARN, session included.
    pub arn: PrincipalArn,
    /// The unique id, as the authority has it.
    pub principal_id: String,
}

/// Who asked for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoorQuestion {
    /// As the review had it.
    pub username: String,
    /// As the review had them.
    pub groups: Vec<String>,
    /// What was asked.
    pub attributes: Arc<Attributes>,
    /// The access entry that the review's proof names. The proof itself is not kept.
    pub entry: Option<EntryId>,
}

impl Question {
    /// About somebody whom authn proved; none of a kind that nobody can be asked about by name.
    pub fn of_knock(identity: &Identity) -> Option<Box<Self>> {
        let aws = identity.aws()?;
        Some(Box::new(Self::Knock(KnockQuestion {
            authority: aws.authority.clone(),
            arn: aws.arn.clone(),
            principal_id: aws.principal_id.clone(),
        })))
    }

    /// About a door. Names are taken out of a user whom nobody else has any more, which is the rule once there is an answer.
    pub fn of_door(user: Arc<UserInfo>, attributes: Arc<Attributes>, entry: Option<EntryId>) -> Box<Self> {
        let (username, groups) = match Arc::try_unwrap(user) {
            Ok(user) => (user.username, user.groups),
            Err(shared) => (shared.username.clone(), shared.groups.clone()),
        };
        Box::new(Self::Door(DoorQuestion { username, groups, attributes, entry }))
    }

    /// How many bytes of text there are in what the asker chose: for whoever keeps it, and has to bound that.
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::Knock(knock) => knock.principal_id.len(),
            Self::Door(door) => {
                let groups: usize = door.groups.iter().map(String::len).sum();
                door.username.len() + groups + attribute_bytes(&door.attributes)
            }
        }
    }
}

fn attribute_bytes(attributes: &Attributes) -> usize {
    match attributes {
        Attributes::NonResource { path, verb } => path.len() + verb.len(),
        Attributes::Resource(asked) => {
            let ResourceAttributes { namespace, verb, group, version, resource, subresource, name, .. } =
                asked;
            let texts = [namespace, verb, group, version, resource, subresource, name];
            let requirement = |one: &SelectorRequirement| {
                one.key.len() + one.operator.len() + one.values.iter().map(String::len).sum::<usize>()
            };
            let selectors = asked.selectors.iter();
            let requirements = selectors.flat_map(|selectors| selectors.field.iter().chain(&selectors.label));
            texts.into_iter().map(SmolStr::len).sum::<usize>() + requirements.map(requirement).sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::Selectors;

    #[test]
    fn every_text_that_the_asker_chose_counts() {
        let user = Arc::new(UserInfo {
            username: "ana".into(),
            groups: vec!["devs".into(), "ops".into()],
            ..UserInfo::default()
        });
        let path = Attributes::NonResource { path: "/x".into(), verb: "get".into() };
        assert_eq!(Question::of_door(Arc::clone(&user), path.into(), None).text_bytes(), 3 + 7 + 5);
        let requirement =
            SelectorRequirement { key: "k".into(), operator: "In".into(), values: vec!["abc".into()] };
        let selectors = Selectors { field: vec![requirement.clone()], label: vec![requirement] };
        let asked = ResourceAttributes {
            namespace: "n".into(),
            verb: "get".into(),
            resource: "pods".into(),
            selectors: Some(Box::new(selectors)),
            ..ResourceAttributes::default()
        };
        let asked = Arc::new(Attributes::Resource(asked));
        let of_shared = Question::of_door(Arc::clone(&user), Arc::clone(&asked), None);
        let question = Question::of_door(user, asked, None);
        assert_eq!(question, of_shared, "whether or not somebody else has the user still");
        assert_eq!(question.text_bytes(), 3 + 7 + 8 + 12);
        let written = serde_json::to_string(&question).unwrap();
        assert_eq!(serde_json::from_str::<Question>(&written).unwrap(), *question);
    }
}
