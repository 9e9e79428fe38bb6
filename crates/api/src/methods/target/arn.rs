//! The ARN of a resource.

use lanyard_iam::{AccountId, EntryPrincipal, Partition, PrincipalArn, PrincipalKind};

use super::{ClusterRef, Resource, Target};
use crate::{
    authn::oidc_providers::provider_name,
    ids::{EntryId, HubId, IdentityProviderConfigId},
    mapping::Cluster,
};

/// What Admit knows and the request does not say.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The partition of the account that the call is about.
    pub partition: Partition,
    /// The account that the call is about; for [`Resource::Hub`] the one made at first start.
    pub account: AccountId,
    /// The hub's region.
    pub region: &'a str,
    /// The hub.
    pub hub: HubId,
    /// The cluster that the target names, if it exists.
    pub cluster: Option<&'a Cluster>,
    /// Path and name of the user, role or instance profile that the target names, as stored, if it exists.
    pub stored: Option<(&'a str, &'a str)>,
    /// The access entry that the target names, if it exists, and whom it names, as stored.
    pub entry: Option<(EntryId, &'a EntryPrincipal)>,
    /// The identity-provider configuration that the target names, if it exists.
    pub identity_provider: Option<IdentityProviderConfigId>,
}

impl Target {
    /// The ARN that policy documents are held against.
    pub fn arn(&self, place: &Place<'_>) -> String {
        self.arn_of(&self.resource, place)
    }

    /// The same of what the request makes, where that is another resource: with `*` for the number that it does not have yet.
    pub fn made_arn(&self, place: &Place<'_>) -> Option<String> {
        let place = Place { stored: None, entry: None, identity_provider: None, ..*place };
        self.made.as_ref().map(|made| self.arn_of(made, &place))
    }

    fn arn_of(&self, resource: &Resource, place: &Place<'_>) -> String {
        let Place { partition, account, region, .. } = place;
        let iam = |kind: &str, rest: String| format!("arn:{partition}:iam::{account}:{kind}/{rest}");
        let lanyard = |rest: String| format!("arn:{partition}:lanyard::{account}:{rest}");
        match resource {
            Resource::Hub => lanyard(format!("hub/{}", place.hub)),
            Resource::Account => lanyard(format!("account/{account}")),
            Resource::Decision(id) => lanyard(format!("decision/{id}")),
            Resource::Clusters => format!("arn:{partition}:eks:{region}:{account}:cluster/*"),
            Resource::NewCluster { region, name } => {
                format!("arn:{partition}:eks:{region}:{account}:cluster/{name}")
            }
            Resource::Cluster | Resource::NewEntryForSeveral => {
                self.in_cluster(place, |name| format!("cluster/{name}"))
            }
            Resource::AccessEntry { principal_arn } => self.in_cluster(place, |name| {
                let (principal, id) = match place.entry {
                    Some((id, principal)) => (principal.in_entry_arn(), id.to_string()),
                    None => (principal_in_arn(principal_arn), String::from("*")),
                };
                format!("access-entry/{name}/{principal}/{id}")
            }),
            Resource::IdentityProviderConfig { name: config } => self.in_cluster(place, |name| {
                let id = place.identity_provider.map_or_else(|| String::from("*"), |id| id.to_string());
                format!("identityproviderconfig/{name}/oidc/{config}/{id}")
            }),
            Resource::PodIdentityAssociation(id) => {
                self.in_cluster(place, |name| format!("podidentityassociation/{name}/{id}"))
            }
            Resource::NewPodIdentityAssociation => {
                self.in_cluster(place, |name| format!("podidentityassociation/{name}/*"))
            }
            Resource::Tagged(arn) => arn.to_string(),
            Resource::Users => iam("user", String::new()),
            Resource::Roles => iam("role", String::new()),
            Resource::InstanceProfiles => iam("instance-profile", String::new()),
            Resource::InstanceProfile { path, name } => {
                iam("instance-profile", full_name(place, path.as_deref(), name))
            }
            Resource::OidcProviders => iam("oidc-provider", String::new()),
            Resource::OidcProvider { issuer_url } => {
                iam("oidc-provider", provider_name(issuer_url).to_owned())
            }
            Resource::User { path, name } => iam("user", full_name(place, path.as_deref(), name)),
            Resource::Role { path, name } => iam("role", full_name(place, path.as_deref(), name)),
        }
    }

    /// An ARN in the region and account of the cluster; of one that does not exist, in the caller's own.
    fn in_cluster(&self, place: &Place<'_>, resource: impl Fn(&str) -> String) -> String {
        let Some(cluster) = place.cluster else {
            let name = match &self.cluster {
                Some(ClusterRef::Id(id)) => id.to_string(),
                Some(ClusterRef::Uid(uid)) => uid.to_string(),
                Some(ClusterRef::Missing(name)) => name.clone(),
                None => String::new(),
            };
            return format!(
                "arn:{}:eks:{}:{}:{}",
                place.partition,
                place.region,
                place.account,
                resource(&name)
            );
        };
        format!(
            "arn:{}:eks:{}:{}:{}",
            cluster.partition,
            cluster.region,
            cluster.account,
            resource(&cluster.name)
        )
    }
}

/// Path and name without the leading slash; as stored, wherever it exists.
fn full_name(place: &Place<'_>, path: Option<&str>, name: &str) -> String {
    let (path, name) = place.stored.unwrap_or((path.filter(|path| !path.is_empty()).unwrap_or("/"), name));
    format!("{}{name}", path.strip_prefix('/').unwrap_or(path))
}

/// `role/<account>/<name without path>`, as in the ARN of an access entry. What no entry can name gets a name that none can
/// have.
fn principal_in_arn(principal_arn: &str) -> String {
    let can_be_named =
        |arn: &PrincipalArn| matches!(arn.kind, PrincipalKind::User { .. } | PrincipalKind::Role { .. });
    EntryPrincipal::parse(principal_arn)
        .ok()
        .filter(|principal| principal.one().is_none_or(can_be_named))
        .map_or_else(|| String::from("none"), |principal| principal.in_entry_arn())
}
