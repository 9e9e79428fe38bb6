//! What each request is about.

use lanyard_iam::{EntryPrincipal, PrincipalArn, PrincipalKind};
use lanyard_proto::{
    authn::v1::{self as authn, policy_owner::Owner},
    authz::v1 as authz,
    credentials::v1 as credentials,
    gateway::v1 as gateway,
    mapping::v1::{self as mapping, access_scope::Scope as Where},
};

use super::{AccountRef, ClusterRef, Resource, Target, Targeted};
use crate::{
    authz::batch::batch_cluster,
    credentials::POD_IDENTITY_SERVICE,
    fault::CallError,
    grpc::field,
    ids::Scope,
    mapping::{AuthenticationMode, EntryType},
};

/// Whom the role of an instance profile is for.
const EC2_SERVICE: &str = "ec2.amazonaws.com";

/// What puts tags on something of EKS.
const TAG_RESOURCE: &str = "eks:TagResource";
/// What takes them off.
const UNTAG_RESOURCE: &str = "eks:UntagResource";

macro_rules! targets {
    ($($($request:path),+ => |$m:ident| $target:expr;)+) => {$($(
        impl Targeted for $request {
            fn target(&self) -> Result<Target, CallError> {
                let $m = self;
                $target
            }
        }
    )+)+};
}

