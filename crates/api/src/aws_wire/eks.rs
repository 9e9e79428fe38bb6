//! EKS (2017-11-01).

mod associations;
mod clusters;
mod entries;
mod identity_providers;
mod tags;
mod updates;
mod versions;

use std::collections::BTreeMap;

use super::{AwsError, input::Input, json::Texts, operation::Operation};

pub(super) use versions::asked_for as kubernetes_versions;

/// Where an access entry is.
const ENTRY: &str = "/clusters/{name}/access-entries/{principalArn}";
/// Where Pod Identity associations are.
const ASSOCIATIONS: &str = "/clusters/{name}/pod-identity-associations";
/// Where one of them is.
const ASSOCIATION: &str = "/clusters/{name}/pod-identity-associations/{associationId}";
/// Where the tags of anything are.
const TAGS: &str = "/tags/{resourceArn}";

/// Its operations, with verb and path as the service model has them.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::rest("CreateCluster", "POST", "/clusters", clusters::create),
    Operation::rest("ListClusters", "GET", "/clusters", clusters::list).paged(),
    Operation::rest("DescribeCluster", "GET", "/clusters/{name}", clusters::describe),
    Operation::rest("DeleteCluster", "DELETE", "/clusters/{name}", clusters::delete),
    Operation::rest("UpdateClusterConfig", "POST", "/clusters/{name}/update-config", clusters::update_config),
    Operation::rest("DescribeUpdate", "GET", "/clusters/{name}/updates/{updateId}", updates::describe),
    Operation::rest("ListUpdates", "GET", "/clusters/{name}/updates", updates::list).paged(),
    Operation::rest("CreateAccessEntry", "POST", "/clusters/{name}/access-entries", entries::create),
    Operation::rest("ListAccessEntries", "GET", "/clusters/{name}/access-entries", entries::list).paged(),
    Operation::rest("DescribeAccessEntry", "GET", ENTRY, entries::describe),
    Operation::rest("UpdateAccessEntry", "POST", ENTRY, entries::update),
    Operation::rest("DeleteAccessEntry", "DELETE", ENTRY, entries::delete),
    Operation::rest(
        "AssociateAccessPolicy",
        "POST",
        "/clusters/{name}/access-entries/{principalArn}/access-policies",
        entries::associate,
    ),
    Operation::rest(
        "ListAssociatedAccessPolicies",
        "GET",
        "/clusters/{name}/access-entries/{principalArn}/access-policies",
        entries::list_associated,
    )
    .paged(),
    Operation::rest(
        "DisassociateAccessPolicy",
        "DELETE",
        "/clusters/{name}/access-entries/{principalArn}/access-policies/{policyArn}",
        entries::disassociate,
    ),
    Operation::rest("ListAccessPolicies", "GET", "/access-policies", entries::list_policies).paged(),
    Operation::rest("DescribeClusterVersions", "GET", "/cluster-versions", versions::describe)
        .cut_at_the_door()
        .weighed_as("eks:DescribeClusterVersions"),
    Operation::rest(
        "AssociateIdentityProviderConfig",
        "POST",
        "/clusters/{name}/identity-provider-configs/associate",
        identity_providers::associate,
    ),
    Operation::rest(
        "DescribeIdentityProviderConfig",
        "POST",
        "/clusters/{name}/identity-provider-configs/describe",
        identity_providers::describe,
    ),
    Operation::rest(
        "ListIdentityProviderConfigs",
        "GET",
        "/clusters/{name}/identity-provider-configs",
        identity_providers::list,
    )
    .paged(),
    Operation::rest(
        "DisassociateIdentityProviderConfig",
        "POST",
        "/clusters/{name}/identity-provider-configs/disassociate",
        identity_providers::disassociate,
    ),
    Operation::rest("CreatePodIdentityAssociation", "POST", ASSOCIATIONS, associations::create),
    Operation::rest("DescribePodIdentityAssociation", "GET", ASSOCIATION, associations::describe),
    Operation::rest("ListPodIdentityAssociations", "GET", ASSOCIATIONS, associations::list).paged(),
    Operation::rest("UpdatePodIdentityAssociation", "POST", ASSOCIATION, associations::update),
    Operation::rest("DeletePodIdentityAssociation", "DELETE", ASSOCIATION, associations::delete),
    Operation::rest("TagResource", "POST", TAGS, tags::tag),
    Operation::rest("UntagResource", "DELETE", TAGS, tags::untag),
    Operation::rest("ListTagsForResource", "GET", TAGS, tags::list),
];

/// The tags of what is made: where they are given there is one at least (service model, `TagMap`).
fn tags_of_new(input: &Input<'_>, given: Option<Texts>) -> Result<BTreeMap<String, String>, AwsError> {
    match given {
        None => Ok(BTreeMap::new()),
        Some(Texts(tags)) if tags.is_empty() => {
            Err(input.invalid("tags", "at least one has to be given, or the member be left out"))
        }
        Some(Texts(tags)) => Ok(tags),
    }
}
