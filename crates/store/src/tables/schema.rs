//! The statements of each kind's table. All have a key and a body; those of accounts, clusters and blocks a column for their
//! scope, which is `$1` (unused by the hub's tables); then come the columns of their own.

use lanyard_api::Scope;

use crate::{error::RecordError, kind::Kind};

/// The statements of one table. Parameters: `$1` scope, `$2` key, `$3` body, then the columns.
pub(crate) struct Statements {
    pub(crate) insert: &'static str,
    pub(crate) update: &'static str,
    pub(crate) select_one: &'static str,
    pub(crate) select_all: &'static str,
    /// Parameters: `$1` scope, `$2` the key that all others come after, `$3` how many.
    pub(crate) select_after: &'static str,
    pub(crate) count: &'static str,
    pub(crate) delete: &'static str,
}

/// A table of the hub's scope.
macro_rules! of_hub {
    ($table:literal, $key:literal $(, $column:literal = $place:literal)*) => {
        Statements {
            insert: concat!(
                "INSERT INTO ", $table, " (", $key, ", body", $(", ", $column,)* ") VALUES ($2, $3", $(", ", $place,)* ")"
            ),
            update: concat!("UPDATE ", $table, " SET body = $3", $(", ", $column, " = ", $place,)* " WHERE ", $key, " = $2"),
            select_one: concat!("SELECT body FROM ", $table, " WHERE ", $key, " = $2"),
            select_all: concat!("SELECT ", $key, ", body FROM ", $table, " ORDER BY ", $key),
            select_after: concat!(
                "SELECT ", $key, ", body FROM ", $table, " WHERE ", $key, " > $2 ORDER BY ", $key, " LIMIT $3"
            ),
            count: concat!("SELECT COUNT(*) FROM ", $table),
            delete: concat!("DELETE FROM ", $table, " WHERE ", $key, " = $2"),
        }
    };
}

/// A table with a column for the scope.
macro_rules! of_scope {
    ($table:literal, $scope:literal, $key:literal $(, $column:literal = $place:literal)*) => {
        Statements {
            insert: concat!(
                "INSERT INTO ", $table, " (", $scope, ", ", $key, ", body", $(", ", $column,)*
                ") VALUES ($1, $2, $3", $(", ", $place,)* ")"
            ),
            update: concat!(
                "UPDATE ", $table, " SET body = $3", $(", ", $column, " = ", $place,)*
                " WHERE ", $scope, " = $1 AND ", $key, " = $2"
            ),
            select_one: concat!("SELECT body FROM ", $table, " WHERE ", $scope, " = $1 AND ", $key, " = $2"),
            select_all: concat!("SELECT ", $key, ", body FROM ", $table, " WHERE ", $scope, " = $1 ORDER BY ", $key),
            select_after: concat!(
                "SELECT ", $key, ", body FROM ", $table, " WHERE ", $scope, " = $1 AND ", $key, " > $2 ORDER BY ", $key,
                " LIMIT $3"
            ),
            count: concat!("SELECT COUNT(*) FROM ", $table, " WHERE ", $scope, " = $1"),
            delete: concat!("DELETE FROM ", $table, " WHERE ", $scope, " = $1 AND ", $key, " = $2"),
        }
    };
}

