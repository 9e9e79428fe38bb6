//! Identity provider configurations.

use lanyard_api::{CallError, Mutated, Page, mapping::IdentityProviderConfigDetail};
use lanyard_proto::mapping::v1 as pb;
use serde_json::{Map, Value, json};

use super::{page, updates};
use crate::{answer::Answer, backend::Backend, operations::Call};

/// The one kind of configuration.
const OIDC: &str = "oidc";

type Changed = Mutated<IdentityProviderConfigDetail>;

pub(in crate::operations) async fn associate<B: Backend>(call: &Call<'_, B>) -> Result<Answer, CallError> {
    let made: Changed = call
        .ask::<pb::AssociateIdentityProviderConfigRequest, pb::IdentityProviderConfigMutated, _>()
        .await?;
    Ok(Answer::Rest(json!({ "update": updates::of(&made)?, "tags": made.value.config.settings.tags })))
}

pub(in crate::operations) async fn disassociate<B: Backend>(call: &Call<'_, B>) -> Result<Answer, CallError> {
    let gone: Changed = call
        .ask::<pb::DisassociateIdentityProviderConfigRequest, pb::IdentityProviderConfigMutated, _>()
        .await?;
    Ok(Answer::Rest(json!({ "update": updates::of(&gone)? })))
}

pub(in crate::operations) async fn describe<B: Backend>(call: &Call<'_, B>) -> Result<Answer, CallError> {
    let detail = call
        .ask::<pb::DescribeIdentityProviderConfigRequest, pb::IdentityProviderConfigDetail, IdentityProviderConfigDetail>()
        .await?;
    let settings = &detail.config.settings;
    let mut shape = json!({
        "identityProviderConfigName": settings.name,
        "identityProviderConfigArn": detail.arn,
        "clusterName": call.found.label("name"),
        "issuerUrl": settings.issuer_url,
        "clientId": settings.client_id,
        "requiredClaims": settings.required_claims,
        "tags": settings.tags,
        "status": "ACTIVE",
    });
    let given = [
        ("usernameClaim", &settings.username_claim),
        ("usernamePrefix", &settings.username_prefix),
        ("groupsClaim", &settings.groups_claim),
        ("groupsPrefix", &settings.groups_prefix),
    ];
    for (name, value) in given {
        if let (Some(value), Value::Object(members)) = (value, &mut shape) {
            members.insert(name.to_owned(), Value::from(value.as_str()));
        }
    }
    Ok(Answer::Rest(json!({ "identityProviderConfig": { OIDC: shape } })))
}

pub(in crate::operations) async fn list<B: Backend>(call: &Call<'_, B>) -> Result<Answer, CallError> {
    let Page { items, next_token } = call
        .ask::<pb::ListIdentityProviderConfigsRequest, pb::IdentityProviderConfigPage, Page<IdentityProviderConfigDetail>>()
        .await?;
    let named =
        |detail: &IdentityProviderConfigDetail| json!({ "type": OIDC, "name": detail.config.settings.name });
    let items: Vec<Value> = items.iter().map(named).collect();
    let page: Map<String, Value> = page("identityProviderConfigs", items, call.next_token(next_token));
    Ok(Answer::Rest(page.into()))
}
