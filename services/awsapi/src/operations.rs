//! What each operation answers: the message of its method, in the shape of the service's model.

mod eks;
mod eks_auth;
mod iam;
mod sts;

use std::time::Duration;

use lanyard_api::{
    CallError, Fault, Page,
    authn::AwsAdmitted,
    aws_wire::{Found, Service},
    grpc::pass,
    methods::Managed,
    voucher::Audience,
};
use prost::Message;

use crate::{answer::Answer, backend::Backend, door::Hub};

/// A call that was admitted.
pub(crate) struct Call<'a, B> {
    pub(crate) backend: &'a B,
    pub(crate) found: &'a Found<'a>,
    pub(crate) admitted: &'a AwsAdmitted,
    pub(crate) hub: &'a Hub,
    /// How long the service may take.
    pub(crate) timeout: Duration,
}

macro_rules! answers {
    ($($service:ident { $($name:literal => $answer:path;)+ })+) => {
        /// Answers a call.
        pub(crate) async fn answer<B: Backend>(call: &Call<'_, B>) -> Result<Answer, CallError> {
            match (call.found.operation.service, call.found.operation.name) {
                $($((Service::$service, $name) => $answer(call).await,)+)+
                // A test sees to it that there is none.
                _ => Err(Fault::Internal.into()),
            }
        }

        #[cfg(test)]
        const ANSWERED: &[(Service, &str)] = &[$($((Service::$service, $name),)+)+];
    };
}

answers! {
    Eks {
        "ListClusters" => eks::clusters::list;
        "DescribeCluster" => eks::clusters::describe;
        "CreateCluster" => eks::clusters::create;
        "DeleteCluster" => eks::clusters::delete;
        "UpdateClusterConfig" => eks::clusters::update_config;
        "DescribeUpdate" => eks::updates::describe;
        "ListUpdates" => eks::updates::list;
        "CreateAccessEntry" => eks::entries::create;
        "ListAccessEntries" => eks::entries::list;
        "DescribeAccessEntry" => eks::entries::describe;
        "UpdateAccessEntry" => eks::entries::update;
        "DeleteAccessEntry" => eks::entries::delete;
        "AssociateAccessPolicy" => eks::entries::associate;
        "ListAssociatedAccessPolicies" => eks::entries::list_associated;
        "DisassociateAccessPolicy" => eks::entries::disassociate;
        "ListAccessPolicies" => eks::entries::list_policies;
        "DescribeClusterVersions" => eks::versions::describe;
        "AssociateIdentityProviderConfig" => eks::identity_providers::associate;
        "DescribeIdentityProviderConfig" => eks::identity_providers::describe;
        "ListIdentityProviderConfigs" => eks::identity_providers::list;
        "DisassociateIdentityProviderConfig" => eks::identity_providers::disassociate;
        "CreatePodIdentityAssociation" => eks::associations::create;
        "DescribePodIdentityAssociation" => eks::associations::describe;
        "ListPodIdentityAssociations" => eks::associations::list;
        "UpdatePodIdentityAssociation" => eks::associations::update;
        "DeletePodIdentityAssociation" => eks::associations::delete;
        "TagResource" => eks::tags::tag;
        "UntagResource" => eks::tags::untag;
        "ListTagsForResource" => eks::tags::list;
    }
    EksAuth {
        "AssumeRoleForPodIdentity" => eks_auth::assume_role_for_pod_identity;
    }
    Iam {
        "CreateUser" => iam::users::create;
        "GetUser" => iam::users::get;
        "ListUsers" => iam::users::list;
        "DeleteUser" => iam::users::delete;
        "TagUser" => iam::users::tag;
        "UntagUser" => iam::users::untag;
        "ListUserTags" => iam::users::list_tags;
        "ListGroupsForUser" => iam::users::list_groups;
        "ListAttachedUserPolicies" => iam::users::list_attached;
        "CreateAccessKey" => iam::users::create_key;
        "ListAccessKeys" => iam::users::list_keys;
        "UpdateAccessKey" => iam::users::update_key;
        "DeleteAccessKey" => iam::users::delete_key;
        "CreateRole" => iam::roles::create;
        "GetRole" => iam::roles::get;
        "ListRoles" => iam::roles::list;
        "UpdateRole" => iam::roles::update;
        "UpdateRoleDescription" => iam::roles::update_description;
        "UpdateAssumeRolePolicy" => iam::roles::update_trust;
        "DeleteRole" => iam::roles::delete;
        "TagRole" => iam::roles::tag;
        "UntagRole" => iam::roles::untag;
        "ListRoleTags" => iam::roles::list_tags;
        "ListAttachedRolePolicies" => iam::roles::list_attached;
        "ListInstanceProfilesForRole" => iam::instance_profiles::list_for_role;
        "CreateInstanceProfile" => iam::instance_profiles::create;
        "GetInstanceProfile" => iam::instance_profiles::get;
        "ListInstanceProfiles" => iam::instance_profiles::list;
        "AddRoleToInstanceProfile" => iam::instance_profiles::add_role;
        "RemoveRoleFromInstanceProfile" => iam::instance_profiles::remove_role;
        "TagInstanceProfile" => iam::instance_profiles::tag;
        "UntagInstanceProfile" => iam::instance_profiles::untag;
        "ListInstanceProfileTags" => iam::instance_profiles::list_tags;
        "DeleteInstanceProfile" => iam::instance_profiles::delete;
        "PutUserPolicy" => iam::policies::put;
        "GetUserPolicy" => iam::policies::get;
        "ListUserPolicies" => iam::policies::list;
        "DeleteUserPolicy" => iam::policies::delete;
        "PutRolePolicy" => iam::policies::put;
        "GetRolePolicy" => iam::policies::get;
        "ListRolePolicies" => iam::policies::list;
        "DeleteRolePolicy" => iam::policies::delete;
        "CreateOpenIDConnectProvider" => iam::oidc_providers::create;
        "GetOpenIDConnectProvider" => iam::oidc_providers::get;
        "ListOpenIDConnectProviders" => iam::oidc_providers::list;
        "DeleteOpenIDConnectProvider" => iam::oidc_providers::delete;
        "UpdateOpenIDConnectProviderThumbprint" => iam::oidc_providers::update_thumbprints;
        "AddClientIDToOpenIDConnectProvider" => iam::oidc_providers::add_client_id;
        "RemoveClientIDFromOpenIDConnectProvider" => iam::oidc_providers::remove_client_id;
        "TagOpenIDConnectProvider" => iam::oidc_providers::tag;
        "UntagOpenIDConnectProvider" => iam::oidc_providers::untag;
        "ListOpenIDConnectProviderTags" => iam::oidc_providers::list_tags;
    }
    Sts {
        "GetCallerIdentity" => sts::get_caller_identity;
        "AssumeRole" => sts::assume_role;
        "GetSessionToken" => sts::get_session_token;
        "GetAccessKeyInfo" => sts::get_access_key_info;
        "GetCallerPolicies" => sts::get_caller_policies;
    }
}

