//! The kinds of record, one table each.

/// What a record is; one table for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// [`lanyard_api::authn::accounts::Account`], in the hub's scope, by its number.
    Account,
    /// [`lanyard_api::mapping::Cluster`], in the hub's scope, by its uid.
    Cluster,
    /// [`lanyard_api::mapping::SpokeCredential`], in the hub's scope, by `<cluster uid>/<id>`.
    SpokeCredential,
    /// [`lanyard_api::mapping::SpokeKubeconfig`], in the hub's scope, by its cluster's uid.
    SpokeKubeconfig,
    /// [`lanyard_api::authn::accounts::User`], in its account's scope, by its name.
    User,
    /// [`lanyard_api::authn::accounts::AccessKey`], in its account's scope, by its id.
    AccessKey,
    /// [`lanyard_api::authn::accounts::IamRole`], in its account's scope, by its name.
    IamRole,
    /// [`lanyard_api::authn::accounts::InlinePolicy`], in its account's scope, by `user/<user>/<name>`, `role/<role>/<name>` or
    /// `principal/<canonical ARN>/<name>`.
    InlinePolicy,
    /// [`lanyard_api::authn::instance_profiles::InstanceProfile`], in its account's scope, by its name.
    InstanceProfile,
    /// [`lanyard_api::authn::oidc_providers::OidcProvider`], in its account's scope, by its issuer's URL.
    OidcProvider,
    /// [`lanyard_api::mapping::AccessEntry`], in its cluster's scope, by its id.
    AccessEntry,
    /// [`lanyard_api::mapping::PolicyAssociation`], in its cluster's scope, by `<entry id>/<policy ARN>`.
    PolicyAssociation,
    /// [`lanyard_api::mapping::AwsAuthVersion`], in its cluster's scope, by its version in twenty digits.
    AwsAuthVersion,
    /// [`lanyard_api::mapping::Node`], in its cluster's scope, by its instance id.
    Node,
    /// [`lanyard_api::mapping::BreakGlass`], in its cluster's scope, one at most: [`Kind::ONLY_KEY`].
    BreakGlass,
    /// [`crate::RbacObject`], in its cluster's scope, by its object key (`ClusterRole/view`).
    RbacObject,
    /// [`crate::ClusterServiceAccount`], in its cluster's scope, by `<namespace>/<name>`.
    ServiceAccount,
    /// [`lanyard_api::credentials::WorkloadIssuer`], in its cluster's scope, one at most: [`Kind::ONLY_KEY`].
    WorkloadIssuer,
    /// [`lanyard_api::credentials::HostedIssuer`], in its cluster's scope, one at most: [`Kind::ONLY_KEY`].
    HostedIssuer,
    /// [`lanyard_api::credentials::PodIdentityAssociation`], in its cluster's scope, by its id.
    PodIdentityAssociation,
    /// [`lanyard_api::mapping::ClusterUpdate`], in its cluster's scope, by its id.
    ClusterUpdate,
    /// [`crate::Administrator`], in its cluster's scope, by its source.
    Administrator,
    /// [`crate::StaleEntry`], in its cluster's scope, by the id of the access entry.
    StaleEntry,
    /// [`lanyard_api::mapping::IdentityProviderConfig`], in its cluster's scope, by its id.
    IdentityProviderConfig,
    /// [`lanyard_api::mapping::Block`], in the scope where it holds, by its id.
    Block,
    /// [`crate::Setting`], in the hub's scope, by its name.
    Setting,
}

impl Kind {
    /// The key of a kind that has one record at most in a scope.
    pub const ONLY_KEY: &'static str = "only";

    /// All of them, in the order of declaration.
    pub const ALL: [Self; 26] = [
        Self::Account,
        Self::Cluster,
        Self::SpokeCredential,
        Self::SpokeKubeconfig,
        Self::User,
        Self::AccessKey,
        Self::IamRole,
        Self::InlinePolicy,
        Self::InstanceProfile,
        Self::OidcProvider,
        Self::AccessEntry,
        Self::PolicyAssociation,
        Self::AwsAuthVersion,
        Self::Node,
        Self::BreakGlass,
        Self::RbacObject,
        Self::ServiceAccount,
        Self::WorkloadIssuer,
        Self::HostedIssuer,
        Self::PodIdentityAssociation,
        Self::ClusterUpdate,
        Self::Administrator,
        Self::StaleEntry,
        Self::IdentityProviderConfig,
        Self::Block,
        Self::Setting,
    ];

    /// As it stands in change lines, in snake case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Cluster => "cluster",
            Self::SpokeCredential => "spoke_credential",
            Self::SpokeKubeconfig => "spoke_kubeconfig",
            Self::User => "user",
            Self::AccessKey => "access_key",
            Self::IamRole => "iam_role",
            Self::InlinePolicy => "inline_policy",
            Self::InstanceProfile => "instance_profile",
            Self::OidcProvider => "oidc_provider",
            Self::AccessEntry => "access_entry",
            Self::PolicyAssociation => "policy_association",
            Self::AwsAuthVersion => "aws_auth_version",
            Self::Node => "node",
            Self::BreakGlass => "break_glass",
            Self::RbacObject => "rbac_object",
            Self::ServiceAccount => "service_account",
            Self::WorkloadIssuer => "workload_issuer",
            Self::HostedIssuer => "hosted_issuer",
            Self::PodIdentityAssociation => "pod_identity_association",
            Self::ClusterUpdate => "cluster_update",
            Self::Administrator => "administrator",
            Self::StaleEntry => "stale_entry",
            Self::IdentityProviderConfig => "identity_provider_config",
            Self::Block => "block",
            Self::Setting => "setting",
        }
    }

    /// For people: `access entry`.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Cluster => "cluster",
            Self::SpokeCredential => "spoke credential",
            Self::SpokeKubeconfig => "spoke kubeconfig",
            Self::User => "user",
            Self::AccessKey => "access key",
            Self::IamRole => "role",
            Self::InlinePolicy => "inline policy",
            Self::InstanceProfile => "instance profile",
            Self::OidcProvider => "OIDC provider",
            Self::AccessEntry => "access entry",
            Self::PolicyAssociation => "policy association",
            Self::AwsAuthVersion => "aws-auth version",
            Self::Node => "node",
            Self::BreakGlass => "break-glass identity",
            Self::RbacObject => "RBAC object",
            Self::ServiceAccount => "ServiceAccount",
            Self::WorkloadIssuer => "workload issuer",
            Self::HostedIssuer => "hosted issuer",
            Self::PodIdentityAssociation => "Pod Identity association",
            Self::ClusterUpdate => "update",
            Self::Administrator => "administrator",
            Self::StaleEntry => "stale access entry",
            Self::IdentityProviderConfig => "identity-provider configuration",
            Self::Block => "block",
            Self::Setting => "setting",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