targets! {
    authn::CreateAccountRequest, authn::DeleteAccountRequest => |_m| Ok(Target::own(Resource::Hub));
    authn::ListAccountsRequest, authn::GetAccessKeyInfoRequest, authn::GetCallerPoliciesRequest,
    credentials::GetSessionTokenRequest => |_m| Ok(Target::own(Resource::Account));

    authn::CreateUserRequest => |m| {
        let resource = Resource::User { path: Some(m.path.clone()), name: m.name.clone() };
        Target::own(resource).made_with_tags(&m.tags, "iam:TagUser").in_account(m.account.as_deref())
    };
    authn::CreateRoleRequest => |m| {
        let resource = Resource::Role { path: Some(m.path.clone()), name: m.name.clone() };
        Target::own(resource).made_with_tags(&m.tags, "iam:TagRole").in_account(m.account.as_deref())
    };
    authn::GetUserRequest, authn::DeleteUserRequest => |m| Target::own(user(&m.name)).in_account(m.account.as_deref());
    authn::CreateAccessKeyRequest, authn::ListAccessKeysRequest, authn::UpdateAccessKeyRequest,
    authn::DeleteAccessKeyRequest => |m| Target::own(user(&m.user)).in_account(m.account.as_deref());
    authn::GetRoleRequest, authn::UpdateRoleRequest, authn::UpdateAssumeRolePolicyRequest,
    authn::RevokeSessionsRequest, authn::DeleteRoleRequest => |m| Target::own(role(&m.name)).in_account(m.account.as_deref());
    authn::TagUserRequest => |m| Target::own(user(&m.name)).tags(&m.tags).in_account(m.account.as_deref());
    authn::UntagUserRequest => |m| Target::own(user(&m.name)).tag_keys(&m.tag_keys).in_account(m.account.as_deref());
    authn::TagRoleRequest => |m| Target::own(role(&m.name)).tags(&m.tags).in_account(m.account.as_deref());
    authn::UntagRoleRequest => |m| Target::own(role(&m.name)).tag_keys(&m.tag_keys).in_account(m.account.as_deref());
    authn::ListUsersRequest => |m| Target::own(Resource::Users).in_account(m.account.as_deref());
    authn::ListRolesRequest => |m| Target::own(Resource::Roles).in_account(m.account.as_deref());
    authn::PutPolicyRequest, authn::GetPolicyRequest, authn::ListPoliciesRequest, authn::DeletePolicyRequest => |m| {
        let owner = field::required("owner", m.owner.as_ref().and_then(|owner| owner.owner.as_ref()))?;
        match owner {
            Owner::User(name) => Target::own(user(name)).in_account(m.account.as_deref()),
            Owner::Role(name) => Target::own(role(name)).in_account(m.account.as_deref()),
            Owner::PrincipalArn(arn) => principal(arn, m.account.as_deref()),
        }
    };

    authn::CreateOidcProviderRequest => |m| {
        Target::own(oidc_provider(&m.issuer_url)).made_with_tags(&m.tags, "iam:TagOpenIDConnectProvider").in_account(m.account.as_deref())
    };
    authn::ListOidcProvidersRequest => |m| Target::own(Resource::OidcProviders).in_account(m.account.as_deref());
    authn::GetOidcProviderRequest, authn::DeleteOidcProviderRequest, authn::AddOidcClientIdRequest,
    authn::RemoveOidcClientIdRequest, authn::UpdateOidcProviderThumbprintsRequest,
    authn::UpdateOidcProviderCaBundleRequest => |m| {
        Target::own(oidc_provider(&m.issuer_url)).in_account(m.account.as_deref())
    };
    authn::TagOidcProviderRequest => |m| {
        Target::own(oidc_provider(&m.issuer_url)).tags(&m.tags).in_account(m.account.as_deref())
    };
    authn::UntagOidcProviderRequest => |m| {
        Target::own(oidc_provider(&m.issuer_url)).tag_keys(&m.tag_keys).in_account(m.account.as_deref())
    };

    authn::CreateInstanceProfileRequest => |m| {
        let resource = Resource::InstanceProfile { path: Some(m.path.clone()), name: m.name.clone() };
        Target::own(resource).made_with_tags(&m.tags, "iam:TagInstanceProfile").in_account(m.account.as_deref())
    };
    authn::ListInstanceProfilesRequest => |m| {
        Target::own(Resource::InstanceProfiles).in_account(m.account.as_deref())
    };
    authn::ListInstanceProfilesForRoleRequest => |m| Target::own(role(&m.role)).in_account(m.account.as_deref());
    authn::GetInstanceProfileRequest, authn::DeleteInstanceProfileRequest,
    authn::RemoveRoleFromInstanceProfileRequest => |m| {
        Target::own(instance_profile(&m.name)).in_account(m.account.as_deref())
    };
    authn::AddRoleToInstanceProfileRequest => |m| {
        let target = Target::own(instance_profile(&m.name)).passing_own(&m.role, EC2_SERVICE);
        target.in_account(m.account.as_deref())
    };
    authn::TagInstanceProfileRequest => |m| {
        Target::own(instance_profile(&m.name)).tags(&m.tags).in_account(m.account.as_deref())
    };
    authn::UntagInstanceProfileRequest => |m| {
        Target::own(instance_profile(&m.name)).tag_keys(&m.tag_keys).in_account(m.account.as_deref())
    };

    mapping::PreviewRequest => |m| {
        Ok(Target::of_cluster(uid(&m.cluster_uid)?, Resource::Cluster).key("eks:principalArn", [&m.arn]))
    };
    mapping::CreateClusterRequest => |m| {
        let resource = Resource::NewCluster { region: m.region.clone(), name: m.name.clone() };
        let target = Target::own(resource)
            .made_with_tags(&m.tags, TAG_RESOURCE)
            .key("eks:bootstrapClusterCreatorAdminPermissions", [m.bootstrap_creator_admin.unwrap_or(true).to_string()]);
        with_mode(target, m.authentication_mode)?.in_account(m.account.as_deref())
    };
    mapping::UpdateClusterConfigRequest => |m| {
        let tags = m.tags.iter().flat_map(|tags| &tags.tags);
        let mut target = Target::of_cluster(id(&m.cluster)?, Resource::Cluster).made_with_tags(tags, TAG_RESOURCE);
        // They are all that there will be: others go.
        target.beside.extend(m.tags.as_ref().map(|_| UNTAG_RESOURCE));
        with_mode(target, m.authentication_mode)
    };
    mapping::ListClustersRequest, mapping::ListBreakGlassRequest, mapping::ListAccessPoliciesRequest => |_m| Ok(Target::own(Resource::Clusters));
    mapping::DescribeClusterRequest, mapping::DeleteClusterRequest, mapping::PushAwsAuthRequest,
    mapping::GetAwsAuthRequest, mapping::SetNodeRequest, mapping::ListNodesRequest, mapping::DeleteNodeRequest,
    mapping::CreateSpokeCredentialRequest, mapping::ListSpokeCredentialsRequest, mapping::DeleteSpokeCredentialRequest,
    mapping::ArmBreakGlassRequest, mapping::DisarmBreakGlassRequest,
    mapping::PutSpokeKubeconfigRequest, mapping::DeleteSpokeKubeconfigRequest, mapping::DescribeSpokeRequest,
    mapping::RegisterSpokeCertificateRequest, mapping::ReportSpokeRequest, mapping::DescribeUpdateRequest, mapping::ListUpdatesRequest,
    mapping::ListAccessEntriesRequest, mapping::WatchAccessEntriesRequest, authz::WatchInputsRequest,
    mapping::ListIdentityProviderConfigsRequest, authz::ApplyObjectsRequest, authz::DeleteObjectRequest,
    authz::ListObjectsRequest, credentials::ApplyServiceAccountsRequest, credentials::ListServiceAccountsRequest,
    credentials::PushIssuerRequest, credentials::GetIssuerRequest, credentials::PublishIssuerKeyRequest,
    credentials::RetireIssuerKeyRequest, credentials::RotateHubIssuerKeyRequest, credentials::DescribeIssuerRequest,
    credentials::ListPodIdentityAssociationsRequest, credentials::AssumeRoleForPodIdentityRequest,
    credentials::ProposeTrustRequest, gateway::ExplainRequest => |m| {
        Ok(Target::of_cluster(id(&m.cluster)?, Resource::Cluster))
    };

    mapping::CreateAccessEntryRequest => |m| {
        let kind = field::optional_enum::<EntryType>("entry_type", m.entry_type)?;
        let resource = match reaches_several(&m.principal_arn) {
            true => Resource::NewEntryForSeveral,
            false => Resource::Cluster,
        };
        let made = Resource::AccessEntry { principal_arn: m.principal_arn.clone() };
        let target = Target::of_cluster(id(&m.cluster)?, resource).made_with_tags(&m.tags, TAG_RESOURCE).making(made);
        let target = of_principal(target, &m.principal_arn);
        // The role of EC2 nodes is handed to them (Service Authorization Reference; to which service it does not say).
        let target = match kind {
            Some(EntryType::Ec2Linux | EntryType::Ec2Windows) => target.passing(&m.principal_arn, None),
            _ => target,
        };
        Ok(target
            .key("eks:kubernetesGroups", &m.groups)
            .key("eks:username", &m.username)
            .key("eks:accessEntryType", [kind.unwrap_or(EntryType::Standard).as_str()]))
    };
    mapping::DescribeAccessEntryRequest, mapping::DeleteAccessEntryRequest,
    mapping::ListAssociatedAccessPoliciesRequest => |m| entry(&m.cluster, &m.principal_arn);
    mapping::PreviewAccessEntryRequest => |m| {
        Ok(of_principal(Target::of_cluster(id(&m.cluster)?, Resource::Cluster), &m.principal_arn))
    };
    mapping::UpdateAccessEntryRequest => |m| {
        Ok(entry(&m.cluster, &m.principal_arn)?
            .key("eks:kubernetesGroups", m.groups.iter().flat_map(|groups| &groups.values))
            .key("eks:username", &m.username))
    };
    mapping::AssociateAccessPolicyRequest => |m| {
        let target = entry(&m.cluster, &m.principal_arn)?.key("eks:policyArn", [&m.policy_arn]);
        Ok(match field::required("scope", m.scope.as_ref().and_then(|scope| scope.scope.as_ref()))? {
            Where::Cluster(()) => target.key("eks:accessScope", ["cluster"]),
            Where::Namespaces(namespaces) => {
                target.key("eks:accessScope", ["namespace"]).key("eks:namespaces", &namespaces.names)
            }
        })
    };
    mapping::DisassociateAccessPolicyRequest => |m| {
        Ok(entry(&m.cluster, &m.principal_arn)?.key("eks:policyArn", [&m.policy_arn]))
    };

    mapping::AssociateIdentityProviderConfigRequest => |m| {
        let settings = field::required("settings", m.settings.as_ref())?;
        Ok(Target::of_cluster(id(&m.cluster)?, Resource::Cluster)
            .made_with_tags(&settings.tags, TAG_RESOURCE)
            .making(Resource::IdentityProviderConfig { name: settings.name.clone() })
            .key("eks:issuerUrl", [&settings.issuer_url])
            .key("eks:clientId", [&settings.client_id]))
    };
    mapping::DescribeIdentityProviderConfigRequest, mapping::DisassociateIdentityProviderConfigRequest => |m| {
        Ok(Target::of_cluster(id(&m.cluster)?, Resource::IdentityProviderConfig { name: m.name.clone() }))
    };

    mapping::TagResourceRequest, credentials::TagResourceRequest => |m| Ok(tagged(&m.resource_arn)?.tags(&m.tags));
    mapping::UntagResourceRequest, credentials::UntagResourceRequest => |m| {
        Ok(tagged(&m.resource_arn)?.key("aws:TagKeys", &m.tag_keys))
    };
    mapping::ListTagsForResourceRequest, credentials::ListTagsForResourceRequest => |m| tagged(&m.resource_arn);

    mapping::CreateBlockRequest, mapping::DeleteBlockRequest, mapping::ListBlocksRequest => |m| {
        Ok(match field::parse("scope", &m.scope)? {
            Scope::Hub => Target::own(Resource::Hub),
            Scope::Account(account) => {
                Target { account: AccountRef::Named(account), ..Target::own(Resource::Account) }
            }
            Scope::Cluster(uid) => Target::of_cluster(ClusterRef::Uid(uid), Resource::Cluster),
        })
    };

    authz::RulesForRequest, authz::WhoCanRequest => |m| {
        Ok(Target::of_cluster(uid(&m.cluster_uid)?, Resource::Cluster))
    };
    authz::AuthorizeBatchRequest => |m| {
        Ok(Target::of_cluster(uid(&batch_cluster(m)?)?, Resource::Cluster))
    };
    authz::FindDecisionRequest, gateway::ExplainDecisionRequest => |m| {
        Ok(Target::own(Resource::Decision(field::parse("id", &m.id)?)))
    };

    credentials::AssumeRoleRequest => |m| assume_role(m);
    credentials::GetCallerIdentityRequest => |_m| Ok(Target::own(Resource::Account));
    credentials::CreatePodIdentityAssociationRequest => |m| {
        Ok(Target::of_cluster(id(&m.cluster)?, Resource::Cluster)
            .made_with_tags(&m.tags, TAG_RESOURCE)
            .making(Resource::NewPodIdentityAssociation)
            .passing(&m.role_arn, Some(POD_IDENTITY_SERVICE)))
    };
    credentials::DescribePodIdentityAssociationRequest, credentials::DeletePodIdentityAssociationRequest => |m| {
        association(&m.cluster, &m.association_id)
    };
    credentials::UpdatePodIdentityAssociationRequest => |m| {
        let target = association(&m.cluster, &m.association_id)?;
        Ok(match &m.role_arn {
            Some(role_arn) => target.passing(role_arn, Some(POD_IDENTITY_SERVICE)),
            None => target,
        })
    };
}

