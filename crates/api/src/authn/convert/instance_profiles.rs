//! Instance profiles.

use lanyard_proto::authn::v1 as pb;

use crate::{
    authn::instance_profiles::{CreateInstanceProfile, InstanceProfile, InstanceProfileDetail},
    fault::CallError,
    grpc::{
        codec::{moment, text},
        field,
        mutation::{asked, mutated, pages},
    },
};

impl From<InstanceProfileDetail> for pb::InstanceProfile {
    fn from(detail: InstanceProfileDetail) -> Self {
        let InstanceProfileDetail { profile, iam_role } = detail;
        let InstanceProfile { account, path, name, profile_id, role: _, tags, created_at } = profile;
        Self {
            account: text::write(account),
            path,
            name,
            profile_id,
            role: iam_role.map(Into::into),
            tags,
            created_at: moment::write(created_at),
        }
    }
}

impl TryFrom<pb::InstanceProfile> for InstanceProfileDetail {
    type Error = CallError;

    fn try_from(profile: pb::InstanceProfile) -> Result<Self, CallError> {
        let pb::InstanceProfile { account, path, name, profile_id, role, tags, created_at } = profile;
        let iam_role = role.map(crate::authn::accounts::IamRole::try_from).transpose()?;
        let profile = InstanceProfile {
            account: field::parse("account", &account)?,
            path,
            name,
            profile_id,
            role: iam_role.as_ref().map(|role| role.name.clone()),
            tags,
            created_at: moment::read("created_at", created_at)?,
        };
        Ok(Self { profile, iam_role })
    }
}

mutated! { InstanceProfileDetail = pb::InstanceProfileMutated { profile: message } }

pages! { InstanceProfileDetail = pb::InstanceProfilePage }

asked! {
    CreateInstanceProfile = pb::CreateInstanceProfileRequest {
        account: optional_text, path: plain, name: plain, tags: plain,
    }
}
