//! What is asked of policies.

use std::collections::{BTreeMap, HashMap};

use super::document::PolicyDocument;
use crate::arn::{PrincipalArn, PrincipalKind};
use crate::id::{AccountId, PrincipalId};

/// A document with the name it is known by, for naming the statement that decided.
#[derive(Clone, Copy, Debug)]
pub struct NamedDocument<'a> {
    /// The policy's name.
    pub name: &'a str,
    /// The policy.
    pub document: &'a PolicyDocument,
}

/// What is asked: may this action be done on this resource, under these circumstances.
#[derive(Clone, Copy, Debug)]
pub struct RequestContext<'a> {
    /// The action, `service:Name`; letter case does not count.
    pub action: &'a str,
    /// The resource's ARN, or `*` for an action without resource.
    pub resource: &'a str,
    /// The circumstances.
    pub keys: &'a ConditionKeys,
}

/// The condition keys of a request, with their values. Names ignore letter case; a key without values is absent.
#[derive(Clone, Debug, Default)]
pub struct ConditionKeys {
    values: HashMap<Box<str>, Vec<String>>,
    /// In lower case; one that ends in `/` stands for all that begin with it.
    open: Vec<Box<str>>,
}

/// Room for as many keys as a request has as a rule, tags apart: a table that grows with each few of them is filled four times over.
const KEYS_EXPECTED: usize = 28;

impl ConditionKeys {
    /// No keys.
    #[must_use]
    pub fn new() -> Self {
        Self { values: HashMap::with_capacity(KEYS_EXPECTED), open: Vec::new() }
    }

    /// Sets a key's single value, in place of what it had.
    pub fn set(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.set_all(name, [value.into()])
    }

    /// Sets a key's many values, in place of what it had; none takes the key away.
    pub fn set_all(&mut self, name: &str, values: impl IntoIterator<Item = String>) -> &mut Self {
        let values: Vec<String> = values.into_iter().collect();
        let name = name.to_ascii_lowercase().into_boxed_str();
        if values.is_empty() {
            self.values.remove(&name);
        } else {
            self.values.insert(name, values);
        }
        self
    }

