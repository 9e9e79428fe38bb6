//! The circumstances of a call, as condition keys.

use std::collections::BTreeMap;
use std::net::IpAddr;

use lanyard_iam::ConditionKeys;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::local_keys::Holder;

/// Where a call comes from, which region it is for, and when.
pub(super) struct Circumstances<'a> {
    pub(super) source_ip: Option<IpAddr>,
    pub(super) region: &'a str,
    pub(super) now: OffsetDateTime,
}

/// What is known of the caller and the moment.
pub(super) fn of_caller(holder: &Holder, circumstances: &Circumstances<'_>) -> ConditionKeys {
    let Circumstances { source_ip, region, now } = *circumstances;
    let mut keys = ConditionKeys::new();
    let own = holder.owner.arn(holder.account.account.partition);
    keys.set_principal(&holder.arn(), holder.session.as_ref().map(|_| &own), &holder.owner.id);
    set_tags(&mut keys, "aws:PrincipalTag/", holder.owner.tags());
    if let Some(claims) = &holder.session {
        // A session tag stands in for the role's own of the same key.
        set_tags(&mut keys, "aws:PrincipalTag/", &claims.tags);
        keys.set("aws:TokenIssueTime", moment(claims.issued_at));
        if let Some(identity) = &claims.source_identity {
            keys.set("aws:SourceIdentity", identity);
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

/// The tags of the resource.
pub(super) fn set_resource_tags(keys: &mut ConditionKeys, tags: &BTreeMap<String, String>) {
    set_tags(keys, "aws:ResourceTag/", tags);
}

fn set_tags(keys: &mut ConditionKeys, prefix: &str, tags: &BTreeMap<String, String>) {
    for (key, value) in tags {
        keys.set(&format!("{prefix}{key}"), value);
    }
}

fn moment(at: OffsetDateTime) -> String {
    // A moment within four digits of years can always be written.
    at.format(&Rfc3339).unwrap_or_default()
}