fn user(name: &str) -> Resource {
    Resource::User { path: None, name: name.to_owned() }
}

fn role(name: &str) -> Resource {
    Resource::Role { path: None, name: name.to_owned() }
}

fn instance_profile(name: &str) -> Resource {
    Resource::InstanceProfile { path: None, name: name.to_owned() }
}

/// A user or role by its ARN, which names the account.
fn principal(arn: &str, account: Option<&str>) -> Result<Target, CallError> {
    let arn: PrincipalArn = field::parse("owner", arn)?;
    let resource = match &arn.kind {
        PrincipalKind::User { path, name } => Resource::User { path: Some(path.clone()), name: name.clone() },
        PrincipalKind::Role { path, name } => Resource::Role { path: Some(path.clone()), name: name.clone() },
        _ => {
            let message =
                format!("`{arn}` is neither a user nor a role, and has no policies: name one of these");
            return Err(CallError::invalid("owner", "principal_kind", message));
        }
    };
    if account.is_some_and(|account| account != arn.account.as_str()) {
        let message = format!("`{arn}` is not of that account: leave the account out, for the ARN names it");
        return Err(CallError::invalid("account", "other_account", message));
    }
    Ok(Target { account: AccountRef::Named(arn.account), ..Target::own(resource) })
}

fn oidc_provider(issuer_url: &str) -> Resource {
    Resource::OidcProvider { issuer_url: issuer_url.to_owned() }
}