    /// Sets the keys of tags, `aws:ResourceTag/<tag>` and the like, each in place of what it had.
    ///
    /// Names of condition keys ignore letter case, those of tags need not. Tags that come to one key give it the values of them all: an
    /// allow is held against each of them, and a deny meets any.
    pub fn set_tags<'t>(
        &mut self,
        prefix: &str,
        tags: impl IntoIterator<Item = (&'t String, &'t String)>,
    ) -> &mut Self {
        let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (tag, value) in tags {
            named.entry(format!("{prefix}{tag}").to_ascii_lowercase()).or_default().push(value.clone());
        }
        for (name, values) in named {
            self.set_all(&name, values);
        }
        self
    }

    /// Sets the tags of the user or role that a call is about: as those of any resource, and as `iam:ResourceTag/<tag>`, a key of IAM's own
    /// that users and roles have besides (Service Authorization Reference, IAM and STS). A policy may be written with either.
    pub fn set_iam_resource_tags(&mut self, tags: &BTreeMap<String, String>) -> &mut Self {
        self.set_tags("aws:ResourceTag/", tags).set_tags("iam:ResourceTag/", tags)
    }

    /// Leaves keys open that only the call itself will tell: what is asked is then whether the caller might bring it about.
    /// While an open key has no value, an allow that demands one holds, and a deny does not. A name that ends in `/` stands
    /// for all that begin with it.
    pub fn leave_open<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) -> &mut Self {
        self.open.extend(names.into_iter().map(|name| name.to_ascii_lowercase().into_boxed_str()));
        self
    }

    /// Whether a key, its name in lower case, is open and has no value.
    pub(super) fn is_open(&self, name: &str) -> bool {
        let is_it = |open: &str| if open.ends_with('/') { name.starts_with(open) } else { name == open };
        !self.open.is_empty() && !self.values.contains_key(name) && self.open.iter().any(|open| is_it(open))
    }

    /// Sets what is known about the caller: `aws:PrincipalArn` (for a session the role's own ARN, which is `role` where it
    /// is known with its path), `aws:PrincipalAccount`, `aws:PrincipalType`, `aws:userid`, and `aws:username` for users.
    pub fn set_principal(
        &mut self,
        arn: &PrincipalArn,
        role: Option<&PrincipalArn>,
        id: &PrincipalId,
    ) -> &mut Self {
        let shown = role.map_or_else(|| arn.canonical().to_string(), ToString::to_string);
        let (kind, user_id) = match &arn.kind {
            PrincipalKind::Root => ("Account", id.to_string()),
            PrincipalKind::User { .. } => ("User", id.to_string()),
            PrincipalKind::FederatedUser { .. } => ("FederatedUser", id.to_string()),
            PrincipalKind::Role { .. } => ("AssumedRole", id.to_string()),
            PrincipalKind::AssumedRole { session, .. } => ("AssumedRole", format!("{id}:{session}")),
        };
        if let PrincipalKind::User { name, .. } = &arn.kind {
            self.set("aws:username", name.as_str());
        }
        self.set("aws:PrincipalArn", shown)
            .set("aws:PrincipalAccount", arn.account.as_str())
            .set("aws:PrincipalType", kind)
            .set("aws:userid", user_id)
    }

    /// Sets what is known of every call that its caller makes itself, and over TLS: no other way in is open.
    pub fn set_direct_call(&mut self, resource_account: AccountId) -> &mut Self {
        self.set("aws:SecureTransport", "true")
            .set("aws:ViaAWSService", "false")
            .set("aws:PrincipalIsAWSService", "false")
            .set("aws:ResourceAccount", resource_account.as_str())
    }

    /// The values of a key, never an empty list.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[String]> {
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.get_folded(&name.to_ascii_lowercase())
        } else {
            self.get_folded(name)
        }
    }

    /// The values of a key whose name is in lower case already.
    pub(super) fn get_folded(&self, name: &str) -> Option<&[String]> {
        self.values.get(name).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_ignore_letter_case_and_an_empty_list_is_no_key() {
        let mut keys = ConditionKeys::new();
        keys.set("aws:PrincipalTag/Team", "a").set("AWS:principaltag/team", "b");
        assert_eq!(keys.get("aws:principalTAG/team"), Some(["b".to_owned()].as_slice()));
        keys.set_all("aws:PrincipalTag/Team", []);
        assert_eq!(keys.get("aws:PrincipalTag/Team"), None);
    }

    #[test]
    fn immunity_19_tags_that_differ_by_letter_case_give_one_key_all_their_values() {
        let tags = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let mut keys = ConditionKeys::new();
        keys.set_tags("aws:ResourceTag/", &tags(&[("Env", "live"), ("env", "test"), ("team", "a")]));
        assert_eq!(keys.get("aws:ResourceTag/ENV").unwrap(), ["live", "test"]);
        assert_eq!(keys.get("aws:ResourceTag/Team").unwrap(), ["a"]);
        keys.set_tags("aws:ResourceTag/", &tags(&[("ENV", "new")]));
        assert_eq!(keys.get("aws:ResourceTag/env").unwrap(), ["new"], "in place of what it had");
        assert_eq!(keys.get("aws:ResourceTag/team").unwrap(), ["a"], "and nothing else's");
    }

    #[test]
    fn immunity_19_the_tags_of_a_user_or_role_have_iams_own_key_too() {
        let mut keys = ConditionKeys::new();
        keys.set_iam_resource_tags(&BTreeMap::from([("Team".to_owned(), "a".to_owned())]));
        for name in ["aws:ResourceTag/team", "iam:ResourceTag/Team"] {
            assert_eq!(keys.get(name).unwrap(), ["a"], "{name}");
        }
    }

    #[test]
    fn a_key_is_open_while_it_has_no_value() {
        let mut keys = ConditionKeys::new();
        keys.leave_open(["aws:SourceIp", "aws:RequestTag/", "sts:ExternalId"]).set("sts:ExternalId", "x");
        for (name, open) in [
            ("aws:sourceip", true),
            ("aws:requesttag/team", true),
            ("aws:requesttag", false),
            ("sts:externalid", false),
            ("aws:username", false),
        ] {
            assert_eq!(keys.is_open(name), open, "{name}");
        }
    }

    #[test]
    fn the_callers_keys_are_those_of_the_role_behind_a_session() {
        let session = PrincipalArn::parse("arn:aws:sts::111122223333:assumed-role/Admin/ana").unwrap();
        let role = PrincipalArn::parse("arn:aws:iam::111122223333:role/team/Admin").unwrap();
        let id = PrincipalId::parse("AROAX").unwrap();
        let mut keys = ConditionKeys::new();
        keys.set_principal(&session, Some(&role), &id);
        let get = |name: &str| keys.get(name).map(|values| values[0].as_str());
        assert_eq!(get("aws:PrincipalArn"), Some("arn:aws:iam::111122223333:role/team/Admin"));
        assert_eq!((get("aws:userid"), get("aws:username")), (Some("AROAX:ana"), None));
        assert_eq!(
            (get("aws:PrincipalAccount"), get("aws:PrincipalType")),
            (Some("111122223333"), Some("AssumedRole"))
        );
        let user = PrincipalArn::parse("arn:aws:iam::111122223333:user/team/ana").unwrap();
        keys.set_principal(&user, None, &PrincipalId::parse("AIDAX").unwrap());
        assert_eq!(keys.get("aws:username").unwrap(), ["ana"]);
        assert_eq!(keys.get("aws:PrincipalArn").unwrap(), ["arn:aws:iam::111122223333:user/team/ana"]);
    }
}