/// The statements of a kind's table.
pub(crate) fn statements(kind: Kind) -> &'static Statements {
    match kind {
        Kind::Account => &of_hub!("accounts", "id", "partition_name" = "$4", "authority" = "$5"),
        Kind::Cluster => &of_hub!(
            "clusters",
            "uid",
            "id" = "$4",
            "partition_name" = "$5",
            "account" = "$6",
            "region" = "$7",
            "name" = "$8",
            "authentication_mode" = "$9",
            "allows_lockout" = "$10"
        ),
        Kind::SpokeCredential => {
            &of_hub!("spoke_credentials", "key", "cluster" = "$4", "token_sha256" = "$5")
        }
        Kind::SpokeKubeconfig => &of_hub!("spoke_kubeconfigs", "cluster"),
        Kind::Setting => &of_hub!("settings", "name"),
        Kind::User => {
            &of_scope!("users", "account", "name", "name_folded" = "$4", "path" = "$5", "principal_id" = "$6")
        }
        Kind::AccessKey => &of_scope!("access_keys", "account", "id", "user_name" = "$4", "active" = "$5"),
        Kind::IamRole => {
            &of_scope!("iam_roles", "account", "name", "name_folded" = "$4", "principal_id" = "$5")
        }
        Kind::InlinePolicy => &of_scope!(
            "inline_policies",
            "account",
            "key",
            "user_name" = "$4",
            "role_name" = "$5",
            "principal_arn" = "$6"
        ),
        Kind::InstanceProfile => &of_scope!(
            "instance_profiles",
            "account",
            "name",
            "name_folded" = "$4",
            "profile_id" = "$5",
            "role_name" = "$6"
        ),
        Kind::OidcProvider => &of_scope!("oidc_providers", "account", "issuer_url", "id" = "$4"),
        Kind::AccessEntry => &of_scope!(
            "access_entries",
            "cluster",
            "id",
            "authority" = "$4",
            "canonical_arn" = "$5",
            "ends_at" = "$6"
        ),
        Kind::PolicyAssociation => &of_scope!(
            "policy_associations",
            "cluster",
            "key",
            "entry" = "$4",
            "policy_name" = "$5",
            "is_cluster_wide" = "$6",
            "ends_at" = "$7"
        ),
        Kind::AwsAuthVersion => &of_scope!("aws_auth_versions", "cluster", "key", "status" = "$4"),
        Kind::Node => &of_scope!("nodes", "cluster", "instance_id", "private_dns_name" = "$4"),
        Kind::BreakGlass => &of_scope!("break_glass", "cluster", "key", "token_sha256" = "$4"),
        Kind::RbacObject => &of_scope!("rbac_objects", "cluster", "key"),
        Kind::ServiceAccount => &of_scope!("service_accounts", "cluster", "key"),
        Kind::WorkloadIssuer => &of_scope!("workload_issuers", "cluster", "key", "irsa_issuer" = "$4"),
        Kind::HostedIssuer => &of_scope!("hosted_issuers", "cluster", "key", "issuer_url" = "$4"),
        Kind::PodIdentityAssociation => &of_scope!(
            "pod_identity_associations",
            "cluster",
            "id",
            "namespace" = "$4",
            "service_account" = "$5"
        ),
        Kind::ClusterUpdate => &of_scope!("cluster_updates", "cluster", "id"),
        Kind::Administrator => &of_scope!(
            "administrators",
            "cluster",
            "source",
            "entry" = "$4",
            "authority" = "$5",
            "account" = "$6",
            "partition_name" = "$7",
            "arn_folded" = "$8",
            "principal_kind" = "$9",
            "principal_path" = "$10",
            "principal_name" = "$11",
            "principal_id" = "$12",
            "ends_at" = "$13"
        ),
        Kind::StaleEntry => &of_scope!("stale_entries", "cluster", "entry"),
        Kind::Block => &of_scope!(
            "blocks",
            "scope",
            "id",
            "account" = "$4",
            "cluster" = "$5",
            "target_kind" = "$6",
            "target_authority" = "$7",
            "target_account" = "$8",
            "target_arn_folded" = "$9",
            "target_access_key" = "$10",
            "target_session" = "$11",
            "target_issuer" = "$12",
            "target_subject" = "$13",
            "target_certificate" = "$14"
        ),
        Kind::IdentityProviderConfig => &of_scope!(
            "identity_provider_configs",
            "cluster",
            "id",
            "name" = "$4",
            "issuer_url" = "$5",
            "client_id" = "$6",
            "is_shared" = "$7"
        ),
    }
}

/// What stands in the scope column of a kind's table; an error where the kind has no place in the scope.
pub(crate) fn scope_id(kind: Kind, scope: Scope, key: &str) -> Result<String, RecordError> {
    match (kind, scope) {
        (
            Kind::Account | Kind::Cluster | Kind::SpokeCredential | Kind::SpokeKubeconfig | Kind::Setting,
            Scope::Hub,
        ) => Ok("hub".to_owned()),
        (
            Kind::User
            | Kind::AccessKey
            | Kind::IamRole
            | Kind::InlinePolicy
            | Kind::InstanceProfile
            | Kind::OidcProvider,
            Scope::Account(id),
        ) => Ok(id.to_string()),
        (
            Kind::AccessEntry
            | Kind::PolicyAssociation
            | Kind::AwsAuthVersion
            | Kind::Node
            | Kind::BreakGlass
            | Kind::RbacObject
            | Kind::ServiceAccount
            | Kind::WorkloadIssuer
            | Kind::HostedIssuer
            | Kind::PodIdentityAssociation
            | Kind::ClusterUpdate
            | Kind::Administrator
            | Kind::StaleEntry
            | Kind::IdentityProviderConfig,
            Scope::Cluster(uid),
        ) => Ok(uid.to_string()),
        (Kind::Block, scope) => Ok(scope.to_string()),
        (kind, scope) => Err(RecordError::Misplaced { kind, key: key.to_owned(), scope }),
    }
}

/// Records of one kind that go when the record that they hang on goes.
pub(crate) struct Dependants {
    pub(crate) kind: Kind,
    /// Whether they are in the scope that the record's key names rather than in the record's own.
    pub(crate) in_scope_of_key: bool,
    /// Their keys and bodies. Parameters: `$1` the record's scope, `$2` its key.
    pub(crate) select: &'static str,
}

macro_rules! dependants {
    ($($kind:ident $in_scope_of_key:literal from $table:literal key $key:literal where $condition:literal;)*) => {
        &[$(Dependants {
            kind: Kind::$kind,
            in_scope_of_key: $in_scope_of_key,
            select: concat!("SELECT ", $key, ", body FROM ", $table, " WHERE ", $condition, " ORDER BY ", $key),
        },)*]
    };
}

