//! The AWS road: how the pods' credentials come from AWS itself, where the role is one that AWS keeps.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ids::{ClusterId, InvalidName};

/// The tag by which an association says which road it takes (`hub-principal` or `issuer`): callers whose wire has no field for that
/// say so by it.
pub const AWS_ROAD_TAG: &str = "lanyard:aws-road";

/// Whom a role of AWS trusts, so that the hub gets credentials of it for pods. Only EKS itself can be the service
/// `pods.eks.amazonaws.com`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AwsRoad {
    /// The hub's own principal, which has to name an external id of the hub's making (AWS STS `AssumeRole`).
    HubPrincipal,
    /// The cluster's OIDC issuer, in whose name the hub signs a token (AWS STS `AssumeRoleWithWebIdentity`).
    Issuer,
}

impl AwsRoad {
    /// Both.
    pub const ALL: [Self; 2] = [Self::HubPrincipal, Self::Issuer];

    /// As flags, tags and configuration write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HubPrincipal => "hub-principal",
            Self::Issuer => "issuer",
        }
    }

    /// The road that a tag names, if there is one.
    ///
    /// # Errors
    /// [`InvalidName`] where it is none.
    pub fn of_tags(tags: &BTreeMap<String, String>) -> Result<Option<Self>, InvalidName> {
        tags.get(AWS_ROAD_TAG).map(|value| value.parse()).transpose()
    }
}

impl fmt::Display for AwsRoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for AwsRoad {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let found = Self::ALL.into_iter().find(|road| road.name() == text);
        let rule = "it is `hub-principal` or `issuer`";
        found.ok_or_else(|| InvalidName { what: "road to AWS", input: text.to_owned(), rule })
    }
}

/// For whom a role's trust policy is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposeTrust {
    /// The cluster.
    pub cluster: ClusterId,
    /// The ServiceAccount's namespace.
    pub namespace: String,
    /// The ServiceAccount's name.
    pub service_account: String,
    /// The role's whole ARN; it need not exist.
    pub role_arn: String,
    /// The road; the hub's default where it is absent.
    pub aws_road: Option<AwsRoad>,
}

/// What a role has to say, so that a ServiceAccount's pods get its credentials and nobody else's do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustProposal {
    /// The road that it is for.
    pub aws_road: AwsRoad,
    /// The role.
    pub role_arn: String,
    /// Whom it trusts: the hub's principal, or the OIDC provider of the role's account for the cluster's issuer, by ARN.
    pub principal: String,
    /// What the hub names when it assumes the role; of the hub's principal alone.
    pub external_id: Option<String>,
    /// The cluster's issuer; of the issuer alone.
    pub issuer_url: Option<String>,
    /// The trust policy, as JSON.
    pub trust_policy: String,
    /// What else to do or to know.
    pub notices: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_road_is_read_as_it_is_written_and_nothing_else_is() {
        for road in AwsRoad::ALL {
            assert_eq!(road.to_string().parse(), Ok(road));
            assert_eq!(serde_json::to_value(road).unwrap(), road.name());
            let tags = BTreeMap::from([(AWS_ROAD_TAG.to_owned(), road.name().to_owned())]);
            assert_eq!(AwsRoad::of_tags(&tags), Ok(Some(road)));
        }
        for text in ["", "hub", "Issuer", "issuer "] {
            assert!(text.parse::<AwsRoad>().is_err(), "{text}");
        }
        assert_eq!(AwsRoad::of_tags(&BTreeMap::new()), Ok(None));
    }
}
