//! The questions that list: what may a user do, who may do this. Answered from the same snapshots, by the same comparisons, as
//! the decision.

use std::sync::Arc;

use lanyard_api::{
    Scope,
    authz::{Holder, Rules, RulesQuery, WhoCan, WhoCanQuery},
    grpc::MESSAGE_BYTES_MAX,
};
use lanyard_rbac::{
    Grant as RbacGrant, NonResourceRule, PolicyRule, ResourceRule, Subject, SubjectName, User,
};
use time::OffsetDateTime;

use super::{
    Asked, Lacking, REVIEW_GROUPS_MAX, Selected, Sight, TOO_MANY_GROUPS, World,
    standing::{Standing, judge_entry, standing},
};
use crate::{grant::PolicyMatch, snapshot::Entry};

/// Bytes of one answer's holders at the most: half of what a message may have, for doors add the principals of entries.
pub(super) const HOLDERS_BYTES_MAX: usize = MESSAGE_BYTES_MAX / 2;

/// What a holder takes beside its texts: the entry's number, and the heads of fields.
const HOLDER_BYTES: usize = 64;

/// Said where the cluster evaluates RBAC itself.
const RBAC_IS_ELSEWHERE: &str = "the cluster evaluates RBAC itself: here it is listed as last seen";

/// A user's rules in a namespace: of RBAC as it is known here, and of the access policies of what they stand on.
///
/// # Errors
/// What has to be brought into memory first.
pub(crate) fn rules_for<W: World>(
    world: &W,
    query: &RulesQuery,
    now: OffsetDateTime,
) -> Result<Rules, Lacking> {
    if query.user.groups.len() > REVIEW_GROUPS_MAX {
        return Ok(no_rules(TOO_MANY_GROUPS));
    }
    let Some(sight) = Sight::open(world, query.cluster, now)? else {
        return Ok(no_rules("the cluster does not exist"));
    };
    let mut rules = Rules::default();
    match standing(&sight, &query.user, query.grant)? {
        // Everything they ask is denied, so that no rule at all is the whole answer.
        Standing::Refused(refusal) => {
            return Ok(Rules { evaluation_error: Some(refusal.reason().to_string()), ..rules });
        }
        Standing::Granted(grant) => {
            let held =
                grant.live_policies(now).filter_map(|association| association.rules_in(&query.namespace));
            held.for_each(|(held, in_cluster)| {
                held.iter().for_each(|rule| add(&mut rules, rule, in_cluster))
            });
        }
        Standing::Bare => {}
    }
    let user = User { name: &query.user.username, groups: &query.user.groups };
    let rbac = sight.cluster.index.rules_for(user, &query.namespace);
    rules.resource.extend(rbac.resource.into_iter().map(resource_rule));
    rules.non_resource.extend(rbac.non_resource.into_iter().map(non_resource_rule));
    rules.incomplete = rbac.incomplete || !sight.spoke.is_full();
    if rbac.incomplete {
        rules.evaluation_error = Some("a binding names a role that does not exist".to_owned());
    } else if rules.incomplete {
        rules.evaluation_error = Some(RBAC_IS_ELSEWHERE.to_owned());
    }
    Ok(rules)
}

fn no_rules(why: &str) -> Rules {
    Rules { incomplete: true, evaluation_error: Some(why.to_owned()), ..Rules::default() }
}

fn add(rules: &mut Rules, rule: &PolicyRule, in_cluster: bool) {
    if !rule.resources.is_empty() {
        rules.resource.push(PolicyRule { non_resource_urls: Vec::new(), ..rule.clone() });
    }
    if in_cluster && !rule.non_resource_urls.is_empty() {
        let PolicyRule { verbs, non_resource_urls, .. } = rule.clone();
        rules.non_resource.push(PolicyRule { verbs, non_resource_urls, ..PolicyRule::default() });
    }
}

fn resource_rule(rule: ResourceRule) -> PolicyRule {
    let ResourceRule { verbs, api_groups, resources, resource_names } = rule;
    PolicyRule { verbs, api_groups, resources, resource_names, non_resource_urls: Vec::new() }
}

fn non_resource_rule(rule: NonResourceRule) -> PolicyRule {
    let NonResourceRule { verbs, non_resource_urls } = rule;
    PolicyRule { verbs, non_resource_urls, ..PolicyRule::default() }
}