fn id(cluster: &str) -> Result<ClusterRef, CallError> {
    field::parse("cluster", cluster).map(ClusterRef::Id)
}

fn uid(cluster: &str) -> Result<ClusterRef, CallError> {
    field::parse("cluster_uid", cluster).map(ClusterRef::Uid)
}

fn tagged(resource_arn: &str) -> Result<Target, CallError> {
    Ok(Target::own(Resource::Tagged(field::parse("resource_arn", resource_arn)?)))
}

fn association(cluster: &str, association_id: &str) -> Result<Target, CallError> {
    let resource = Resource::PodIdentityAssociation(field::parse("association_id", association_id)?);
    Ok(Target::of_cluster(id(cluster)?, resource))
}

fn entry(cluster: &str, principal_arn: &str) -> Result<Target, CallError> {
    let resource = Resource::AccessEntry { principal_arn: principal_arn.to_owned() };
    Ok(of_principal(Target::of_cluster(id(cluster)?, resource), principal_arn))
}

/// What is no ARN of one principal is not given as one: a condition on it would be held against a text that is not what it
/// means.
fn of_principal(target: Target, principal_arn: &str) -> Target {
    let key = if reaches_several(principal_arn) { "lanyard:principals" } else { "eks:principalArn" };
    target.key(key, [principal_arn])
}