/// What goes with a record of a kind, those first that others do not hang on.
pub(crate) fn dependants(kind: Kind) -> &'static [Dependants] {
    match kind {
        Kind::Account => dependants! {
            InlinePolicy true from "inline_policies" key "key" where "account = $2 AND principal_arn IS NOT NULL";
            Block true from "blocks" key "id" where "account = $2";
        },
        Kind::User => dependants! {
            AccessKey false from "access_keys" key "id" where "account = $1 AND user_name = $2";
            InlinePolicy false from "inline_policies" key "key" where "account = $1 AND user_name = $2";
        },
        Kind::IamRole => dependants! {
            InlinePolicy false from "inline_policies" key "key" where "account = $1 AND role_name = $2";
        },
        Kind::AccessEntry => dependants! {
            PolicyAssociation false from "policy_associations" key "key" where "cluster = $1 AND entry = $2";
            Administrator false from "administrators" key "source" where "cluster = $1 AND entry = $2";
            StaleEntry false from "stale_entries" key "entry" where "cluster = $1 AND entry = $2";
        },
        Kind::Cluster => dependants! {
            Administrator true from "administrators" key "source" where "cluster = $2";
            StaleEntry true from "stale_entries" key "entry" where "cluster = $2";
            PolicyAssociation true from "policy_associations" key "key" where "cluster = $2";
            AccessEntry true from "access_entries" key "id" where "cluster = $2";
            AwsAuthVersion true from "aws_auth_versions" key "key" where "cluster = $2";
            Node true from "nodes" key "instance_id" where "cluster = $2";
            BreakGlass true from "break_glass" key "key" where "cluster = $2";
            RbacObject true from "rbac_objects" key "key" where "cluster = $2";
            ServiceAccount true from "service_accounts" key "key" where "cluster = $2";
            WorkloadIssuer true from "workload_issuers" key "key" where "cluster = $2";
            HostedIssuer true from "hosted_issuers" key "key" where "cluster = $2";
            PodIdentityAssociation true from "pod_identity_associations" key "id" where "cluster = $2";
            ClusterUpdate true from "cluster_updates" key "id" where "cluster = $2";
            IdentityProviderConfig true from "identity_provider_configs" key "id" where "cluster = $2";
            Block true from "blocks" key "id" where "cluster = $2";
            SpokeCredential false from "spoke_credentials" key "key" where "cluster = $2";
            SpokeKubeconfig false from "spoke_kubeconfigs" key "cluster" where "cluster = $2";
        },
        Kind::SpokeCredential
        | Kind::SpokeKubeconfig
        | Kind::AccessKey
        | Kind::InlinePolicy
        | Kind::InstanceProfile
        | Kind::OidcProvider
        | Kind::PolicyAssociation
        | Kind::AwsAuthVersion
        | Kind::Node
        | Kind::BreakGlass
        | Kind::RbacObject
        | Kind::ServiceAccount
        | Kind::WorkloadIssuer
        | Kind::HostedIssuer
        | Kind::PodIdentityAssociation
        | Kind::ClusterUpdate
        | Kind::Administrator
        | Kind::StaleEntry
        | Kind::IdentityProviderConfig
        | Kind::Block
        | Kind::Setting => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_migrations_of_both_databases_say_the_same() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations");
        let mut names: Vec<_> =
            std::fs::read_dir(format!("{folder}/sqlite")).unwrap().map(|f| f.unwrap().file_name()).collect();
        names.sort();
        let count = std::fs::read_dir(format!("{folder}/postgres")).unwrap().count();
        assert_eq!(names.len(), count, "as many files for each");
        for name in names {
            let name = name.to_str().unwrap();
            let read = |kind: &str| std::fs::read_to_string(format!("{folder}/{kind}/{name}")).unwrap();
            let words: Vec<String> = read("postgres")
                .replace("TEXT COLLATE \"C\"", "TEXT")
                .replace("BIGINT", "INTEGER")
                .replace("BYTEA", "BLOB")
                .lines()
                .map(|line| if line == ");" { ") STRICT;" } else { line }.to_owned())
                .collect();
            assert_eq!(words.join("\n").trim(), read("sqlite").trim(), "{name}");
        }
    }

    #[test]
    fn a_kind_has_a_place_in_its_own_scopes_alone() {
        let (account, cluster) = (
            Scope::Account("111122223333".parse().unwrap()),
            Scope::Cluster(lanyard_api::ClusterUid::random()),
        );
        for kind in Kind::ALL {
            let places = [Scope::Hub, account, cluster].map(|scope| scope_id(kind, scope, "k").is_ok());
            let expected = match kind {
                Kind::Account
                | Kind::Cluster
                | Kind::SpokeCredential
                | Kind::SpokeKubeconfig
                | Kind::Setting => [true, false, false],
                Kind::User
                | Kind::AccessKey
                | Kind::IamRole
                | Kind::InlinePolicy
                | Kind::InstanceProfile
                | Kind::OidcProvider => [false, true, false],
                Kind::Block => [true, true, true],
                _ => [false, false, true],
            };
            assert_eq!(places, expected, "{kind}");
        }
    }
}