/// Everyone who may: subjects of RBAC as it is known here, then access entries by number, then an armed break-glass identity. Where these
/// are more than an answer has room for, it has the entries before the subjects, of which there may be far more.
///
/// # Errors
/// What has to be brought into memory first.
pub(crate) fn who_can<W: World>(
    world: &W,
    query: &WhoCanQuery,
    now: OffsetDateTime,
) -> Result<WhoCan, Lacking> {
    let Some(sight) = Sight::open(world, query.cluster, now)? else {
        return Ok(WhoCan { incomplete: true, ..WhoCan::default() });
    };
    if super::impersonates_the_proof(&query.attributes) {
        return Ok(WhoCan::default());
    }
    let selected = Selected::of(&query.attributes);
    let asked = Asked::of(&query.attributes, &selected).0;
    let by_rbac = sight.cluster.index.who_can(&asked);
    let has_groups = by_rbac.iter().any(|holder| matches!(holder.subject, SubjectName::Group(_)));
    let mut of_grants = entries_that_may(&sight, &asked)?;
    let sealed = sight.cluster.break_glass().filter(|grant| grant.is_live(now));
    of_grants.extend(sealed.and_then(|grant| grant.allows(&asked, now)).map(|found| Holder {
        subject: "break-glass identity".to_owned(),
        entry: None,
        via: via_policy(&found),
        principal_arn: None,
    }));
    let all = by_rbac.len().saturating_add(of_grants.len());
    let mut room = HOLDERS_BYTES_MAX;
    let of_grants = fitting(of_grants, &mut room);
    let mut holders = fitting(by_rbac.into_iter().map(rbac_holder), &mut room);
    holders.extend(of_grants);
    let left_out = u32::try_from(all.saturating_sub(holders.len())).unwrap_or(u32::MAX);
    Ok(WhoCan { holders, incomplete: has_groups || left_out > 0 || !sight.spoke.is_full(), left_out })
}

/// The first of these, as many as there is room for.
fn fitting(holders: impl IntoIterator<Item = Holder>, room: &mut usize) -> Vec<Holder> {
    let has_room = |holder: &Holder| {
        let bytes = holder.subject.len() + holder.via.len() + HOLDER_BYTES;
        let Some(left) = room.checked_sub(bytes) else { return false };
        *room = left;
        true
    };
    holders.into_iter().take_while(has_room).collect()
}

fn entries_that_may<W: World>(
    sight: &Sight<'_, W>,
    asked: &lanyard_rbac::Attributes<'_>,
) -> Result<Vec<Holder>, Lacking> {
    let mut found: Vec<(&Arc<Entry>, PolicyMatch<'_>)> = sight
        .cluster
        .entries()
        .filter(|entry| sight.spoke.counts_entries() && sight.cluster.counts(entry))
        .filter_map(|entry| entry.grant.allows(asked, sight.now).map(|found| (entry, found)))
        .collect();
    found.sort_by_key(|(entry, _)| entry.grant.id);
    let mut holders = Vec::new();
    let mut lacking: Vec<Scope> = Vec::new();
    for (entry, found) in found {
        match judge_entry(sight, entry) {
            Ok(Ok(())) => holders.push(Holder {
                subject: format!("access entry {}", entry.grant.id),
                entry: Some(entry.grant.id),
                via: via_policy(&found),
                principal_arn: None,
            }),
            Ok(Err(_)) => {}
            Err(lacking @ (Lacking::Keys | Lacking::Newer(_))) => return Err(lacking),
            Err(Lacking::Scopes(scopes)) => lacking
                .extend(scopes.into_iter().filter(|scope| !lacking.contains(scope)).collect::<Vec<_>>()),
        }
    }
    if lacking.is_empty() { Ok(holders) } else { Err(Lacking::Scopes(lacking)) }
}

fn rbac_holder(holder: lanyard_rbac::Holder<'_>) -> Holder {
    let via = match holder.via {
        RbacGrant::SystemMasters => "system:masters, which passes every check".to_owned(),
        RbacGrant::Rule(grant) => {
            format!("{} → {} rule {}", grant.binding(), grant.role(), grant.rule_index().saturating_add(1))
        }
    };
    Holder { subject: Subject::from(holder.subject).to_string(), entry: None, via, principal_arn: None }
}

fn via_policy(found: &PolicyMatch<'_>) -> String {
    format!(
        "access policy {} rule {}, scope {}",
        found.policy.name,
        found.rule.saturating_add(1),
        found.scope
    )
}