fn reaches_several(principal_arn: &str) -> bool {
    EntryPrincipal::parse(principal_arn).is_ok_and(|principal| principal.one().is_none())
}

fn with_mode(target: Target, mode: i32) -> Result<Target, CallError> {
    let mode = field::optional_enum::<AuthenticationMode>("authentication_mode", mode)?;
    Ok(match mode {
        None => target,
        Some(mode) => target.key("eks:authenticationMode", [aws_name(&mode)?]),
    })
}

/// How AWS writes a value of an enumeration; the domain types serialize so.
fn aws_name(value: &impl serde::Serialize) -> Result<String, CallError> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => Ok(name),
        _ => Err(crate::fault::Fault::Internal.into()),
    }
}

/// STS's own: the role is the resource, in whatever account it is.
fn assume_role(m: &credentials::AssumeRoleRequest) -> Result<Target, CallError> {
    let arn: PrincipalArn = field::parse("role_arn", &m.role_arn)?;
    let PrincipalKind::Role { path, name } = &arn.kind else {
        let message =
            format!("`{}` is not a role: give `arn:<partition>:iam::<account>:role/<path and name>`", arn);
        return Err(CallError::invalid("role_arn", "malformed", message));
    };
    let resource = Resource::Role { path: Some(path.clone()), name: name.clone() };
    Ok(Target { account: AccountRef::Named(arn.account), ..Target::own(resource) }
        .tags(&m.tags)
        .key("sts:RoleSessionName", [&m.session_name])
        .key("sts:TransitiveTagKeys", &m.transitive_tag_keys)
        .key("sts:ExternalId", &m.external_id)
        .key("sts:SourceIdentity", &m.source_identity))
}
