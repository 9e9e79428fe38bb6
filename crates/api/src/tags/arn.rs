//! The ARNs of what has tags.

use std::{fmt, str::FromStr};

use lanyard_iam::{AccountId, Arn, Partition, shown};

use crate::{
    credentials::PodIdentityAssociationId,
    ids::{EntryId, IdentityProviderConfigId},
};

/// Why an ARN names nothing that has tags here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not the ARN of a cluster, an access entry, an identity-provider configuration or a Pod Identity association: give it \
     as the hub shows it",
    shown(.0)
)]
pub struct TaggedArnError(String);

/// Where a cluster is, as ARNs have it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClusterPlace {
    /// Its partition.
    pub partition: Partition,
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: String,
    /// Its name, unique there.
    pub name: String,
}

/// The ARN of a cluster, or of a part of one. In text exactly as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedArn {
    /// The cluster.
    pub cluster: ClusterPlace,
    /// Which part of it.
    pub part: TaggedPart,
}

/// What of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaggedPart {
    /// The cluster itself.
    Cluster,
    /// An access entry.
    AccessEntry {
        /// Whom it names, as its ARN has that: `role/<account>/<name without path>`.
        principal: String,
        /// Its number.
        id: EntryId,
    },
    /// An identity-provider configuration.
    IdentityProviderConfig {
        /// Its name.
        name: String,
        /// Its number.
        id: IdentityProviderConfigId,
    },
    /// A Pod Identity association.
    PodIdentityAssociation(PodIdentityAssociationId),
}

impl FromStr for TaggedArn {
    type Err = TaggedArnError;

    fn from_str(input: &str) -> Result<Self, Self::Err> {
        let read = || {
            let arn = Arn::parse(input).ok().filter(|arn| arn.service() == "eks")?;
            let (kind, rest) = arn.resource().split_once('/')?;
            let (name, part) = match kind {
                "cluster" => (rest, TaggedPart::Cluster),
                "access-entry" => {
                    let (name, rest) = rest.split_once('/')?;
                    let (principal, id) = rest.rsplit_once('/')?;
                    (name, TaggedPart::AccessEntry { principal: principal.to_owned(), id: id.parse().ok()? })
                }
                "identityproviderconfig" => {
                    let (name, rest) = rest.split_once('/')?;
                    let (config, id) = rest.strip_prefix("oidc/")?.split_once('/')?;
                    let part =
                        TaggedPart::IdentityProviderConfig { name: config.to_owned(), id: id.parse().ok()? };
                    (name, part)
                }
                "podidentityassociation" => {
                    let (name, id) = rest.split_once('/')?;
                    (name, TaggedPart::PodIdentityAssociation(id.parse().ok()?))
                }
                _ => return None,
            };
            let cluster = ClusterPlace {
                partition: arn.partition().parse().ok()?,
                account: arn.account().parse().ok()?,
                region: arn.region().to_owned(),
                name: name.to_owned(),
            };
            Some(Self { cluster, part })
        };
        // Exactly as it is written: what policies are held against is what is looked for.
        let same = |read: &Self| read.to_string() == input && !read.cluster.name.contains('/');
        read().filter(same).ok_or_else(|| TaggedArnError(input.to_owned()))
    }
}

impl fmt::Display for TaggedArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClusterPlace { partition, account, region, name } = &self.cluster;
        write!(f, "arn:{partition}:eks:{region}:{account}:")?;
        match &self.part {
            TaggedPart::Cluster => write!(f, "cluster/{name}"),
            TaggedPart::AccessEntry { principal, id } => write!(f, "access-entry/{name}/{principal}/{id}"),
            TaggedPart::IdentityProviderConfig { name: config, id } => {
                write!(f, "identityproviderconfig/{name}/oidc/{config}/{id}")
            }
            TaggedPart::PodIdentityAssociation(id) => write!(f, "podidentityassociation/{name}/{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "00000000-0000-0000-0000-000000000003";

    #[test]
    fn the_arns_of_what_has_tags_are_read_exactly() {
        let good = [
            "cluster/dev".to_owned(),
            format!("access-entry/dev/role/444455556666/Dev/{ID}"),
            format!("access-entry/dev/permission-set/444455556666/Dev/{ID}"),
            format!("identityproviderconfig/dev/oidc/okta/{ID}"),
            "podidentityassociation/dev/a-0123456789abcdefg".to_owned(),
        ];
        for resource in good {
            let arn = format!("arn:aws:eks:eu-central-1:111122223333:{resource}");
            let read: TaggedArn = arn.parse().unwrap();
            assert_eq!((read.to_string(), read.cluster.name.as_str()), (arn, "dev"));
        }
        let bad = [
            String::new(),
            "dev".to_owned(),
            "arn:aws:eks:eu-central-1:111122223333:cluster".to_owned(),
            "arn:aws:eks:eu-central-1:111122223333:cluster/dev/x".to_owned(),
            "arn:aws:eks:eu-central-1:111122223333:nodegroup/dev/x/y".to_owned(),
            "arn:aws:eks:eu-central-1:1:cluster/dev".to_owned(),
            "arn:moon:eks:eu-central-1:111122223333:cluster/dev".to_owned(),
            "arn:aws:iam::111122223333:role/dev".to_owned(),
            "arn:aws:eks:eu-central-1:111122223333:podidentityassociation/dev/a-1".to_owned(),
            "arn:aws:eks:eu-central-1:111122223333:podidentityassociation/dev/A-0123456789ABCDEFG".to_owned(),
            "arn:aws:eks:eu-central-1:111122223333:access-entry/dev/role/444455556666/Dev".to_owned(),
            format!("arn:aws:eks:eu-central-1:111122223333:identityproviderconfig/dev/saml/okta/{ID}"),
            // A UUID of another spelling.
            format!("arn:aws:eks:eu-central-1:111122223333:identityproviderconfig/dev/oidc/okta/{{{ID}}}"),
        ];
        for arn in bad {
            assert!(arn.parse::<TaggedArn>().is_err(), "{arn}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_exactly_or_refused(text in "(arn:aws:eks:[a-z0-9-]{0,9}:[0-9]{12}:)?[a-z/-]{0,30}(/[0-9a-fA-F-]{36})?") {
            if let Ok(arn) = text.parse::<TaggedArn>() {
                prop_assert_eq!(arn.to_string(), text);
            }
        }
    }
}
