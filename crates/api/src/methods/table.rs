//! The table itself.

use lanyard_proto::{authn, authz, call, credentials, gateway, mapping};

use super::{Action, Managed, Method, read_as};
use crate::{
    fault::CallError,
    grpc::{Mutating, mask},
};

macro_rules! is_mutation {
    () => {
        false
    };
    (mutates) => {
        true
    };
}

macro_rules! mutating {
    ($request:ty) => {};
    ($request:ty, mutates) => {
        impl Mutating for $request {
            fn mutation(&self) -> Option<&call::v1::Mutation> {
                self.mutation.as_ref()
            }

            fn set_mutation(&mut self, mutation: call::v1::Mutation) {
                self.mutation = Some(mutation);
            }
        }
    };
}

/// An update has a mask.
macro_rules! masking {
    () => {};
    (masked) => {
        fn has_mask(&self) -> bool {
            self.update_mask.is_some()
        }

        fn masked(self) -> Result<Self, CallError> {
            mask::applied(self)
        }
    };
}

macro_rules! managed {
    ($($package:ident . $service:literal {
        $($rpc:literal $request:ident $($mutates:ident $($masked:ident)?)? => $action:expr;)+
    })+) => {
        /// All management methods.
        pub const MANAGED: &[&Method] = &[$($(<$package::v1::$request as Managed>::METHOD,)+)+];

        $($(
            impl Managed for $package::v1::$request {
                const METHOD: &'static Method = &Method {
                    path: concat!("/lanyard.", stringify!($package), ".v1.", $service, "/", $rpc),
                    mutates: is_mutation!($($mutates)?),
                    action: $action,
                    request: concat!("lanyard.", stringify!($package), ".v1.", stringify!($request)),
                    read: read_as::<Self>,
                };

                masking!($($($masked)?)?);
            }

            mutating!($package::v1::$request $(, $mutates)?);
        )+)+
    };
}

const fn by_owner(user: &'static str, role: &'static str) -> Action {
    Action::ByOwner { user, role }
}

use Action::Always as is;

