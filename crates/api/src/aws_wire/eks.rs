//! EKS (2017-11-01).

mod clusters;
mod entries;
mod identity_providers;

use super::operation::Operation;

/// Where an access entry is.
const ENTRY: &str = "/clusters/{name}/access-entries/{principalArn}";

/// Its operations, with verb and path as the service model has them.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::rest("CreateCluster", "POST", "/clusters", clusters::create),
    Operation::rest("ListClusters", "GET", "/clusters", clusters::list).paged(),
    Operation::rest("DescribeCluster", "GET", "/clusters/{name}", clusters::describe),
    Operation::rest("DeleteCluster", "DELETE", "/clusters/{name}", clusters::delete),
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
];
