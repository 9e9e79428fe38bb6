//! The workloads of clusters, as far as credentials has to know them: ServiceAccounts, and who signs their tokens.

use std::{collections::BTreeMap, fmt, future::Future};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    fault::CallError,
    identity::{Actor, Vouched},
    ids::{ClusterId, ClusterUid},
    mutation::{Mutated, Mutation, Page, PageQuery},
};

/// What the annotations begin with that matter here (EKS Pod Identity webhook).
pub const ANNOTATION_PREFIX: &str = "eks.amazonaws.com/";

/// The ServiceAccounts of clusters, and the issuers of their tokens.
pub trait Workloads: Send + Sync + 'static {
    /// Puts ServiceAccounts in place. One that is out of form is left out, gone if it was there, and named in the answer: it
    /// holds nothing else back.
    fn apply_service_accounts(
        &self,
        by: Mutation,
        cluster: ClusterId,
        batch: ServiceAccountBatch,
    ) -> impl Future<Output = Result<Mutated<ServiceAccountSummary>, CallError>> + Send;
    /// All of them, by namespace and name.
    fn list_service_accounts(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        page: PageQuery,
    ) -> impl Future<Output = Result<Page<ServiceAccount>, CallError>> + Send;
    /// Puts the issuer in place with all the keys that it has now. Keys that are no longer among them end at once; a set
    /// without a usable key, with a private half in it, or with a key of another cluster is refused.
    fn push_issuer(
        &self,
        by: Mutation,
        cluster: ClusterId,
        pushed: IssuerDocuments,
    ) -> impl Future<Output = Result<Mutated<WorkloadIssuer>, CallError>> + Send;
    /// The issuer that is in force.
    fn get_issuer(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
    ) -> impl Future<Output = Result<WorkloadIssuer, CallError>> + Send;
}

/// A ServiceAccount by name. In text `namespace/name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceAccountName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ServiceAccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A ServiceAccount, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceAccount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid in the cluster: another one of the same name, made later, has another.
    pub uid: String,
    /// Annotations that begin with [`ANNOTATION_PREFIX`], and no others.
    pub annotations: BTreeMap<String, String>,
}

impl ServiceAccount {
    /// How it is called.
    #[must_use]
    pub fn key(&self) -> ServiceAccountName {
        ServiceAccountName { namespace: self.namespace.clone(), name: self.name.clone() }
    }
}

/// ServiceAccounts to put in place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceAccountBatch {
    /// New and changed ones, or all; each once.
    pub service_accounts: Vec<ServiceAccount>,
    /// Those that are gone; none with `replace`.
    pub removed: Vec<ServiceAccountName>,
    /// These are all: others go. None at all is a cluster without any.
    pub replace: bool,
}

/// What an apply did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAccountSummary {
    /// New ones.
    pub created: u32,
    /// Changed ones.
    pub changed: u32,
    /// Those that were the same already.
    pub unchanged: u32,
    /// Removed ones.
    pub removed: u32,
    /// Those that were left out, each with the rule that it broke.
    pub refused: Vec<String>,
}

/// An issuer as an API server tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerDocuments {
    /// As tokens write it in `iss`.
    pub issuer_url: String,
    /// The key set (RFC 7517), as it is served.
    pub jwks: String,
}

/// Who signs the ServiceAccount tokens of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadIssuer {
    /// The cluster.
    pub cluster: ClusterUid,
    /// As tokens write it in `iss`.
    pub issuer_url: String,
    /// Its keys; a key is one cluster's alone.
    pub keys: Vec<IssuerKey>,
    /// Why its tokens are of no use for IRSA, if they are not.
    pub irsa_obstacle: Option<IrsaObstacle>,
    /// Who pushed it.
    pub pushed_by: String,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub pushed_at: OffsetDateTime,
}

/// A public key of an issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerKey {
    /// Its id, where it has one.
    pub kid: Option<String>,
    /// SHA-256 of its required members (RFC 7638), in base64url.
    pub thumbprint: String,
    /// The algorithms that it may verify, as JWS names them.
    pub algorithms: Vec<String>,
    /// The key as a JWK with public members alone.
    pub jwk: String,
}

/// Why an issuer's tokens are of no use for IRSA. Pod Identity does not ask for it: there the hub knows the cluster beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IrsaObstacle {
    /// It has the name that every cluster gives itself.
    InClusterName,
    /// It is no https URL.
    NotHttps,
}

impl IrsaObstacle {
    /// What is in the way of an issuer, by its name alone.
    #[must_use]
    pub fn of(issuer_url: &str) -> Option<Self> {
        let host_and_rest = issuer_url.strip_prefix("https://").unwrap_or(issuer_url);
        let host = host_and_rest.split(['/', ':', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        // A host may be written with the root's dot.
        let host = host.trim_end_matches('.');
        // `kubernetes/serviceaccount` is what the tokens of Secrets have.
        let is_own_name = host == "kubernetes"
            || host == "kubernetes.default"
            || host == "kubernetes.default.svc"
            || host.starts_with("kubernetes.default.svc.");
        if is_own_name {
            Some(Self::InClusterName)
        } else if host_and_rest.len() == issuer_url.len() || host.is_empty() {
            Some(Self::NotHttps)
        } else {
            None
        }
    }
}

impl fmt::Display for IrsaObstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InClusterName => {
                "it is the name that every cluster gives itself, so that a token does not say of which cluster it is: start the \
                 API server with a --service-account-issuer of its own"
            }
            Self::NotHttps => {
                "it is no https URL, from which an STS could fetch the keys: start the API server with an https \
                 --service-account-issuer"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_every_cluster_has_and_one_without_https_are_of_no_use_for_irsa() {
        use IrsaObstacle::{InClusterName, NotHttps};
        let cases = [
            ("https://kubernetes.default.svc", Some(InClusterName)),
            ("https://kubernetes.default.svc.cluster.local", Some(InClusterName)),
            ("https://kubernetes.default.svc.corp.example:443/", Some(InClusterName)),
            ("https://Kubernetes.Default.svc", Some(InClusterName)),
            ("https://kubernetes.default", Some(InClusterName)),
            ("https://kubernetes.default.svc.", Some(InClusterName)),
            ("https://kubernetes./", Some(InClusterName)),
            ("kubernetes.default.svc", Some(InClusterName)),
            ("kubernetes/serviceaccount", Some(InClusterName)),
            ("http://issuer.example", Some(NotHttps)),
            ("api", Some(NotHttps)),
            ("https://", Some(NotHttps)),
            ("https://oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF", None),
            ("https://kubernetes.default.svc-corp.example", None),
            ("https://issuer.example/kubernetes.default.svc", None),
        ];
        for (issuer, expected) in cases {
            assert_eq!(IrsaObstacle::of(issuer), expected, "{issuer}");
        }
    }
}
