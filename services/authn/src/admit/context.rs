//! The circumstances of a call, as condition keys.

use std::net::IpAddr;

use lanyard_api::authn::oidc_providers::provider_name;
use lanyard_iam::{Ancestor, ConditionKeys};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::denial::Wording;
use crate::local_keys::Holder;
use crate::snapshot::EntryView;

/// Where a call comes from, which region it is for, and when; and in which words its refusal is told.
pub(super) struct Circumstances<'a> {
    pub(super) source_ip: Option<IpAddr>,
    pub(super) region: &'a str,
    pub(super) now: OffsetDateTime,
    /// How a refusal is told.
    pub(super) wording: Wording,
}

/// What is known of the caller and the moment.
pub(super) fn of_caller(holder: &Holder, circumstances: &Circumstances<'_>) -> ConditionKeys {
    let Circumstances { source_ip, region, now, wording: _ } = *circumstances;
    let mut keys = ConditionKeys::new();
    let own = holder.owner.arn(holder.account.account.partition);
    keys.set_principal(&holder.arn(), holder.session.as_ref().map(|_| &own), &holder.owner.id);
    keys.set_direct_call(own.account);
    keys.set_tags("aws:PrincipalTag/", holder.owner.tags());
    if let Some(claims) = &holder.session {
        // A session tag stands in for the role's own of the same key.
        keys.set_tags("aws:PrincipalTag/", &claims.tags);
        // Sessions say how they were made, keys do not (IAM: "aws:MultiFactorAuthPresent"). Here none are made with MFA.
        keys.set("aws:TokenIssueTime", moment(claims.issued_at)).set("aws:MultiFactorAuthPresent", "false");
        if let Some(identity) = &claims.source_identity {
            keys.set("aws:SourceIdentity", identity);
        }
        // A session that an issuer's token made, of whatever cluster; one that was assumed from it descends from a role first
        // (IAM: "aws:FederatedProvider").
        if let [Ancestor::Provider { account, issuer, .. }, ..] = claims.ancestors.as_slice() {
            let (partition, name) = (holder.account.account.partition, provider_name(issuer));
            keys.set("aws:FederatedProvider", format!("arn:{partition}:iam::{account}:oidc-provider/{name}"));
        }
    }
    if let Some(address) = source_ip {
        keys.set("aws:SourceIp", address.to_canonical().to_string());
    }
    keys.set("aws:CurrentTime", moment(now))
        .set("aws:EpochTime", now.unix_timestamp().to_string())
        .set("aws:RequestedRegion", region);
    keys
}

/// What an access entry is (Service Authorization Reference, EKS: keys of the resource `access-entry`). What the request would
/// make of it stands before what it is; whom it names is as stored, for else another spelling would walk around a `Deny`.
pub(super) fn set_entry(keys: &mut ConditionKeys, entry: &EntryView) {
    let principal = entry.principal.to_string();
    let name = if entry.principal.one().is_some() { "eks:principalArn" } else { "lanyard:principals" };
    keys.set(name, principal);
    for (name, value) in [("eks:accessEntryType", entry.kind.as_str()), ("eks:username", &entry.username)] {
        if keys.get(name).is_none() {
            keys.set(name, value);
        }
    }
    if keys.get("eks:kubernetesGroups").is_none() {
        keys.set_all("eks:kubernetesGroups", entry.groups.iter().cloned());
    }
}

fn moment(at: OffsetDateTime) -> String {
    // A moment within four digits of years can always be written.
    at.format(&Rfc3339).unwrap_or_default()
}
