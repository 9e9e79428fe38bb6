//! Instance profiles over gRPC.

use lanyard_proto::authn::v1::{self as pb, instance_profiles_client::InstanceProfilesClient};

use super::account;
use crate::{
    authn::{
        accounts::{Named, OfAccount},
        instance_profiles::{
            CreateInstanceProfile, InstanceProfileDetail, InstanceProfiles, UpdateInstanceProfile,
        },
    },
    fault::CallError,
    grpc::{Remote, Wire, call},
    identity::{Actor, Vouched},
    mutation::{Mutated, Mutation, Page, PageQuery},
};

impl<C: Wire> InstanceProfiles for Remote<C> {
    async fn create_instance_profile(
        &self,
        by: Mutation,
        profile: CreateInstanceProfile,
    ) -> Result<Mutated<InstanceProfileDetail>, CallError> {
        call!(self.InstanceProfilesClient::create_instance_profile(self.mutation(by, profile.into())))
    }

    async fn get_instance_profile(
        &self,
        by: Vouched<Actor>,
        profile: Named,
    ) -> Result<InstanceProfileDetail, CallError> {
        let message = pb::GetInstanceProfileRequest { account: account(profile.account), name: profile.name };
        call!(self.InstanceProfilesClient::get_instance_profile(self.actor(by, message)))
    }

    async fn list_instance_profiles(
        &self,
        by: Vouched<Actor>,
        of: OfAccount,
        page: PageQuery,
    ) -> Result<Page<InstanceProfileDetail>, CallError> {
        let OfAccount { account: of, path_prefix } = of;
        let page = Some(page.into());
        let message = pb::ListInstanceProfilesRequest { account: account(of), page, path_prefix };
        call!(self.InstanceProfilesClient::list_instance_profiles(self.actor(by, message)))
    }

    async fn list_instance_profiles_for_role(
        &self,
        by: Vouched<Actor>,
        role: Named,
        page: PageQuery,
    ) -> Result<Page<InstanceProfileDetail>, CallError> {
        let (of, role, page) = (account(role.account), role.name, Some(page.into()));
        let message = pb::ListInstanceProfilesForRoleRequest { account: of, role, page };
        call!(self.InstanceProfilesClient::list_instance_profiles_for_role(self.actor(by, message)))
    }

    async fn update_instance_profile(
        &self,
        by: Mutation,
        profile: Named,
        update: UpdateInstanceProfile,
    ) -> Result<Mutated<InstanceProfileDetail>, CallError> {
        use UpdateInstanceProfile as Update;
        let Named { account: of, name } = profile;
        let account = account(of);
        match update {
            Update::AddRole(role) => change!(self.InstanceProfilesClient::add_role_to_instance_profile(
                by,
                AddRoleToInstanceProfileRequest { account, name, role }
            )),
            Update::RemoveRole(role) => {
                change!(self.InstanceProfilesClient::remove_role_from_instance_profile(
                    by,
                    RemoveRoleFromInstanceProfileRequest { account, name, role }
                ))
            }
            Update::Tag(tags) => change!(self.InstanceProfilesClient::tag_instance_profile(
                by,
                TagInstanceProfileRequest { account, name, tags }
            )),
            Update::Untag(keys) => change!(self.InstanceProfilesClient::untag_instance_profile(
                by,
                UntagInstanceProfileRequest { account, name, tag_keys: keys }
            )),
        }
    }

    async fn delete_instance_profile(
        &self,
        by: Mutation,
        profile: Named,
    ) -> Result<Mutated<InstanceProfileDetail>, CallError> {
        let Named { account: of, name } = profile;
        change!(self.InstanceProfilesClient::delete_instance_profile(
            by,
            DeleteInstanceProfileRequest { account: account(of), name }
        ))
    }
}
