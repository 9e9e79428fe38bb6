//! Inline policies of users and roles.

use lanyard_api::{
    CallError, Mutated,
    authn::accounts::{InlinePolicy, PolicyOwner},
};
use lanyard_proto::authn::v1 as pb;

use super::{Answered, cut, document, done, text};
use crate::{answer::Answer, backend::Backend, operations::Call};

pub(in crate::operations) async fn put<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::PutPolicyRequest, pb::InlinePolicyMutated, Mutated<InlinePolicy>>().await?;
    Ok(done())
}

pub(in crate::operations) async fn get<B: Backend>(call: &Call<'_, B>) -> Answered {
    let policy: InlinePolicy = call.ask::<pb::GetPolicyRequest, pb::InlinePolicy, _>().await?;
    let owner = match &policy.owner {
        PolicyOwner::User(name) => ("UserName", text(name)),
        PolicyOwner::Role(name) => ("RoleName", text(name)),
        // IAM names none so; this wire asks for none.
        PolicyOwner::Principal(arn) => ("PrincipalArn", text(arn.as_str())),
    };
    Ok(Answer::Query(vec![
        owner,
        ("PolicyName", text(&policy.name)),
        ("PolicyDocument", document(&policy.document)),
    ]))
}

/// An owner's policies.
struct Policies(Vec<InlinePolicy>);

impl TryFrom<pb::ListPoliciesResponse> for Policies {
    type Error = CallError;

    fn try_from(answer: pb::ListPoliciesResponse) -> Result<Self, CallError> {
        answer.policies.into_iter().map(InlinePolicy::try_from).collect::<Result<_, _>>().map(Self)
    }
}

pub(in crate::operations) async fn list<B: Backend>(call: &Call<'_, B>) -> Answered {
    let Policies(policies) = call.ask::<pb::ListPoliciesRequest, pb::ListPoliciesResponse, _>().await?;
    cut(call, "PolicyNames", policies.iter(), |policy| policy.name.clone(), |policy| text(&policy.name))
}

pub(in crate::operations) async fn delete<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::DeletePolicyRequest, pb::InlinePolicyMutated, Mutated<InlinePolicy>>().await?;
    Ok(done())
}