managed! {
    authn."Accounts" {
        "CreateAccount" CreateAccountRequest mutates => is("lanyard:CreateAccount");
        "DeleteAccount" DeleteAccountRequest mutates => is("lanyard:DeleteAccount");
        "ListAccounts" ListAccountsRequest => is("lanyard:ListAccounts");
        "CreateUser" CreateUserRequest mutates => is("iam:CreateUser");
        "GetUser" GetUserRequest => is("iam:GetUser");
        "ListUsers" ListUsersRequest => is("iam:ListUsers");
        "TagUser" TagUserRequest mutates => is("iam:TagUser");
        "UntagUser" UntagUserRequest mutates => is("iam:UntagUser");
        "DeleteUser" DeleteUserRequest mutates => is("iam:DeleteUser");
        "CreateAccessKey" CreateAccessKeyRequest mutates => is("iam:CreateAccessKey");
        "ListAccessKeys" ListAccessKeysRequest => is("iam:ListAccessKeys");
        "GetAccessKeyInfo" GetAccessKeyInfoRequest => is("sts:GetAccessKeyInfo");
        "UpdateAccessKey" UpdateAccessKeyRequest mutates masked => is("iam:UpdateAccessKey");
        "DeleteAccessKey" DeleteAccessKeyRequest mutates => is("iam:DeleteAccessKey");
        "CreateRole" CreateRoleRequest mutates => is("iam:CreateRole");
        "GetRole" GetRoleRequest => is("iam:GetRole");
        "ListRoles" ListRolesRequest => is("iam:ListRoles");
        "UpdateRole" UpdateRoleRequest mutates masked => is("iam:UpdateRole");
        "TagRole" TagRoleRequest mutates => is("iam:TagRole");
        "UntagRole" UntagRoleRequest mutates => is("iam:UntagRole");
        "UpdateAssumeRolePolicy" UpdateAssumeRolePolicyRequest mutates masked => is("iam:UpdateAssumeRolePolicy");
        "RevokeSessions" RevokeSessionsRequest mutates => is("lanyard:RevokeSessions");
        "DeleteRole" DeleteRoleRequest mutates => is("iam:DeleteRole");
        "PutPolicy" PutPolicyRequest mutates => by_owner("iam:PutUserPolicy", "iam:PutRolePolicy");
        "GetPolicy" GetPolicyRequest => by_owner("iam:GetUserPolicy", "iam:GetRolePolicy");
        "ListPolicies" ListPoliciesRequest => by_owner("iam:ListUserPolicies", "iam:ListRolePolicies");
        "DeletePolicy" DeletePolicyRequest mutates => by_owner("iam:DeleteUserPolicy", "iam:DeleteRolePolicy");
        "GetCallerPolicies" GetCallerPoliciesRequest => is(super::GET_CALLER_POLICIES);
    }
    authn."OidcProviders" {
        "CreateOidcProvider" CreateOidcProviderRequest mutates => is("iam:CreateOpenIDConnectProvider");
        "GetOidcProvider" GetOidcProviderRequest => is("iam:GetOpenIDConnectProvider");
        "ListOidcProviders" ListOidcProvidersRequest => is("iam:ListOpenIDConnectProviders");
        "DeleteOidcProvider" DeleteOidcProviderRequest mutates => is("iam:DeleteOpenIDConnectProvider");
        "AddOidcClientId" AddOidcClientIdRequest mutates => is("iam:AddClientIDToOpenIDConnectProvider");
        "RemoveOidcClientId" RemoveOidcClientIdRequest mutates => is("iam:RemoveClientIDFromOpenIDConnectProvider");
        "UpdateOidcProviderThumbprints" UpdateOidcProviderThumbprintsRequest mutates masked
            => is("iam:UpdateOpenIDConnectProviderThumbprint");
        "UpdateOidcProviderCaBundle" UpdateOidcProviderCaBundleRequest mutates masked
            => is("lanyard:UpdateOidcProviderCaBundle");
        "TagOidcProvider" TagOidcProviderRequest mutates => is("iam:TagOpenIDConnectProvider");
        "UntagOidcProvider" UntagOidcProviderRequest mutates => is("iam:UntagOpenIDConnectProvider");
    }
    authn."InstanceProfiles" {
        "CreateInstanceProfile" CreateInstanceProfileRequest mutates => is("iam:CreateInstanceProfile");
        "GetInstanceProfile" GetInstanceProfileRequest => is("iam:GetInstanceProfile");
        "ListInstanceProfiles" ListInstanceProfilesRequest => is("iam:ListInstanceProfiles");
        "ListInstanceProfilesForRole" ListInstanceProfilesForRoleRequest => is("iam:ListInstanceProfilesForRole");
        "AddRoleToInstanceProfile" AddRoleToInstanceProfileRequest mutates => is("iam:AddRoleToInstanceProfile");
        "RemoveRoleFromInstanceProfile" RemoveRoleFromInstanceProfileRequest mutates
            => is("iam:RemoveRoleFromInstanceProfile");
        "TagInstanceProfile" TagInstanceProfileRequest mutates => is("iam:TagInstanceProfile");
        "UntagInstanceProfile" UntagInstanceProfileRequest mutates => is("iam:UntagInstanceProfile");
        "DeleteInstanceProfile" DeleteInstanceProfileRequest mutates => is("iam:DeleteInstanceProfile");
    }
    mapping."Preview" {
        "Preview" PreviewRequest => is("lanyard:Preview");
    }
    mapping."Clusters" {
        "CreateCluster" CreateClusterRequest mutates => is("eks:CreateCluster");
        "DescribeCluster" DescribeClusterRequest => is("eks:DescribeCluster");
        "ListClusters" ListClustersRequest => is("eks:ListClusters");
        "UpdateClusterConfig" UpdateClusterConfigRequest mutates masked => is("eks:UpdateClusterConfig");
        "DeleteCluster" DeleteClusterRequest mutates => is("eks:DeleteCluster");
        "PushAwsAuth" PushAwsAuthRequest mutates => is("lanyard:PushAwsAuth");
        "GetAwsAuth" GetAwsAuthRequest => is("lanyard:GetAwsAuth");
        "SetNode" SetNodeRequest mutates => is("lanyard:SetNode");
        "ListNodes" ListNodesRequest => is("lanyard:ListNodes");
        "DeleteNode" DeleteNodeRequest mutates => is("lanyard:DeleteNode");
        "CreateSpokeCredential" CreateSpokeCredentialRequest mutates => is("lanyard:CreateSpokeCredential");
        "ListSpokeCredentials" ListSpokeCredentialsRequest => is("lanyard:ListSpokeCredentials");
        "DeleteSpokeCredential" DeleteSpokeCredentialRequest mutates => is("lanyard:DeleteSpokeCredential");
        "ArmBreakGlass" ArmBreakGlassRequest mutates => is("lanyard:ArmBreakGlass");
        "DisarmBreakGlass" DisarmBreakGlassRequest mutates => is("lanyard:DisarmBreakGlass");
        "ListBreakGlass" ListBreakGlassRequest => is("lanyard:ListBreakGlass");
    }
    mapping."Entries" {
        "CreateAccessEntry" CreateAccessEntryRequest mutates => is("eks:CreateAccessEntry");
        "DescribeAccessEntry" DescribeAccessEntryRequest => is("eks:DescribeAccessEntry");
        "ListAccessEntries" ListAccessEntriesRequest => is("eks:ListAccessEntries");
        "WatchAccessEntries" WatchAccessEntriesRequest => is("lanyard:WatchAccessEntries");
        "PreviewAccessEntry" PreviewAccessEntryRequest => is("lanyard:PreviewAccessEntry");
        "UpdateAccessEntry" UpdateAccessEntryRequest mutates masked => is("eks:UpdateAccessEntry");
        "DeleteAccessEntry" DeleteAccessEntryRequest mutates => is("eks:DeleteAccessEntry");
        "AssociateAccessPolicy" AssociateAccessPolicyRequest mutates => is("eks:AssociateAccessPolicy");
        "DisassociateAccessPolicy" DisassociateAccessPolicyRequest mutates => is("eks:DisassociateAccessPolicy");
        "ListAssociatedAccessPolicies" ListAssociatedAccessPoliciesRequest => is("eks:ListAssociatedAccessPolicies");
        "ListAccessPolicies" ListAccessPoliciesRequest => is("eks:ListAccessPolicies");
    }
    mapping."IdentityProviders" {
        "AssociateIdentityProviderConfig" AssociateIdentityProviderConfigRequest mutates
            => is("eks:AssociateIdentityProviderConfig");
        "DescribeIdentityProviderConfig" DescribeIdentityProviderConfigRequest
            => is("eks:DescribeIdentityProviderConfig");
        "ListIdentityProviderConfigs" ListIdentityProviderConfigsRequest => is("eks:ListIdentityProviderConfigs");
        "DisassociateIdentityProviderConfig" DisassociateIdentityProviderConfigRequest mutates
            => is("eks:DisassociateIdentityProviderConfig");
    }
    mapping."Tags" {
        "TagResource" TagResourceRequest mutates => is("eks:TagResource");
        "UntagResource" UntagResourceRequest mutates => is("eks:UntagResource");
        "ListTagsForResource" ListTagsForResourceRequest => is("eks:ListTagsForResource");
    }
    mapping."Updates" {
        "DescribeUpdate" DescribeUpdateRequest => is("eks:DescribeUpdate");
        "ListUpdates" ListUpdatesRequest => is("eks:ListUpdates");
    }
    mapping."Spokes" {
        "PutSpokeKubeconfig" PutSpokeKubeconfigRequest mutates => is("lanyard:PutSpokeKubeconfig");
        "DeleteSpokeKubeconfig" DeleteSpokeKubeconfigRequest mutates => is("lanyard:DeleteSpokeKubeconfig");
        "RegisterSpokeCertificate" RegisterSpokeCertificateRequest mutates => is("lanyard:RegisterSpokeCertificate");
        "DescribeSpoke" DescribeSpokeRequest => is("lanyard:DescribeSpoke");
        "ReportSpoke" ReportSpokeRequest => is("lanyard:ReportSpoke");
    }
    mapping."Blocks" {
        "CreateBlock" CreateBlockRequest mutates => is("lanyard:CreateBlock");
        "DeleteBlock" DeleteBlockRequest mutates => is("lanyard:DeleteBlock");
        "ListBlocks" ListBlocksRequest => is("lanyard:ListBlocks");
    }
    authz."Authorize" {
        "AuthorizeBatch" AuthorizeBatchRequest => is("lanyard:AuthorizeBatch");
        "RulesFor" RulesForRequest => is("lanyard:RulesFor");
        "WhoCan" WhoCanRequest => is("lanyard:WhoCan");
    }
    authz."Objects" {
        "ApplyObjects" ApplyObjectsRequest mutates => is("lanyard:ApplyObjects");
        "DeleteObject" DeleteObjectRequest mutates => is("lanyard:DeleteObject");
        "ListObjects" ListObjectsRequest => is("lanyard:ListObjects");
    }
    authz."Decisions" {
        "FindDecision" FindDecisionRequest => is("lanyard:FindDecision");
        "WatchInputs" WatchInputsRequest => is("lanyard:WatchInputs");
    }
    credentials."Sessions" {
        "AssumeRole" AssumeRoleRequest => is("sts:AssumeRole");
        "GetSessionToken" GetSessionTokenRequest => is("sts:GetSessionToken");
        "GetCallerIdentity" GetCallerIdentityRequest => is(super::GET_CALLER_IDENTITY);
    }
    credentials."Workloads" {
        "ApplyServiceAccounts" ApplyServiceAccountsRequest mutates => is("lanyard:ApplyServiceAccounts");
        "ListServiceAccounts" ListServiceAccountsRequest => is("lanyard:ListServiceAccounts");
        "PushIssuer" PushIssuerRequest mutates => is("lanyard:PushIssuer");
        "GetIssuer" GetIssuerRequest => is("lanyard:GetIssuer");
    }
    credentials."Issuers" {
        "PublishIssuerKey" PublishIssuerKeyRequest mutates => is("lanyard:PublishIssuerKey");
        "RetireIssuerKey" RetireIssuerKeyRequest mutates => is("lanyard:RetireIssuerKey");
        "RotateHubIssuerKey" RotateHubIssuerKeyRequest mutates => is("lanyard:RotateHubIssuerKey");
        "DescribeIssuer" DescribeIssuerRequest => is("lanyard:DescribeIssuer");
    }
    credentials."Associations" {
        "CreatePodIdentityAssociation" CreatePodIdentityAssociationRequest mutates
            => is("eks:CreatePodIdentityAssociation");
        "DescribePodIdentityAssociation" DescribePodIdentityAssociationRequest
            => is("eks:DescribePodIdentityAssociation");
        "ListPodIdentityAssociations" ListPodIdentityAssociationsRequest => is("eks:ListPodIdentityAssociations");
        "UpdatePodIdentityAssociation" UpdatePodIdentityAssociationRequest mutates masked
            => is("eks:UpdatePodIdentityAssociation");
        "DeletePodIdentityAssociation" DeletePodIdentityAssociationRequest mutates
            => is("eks:DeletePodIdentityAssociation");
        "ProposeTrust" ProposeTrustRequest => is("lanyard:ProposeTrust");
    }
    credentials."Vend" {
        "AssumeRoleForPodIdentity" AssumeRoleForPodIdentityRequest => is("eks-auth:AssumeRoleForPodIdentity");
    }
    credentials."Tags" {
        "TagResource" TagResourceRequest mutates => is("eks:TagResource");
        "UntagResource" UntagResourceRequest mutates => is("eks:UntagResource");
        "ListTagsForResource" ListTagsForResourceRequest => is("eks:ListTagsForResource");
    }
    gateway."Explain" {
        "Explain" ExplainRequest => is("lanyard:Explain");
        "ExplainDecision" ExplainDecisionRequest => is("lanyard:ExplainDecision");
    }
}