pub(crate) use sts::with_web_identity;

impl<B: Backend> Call<'_, B> {
    /// The message that was admitted.
    pub(crate) fn message<Q: Managed>(&self) -> Result<Q, CallError> {
        let is_it = self.admitted.method == Q::METHOD.path;
        let message = is_it.then(|| Q::decode(self.admitted.message.clone()).ok()).flatten();
        message.ok_or_else(|| {
            tracing::error!(
                rpc.method = self.admitted.method,
                "authn admitted another call than the one that is answered"
            );
            Fault::Internal.into()
        })
    }

    /// The message by which the service of a method answers the one that was admitted.
    pub(crate) async fn asked<Q, A>(&self) -> Result<A, CallError>
    where
        Q: Managed + 'static,
        A: Message + Default + 'static,
    {
        let message: Q = self.message()?;
        let way = Audience::of_method(Q::METHOD.path).and_then(|to| self.backend.way(to));
        let way = way.ok_or(Fault::Internal)?;
        pass(way, self.admitted.actor.clone(), message, self.timeout).await
    }

    /// What that says.
    pub(crate) async fn ask<Q, A, D>(&self) -> Result<D, CallError>
    where
        Q: Managed + 'static,
        A: Message + Default + 'static,
        D: TryFrom<A, Error = CallError>,
    {
        let answer = self.asked::<Q, A>().await?;
        D::try_from(answer).map_err(|error| {
            tracing::error!(%error, rpc.method = self.admitted.method, "an answer of a service cannot be read");
            Fault::Internal.into()
        })
    }

    /// The page that is asked for of a list that is there whole, in the order of its keys.
    pub(crate) fn cut<T>(
        &self,
        items: impl Iterator<Item = T>,
        key: impl Fn(&T) -> String,
    ) -> Result<Page<T>, CallError> {
        let page = self.admitted.page.as_ref().ok_or(Fault::Internal)?;
        let Page { items, next_token } = Page::cut(items, page, key);
        Ok(Page { items, next_token: self.next_token(next_token) })
    }

    /// The token of the next page, for this caller and list alone.
    pub(crate) fn next_token(&self, last: Option<String>) -> Option<String> {
        self.admitted.page_key.as_ref().zip(last).map(|(key, last)| key.seal(&last))
    }
}

#[cfg(test)]
mod tests {
    use lanyard_api::aws_wire::OPERATIONS;

    use super::*;

    #[test]
    fn every_operation_that_is_read_is_answered() {
        let mut read: Vec<_> =
            OPERATIONS.into_iter().flatten().map(|operation| (operation.service, operation.name)).collect();
        let mut answered = ANSWERED.to_vec();
        read.sort_unstable();
        answered.sort_unstable();
        assert_eq!(read, answered);
    }
}
