//! What a request is about, as policy documents see it.

mod arn;
mod requests;

use std::collections::BTreeMap;

use lanyard_iam::AccountId;

use crate::{
    credentials::PodIdentityAssociationId,
    fault::CallError,
    ids::{ClusterId, ClusterUid, DecisionId},
    tags::TaggedArn,
};

pub use arn::Place;

/// What a request is about. Names are as the caller wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// In which account names are looked up. A cluster's account is the cluster's own, whatever stands here.
    pub account: AccountRef,
    /// The cluster, where it is about one that exists.
    pub cluster: Option<ClusterRef>,
    /// The resource, of which Admit makes an ARN.
    pub resource: Resource,
    /// Condition keys that the request itself gives, with their values; a key stands once.
    pub keys: Vec<(String, Vec<String>)>,
    /// Actions that the request needs besides its own, on [`Self::made`], or else on the same resource: each has to be allowed for itself.
    pub beside: Vec<&'static str>,
    /// What the request makes, where that is another resource than the one that it is about.
    pub made: Option<Resource>,
    /// The role that the request hands to a service, which needs a permission of its own: `iam:PassRole` on that role.
    pub passes: Option<PassedRole>,
}

/// A role that a request hands to a service (IAM: passing a role).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedRole {
    /// Which role.
    pub role: PassedRoleName,
    /// The service, for `iam:PassedToService`, where AWS documents which.
    pub service: Option<&'static str>,
}

/// How a request names the role that it hands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PassedRoleName {
    /// By its ARN.
    Arn(String),
    /// By its name in the account that the request is about.
    OfAccount(String),
}

/// Whose account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountRef {
    /// The caller's.
    Own,
    /// This one.
    Named(AccountId),
}

/// How a request names a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterRef {
    /// By what people call it.
    Id(ClusterId),
    /// By its number.
    Uid(ClusterUid),
    /// By its name in the caller's account, where there is none of that name.
    Missing(String),
}

/// The kinds of resource.
///
/// IAM names are unique ignoring letter case, policy documents compare them exactly. So for a user, role or instance profile
/// that exists, and for whom an access entry names, Admit takes path and name as they are stored ([`Place`]): else another spelling would walk around
/// a `Deny`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// The hub itself: what belongs to no account.
    Hub,
    /// The account, for what concerns all of it.
    Account,
    /// The account's clusters, as a list.
    Clusters,
    /// A cluster that is to be made.
    NewCluster {
        /// Its region.
        region: String,
        /// Its name.
        name: String,
    },
    /// [`Target::cluster`].
    Cluster,
    /// [`Target::cluster`], where an access entry for several principals is to be made.
    NewEntryForSeveral,
    /// An access entry of [`Target::cluster`].
    AccessEntry {
        /// Whom it names.
        principal_arn: String,
    },
    /// An identity-provider configuration of [`Target::cluster`].
    IdentityProviderConfig {
        /// Its name.
        name: String,
    },
    /// A Pod Identity association of [`Target::cluster`].
    PodIdentityAssociation(PodIdentityAssociationId),
    /// A Pod Identity association of [`Target::cluster`] that is to be made.
    NewPodIdentityAssociation,
    /// What has tags, by its ARN, which is held against policies as it is: the services find nothing by another spelling.
    Tagged(TaggedArn),
    /// The account's users, as a list.
    Users,
    /// A user.
    User {
        /// Its path, where the request gives it.
        path: Option<String>,
        /// Its name.
        name: String,
    },
    /// The account's roles, as a list.
    Roles,
    /// A role.
    Role {
        /// Its path, where the request gives it.
        path: Option<String>,
        /// Its name.
        name: String,
    },
    /// The account's instance profiles, as a list.
    InstanceProfiles,
    /// An instance profile.
    InstanceProfile {
        /// Its path, where the request gives it.
        path: Option<String>,
        /// Its name.
        name: String,
    },
    /// The account's OIDC providers, as a list.
    OidcProviders,
    /// An OIDC provider.
    OidcProvider {
        /// The issuer's URL.
        issuer_url: String,
    },
    /// A finished decision.
    Decision(DecisionId),
}

/// A request that says what it is about.
pub trait Targeted {
    /// Reads it.
    ///
    /// # Errors
    /// [`CallError::Invalid`] with the field that cannot be read.
    fn target(&self) -> Result<Target, CallError>;
}

impl Target {
    /// A resource of the caller's own account.
    pub fn own(resource: Resource) -> Self {
        let (keys, beside) = (Vec::new(), Vec::new());
        Self { account: AccountRef::Own, cluster: None, resource, keys, beside, made: None, passes: None }
    }

    /// The same in the account that the request names, if it names one.
    ///
    /// # Errors
    /// When it is not an account number.
    fn in_account(self, account: Option<&str>) -> Result<Self, CallError> {
        let Some(account) = account else { return Ok(self) };
        let account = crate::grpc::field::parse("account", account)?;
        Ok(Self { account: AccountRef::Named(account), ..self })
    }

    /// A resource of an existing cluster.
    fn of_cluster(cluster: ClusterRef, resource: Resource) -> Self {
        Self { cluster: Some(cluster), ..Self::own(resource) }
    }

    /// With a condition key; one without values is not there.
    fn key<V: Into<String>>(mut self, name: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        let values: Vec<String> = values.into_iter().map(Into::into).collect();
        if !values.is_empty() {
            self.keys.push((name.into(), values));
        }
        self
    }

    /// With what it makes, which gets the tags.
    fn making(self, made: Resource) -> Self {
        Self { made: Some(made), ..self }
    }

    /// With a role that is handed to a service.
    fn passing(self, role_arn: &str, service: Option<&'static str>) -> Self {
        let role = PassedRoleName::Arn(role_arn.to_owned());
        Self { passes: Some(PassedRole { role, service }), ..self }
    }

    /// With a role of the account that is handed to a service.
    fn passing_own(self, role: &str, service: &'static str) -> Self {
        let role = PassedRoleName::OfAccount(role.to_owned());
        Self { passes: Some(PassedRole { role, service: Some(service) }), ..self }
    }

    /// With the condition keys of tags that the request sets: `aws:RequestTag/<key>` each, and `aws:TagKeys`. Names of condition keys
    /// ignore letter case, those of tags need not: tags that come to one key give it the values of them all.
    fn tags<'a>(mut self, tags: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        let mut names = Vec::new();
        let mut keys: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
        for (name, value) in tags {
            names.push(name.clone());
            let key = format!("aws:RequestTag/{name}");
            let (_, values) = keys.entry(key.to_ascii_lowercase()).or_insert((key, Vec::new()));
            values.push(value.clone());
        }
        for (key, values) in keys.into_values() {
            self = self.key(key, values);
        }
        self.key("aws:TagKeys", names)
    }

    /// The same of what the request makes, with the action that tags it beside: who may not tag makes nothing that has tags either (IAM User
    /// Guide: "Tags for AWS Identity and Access Management resources"; EKS asks in the same way).
    fn made_with_tags<'a>(
        self,
        tags: impl IntoIterator<Item = (&'a String, &'a String)>,
        tagging: &'static str,
    ) -> Self {
        let keys_before = self.keys.len();
        let mut target = self.tags(tags);
        if target.keys.len() > keys_before {
            target.beside.push(tagging);
        }
        target
    }

    /// With the condition key of tags that the request takes away: `aws:TagKeys`.
    fn tag_keys(self, names: &[String]) -> Self {
        self.key("aws:TagKeys", names)
    }
}

#[cfg(test)]
mod tests;
