use std::sync::Arc;

use lanyard_api::{
    ClusterUid, EntryId, IdentityProviderConfigId, Revision, TrustedAccount,
    aws_auth::AwsAuth,
    mapping::{AccessEntry, AuthorizerMode, EntryType, IdentityProviderConfig, IdentityProviderSettings},
};
use lanyard_iam::{AccessKeyId, AccountId, CanonicalArn, Partition};
use proptest::prelude::*;
use time::Duration;

use super::*;
use crate::snapshot::Parts;

const OWN: &str = "111122223333";
const OTHER: &str = "444455556666";
const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

fn cluster(mode: AuthenticationMode) -> Cluster {
    let trusted =
        |authority: Authority, account: &str| TrustedAccount { authority, account: account.parse().unwrap() };
    Cluster {
        uid: ClusterUid(uuid::Uuid::nil()),
        id: "dev".parse().unwrap(),
        name: String::from("dev"),
        partition: Partition::Aws,
        account: OWN.parse().unwrap(),
        region: String::from("us-west-2"),
        endpoint: None,
        certificate_authority: None,
        authentication_mode: mode,
        authorizer_mode: AuthorizerMode::WebhookFirst,
        trusted_accounts: vec![trusted(Authority::Local, OWN), trusted(Authority::Aws, OTHER)],
        audiences: vec![],
        token_cache_seconds: 10,
        created_by: String::new(),
        tags: Default::default(),
        created_at: NOW,
    }
}

fn entry(arn: &str, principal_id: Option<&str>, username: &str) -> AccessEntry {
    let principal_arn: EntryPrincipal = arn.parse().unwrap();
    let authority = if principal_arn.account().as_str() == OWN { Authority::Local } else { Authority::Aws };
    AccessEntry {
        id: EntryId::random(),
        cluster: ClusterUid(uuid::Uuid::nil()),
        authority,
        principal_arn,
        principal_id: principal_id.map(str::to_owned),
        entry_type: EntryType::Standard,
        username: username.to_owned(),
        groups: vec![String::from("devs")],
        tags: Default::default(),
        ends_at: None,
        pin_until: None,
        created_at: NOW,
        modified_at: NOW,
    }
}

fn snapshot(entries: Vec<AccessEntry>, aws_auth: &str, nodes: &[Node]) -> ClusterSnapshot {
    let in_force =
        (!aws_auth.is_empty()).then(|| Arc::new(InForce::compile(3, AwsAuth::check(aws_auth).auth)));
    ClusterSnapshot::compile(Parts {
        revision: Revision(7),
        entries: entries.into_iter().map(|entry| Arc::new(Entry::compile(entry).unwrap())).collect(),
        aws_auth: in_force,
        nodes: nodes.iter().collect(),
        ..Parts::default()
    })
}

/// Somebody who knocks.
struct Who {
    authority: Authority,
    arn: PrincipalArn,
    canonical: CanonicalArn,
    principal_id: Option<String>,
    key: Option<AccessKeyId>,
    ancestors: Vec<String>,
}

impl Who {
    fn new(arn: &str, principal_id: &str) -> Self {
        let arn: PrincipalArn = arn.parse().unwrap();
        Self {
            authority: if arn.account.as_str() == OWN { Authority::Local } else { Authority::Aws },
            canonical: key::known_as(&arn),
            arn,
            principal_id: Some(principal_id.to_owned()),
            key: Some("LKIAOWNOWNOWNOWNOWNO".parse().unwrap()),
            ancestors: vec![],
        }
    }

    fn knock(&self) -> Knock<'_> {
        Knock {
            access_key_id: self.key.as_ref(),
            ancestors: &self.ancestors,
            ..Knock::supposed(&self.authority, &self.arn, &self.canonical, self.principal_id.as_deref())
        }
    }

    fn at(&self, mode: AuthenticationMode, snapshot: &ClusterSnapshot) -> Result<Badge, Refused> {
        World::new(&cluster(mode), snapshot, NOW).resolve(&self.knock())
    }
}

fn code(result: Result<Badge, Refused>) -> &'static str {
    result.map_or_else(|refused| refused.code, |_| "mapped")
}

const BOTH: AuthenticationMode = AuthenticationMode::ApiAndConfigMap;
const ROLE: &str = "arn:aws:iam::111122223333:role/team/dev";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/dev/ana";

#[test]
fn an_entry_maps_by_the_unique_id_where_it_is_known_and_else_by_name() {
    let cases = [
        (Some("AROADEV"), SESSION, "AROADEV", Ok(MatchedBy::PrincipalId)),
        (Some("AROADEV"), SESSION, "AROAOTHER", Err(STALE_ENTRY)),
        (None, SESSION, "AROAOTHER", Ok(MatchedBy::Arn)),
        (None, "arn:aws:sts::111122223333:assumed-role/DEV/ana", "AROAX", Ok(MatchedBy::Arn)),
        (None, "arn:aws:sts::111122223333:assumed-role/ops/ana", "AROAX", Err(UNMAPPED)),
        (None, "arn:aws:iam::111122223333:user/dev", "AIDAX", Err(UNMAPPED)),
        (None, "arn:aws:sts::444455556666:assumed-role/dev/ana", "AROAX", Err(UNMAPPED)),
    ];
    for (bound, arn, id, wanted) in cases {
        let world = snapshot(vec![entry(ROLE, bound, "dev:{{SessionName}}")], "", &[]);
        let found = Who::new(arn, id).at(BOTH, &world);
        let got = found.as_ref().map(|badge| badge.matched_by).map_err(|refused| refused.code);
        assert_eq!(got, wanted, "{bound:?} {arn} {id}");
        if let Ok(badge) = found {
            assert_eq!(
                (badge.username.as_str(), badge.groups.as_slice()),
                ("dev:ana", &[String::from("devs")][..])
            );
            assert_eq!((badge.grant.kind, badge.grant.revision), (GrantKind::AccessEntry, Revision(7)));
        }
    }
}

#[test]
fn immunity_31_one_arn_from_three_authorities_resolves_for_the_trusted_one_alone() {
    let mut of_aws = entry("arn:aws:iam::444455556666:role/dev", None, "ok");
    of_aws.authority = Authority::Aws;
    let world = snapshot(vec![of_aws], "", &[]);
    for (authority, wanted) in [
        (Authority::Aws, "mapped"),
        (Authority::Local, UNTRUSTED_ACCOUNT),
        (Authority::Sts(String::from("lab")), UNTRUSTED_ACCOUNT),
    ] {
        let who = Who { authority, ..Who::new("arn:aws:sts::444455556666:assumed-role/dev/ana", "AROAX") };
        assert_eq!(code(who.at(BOTH, &world)), wanted, "{:?}", who.authority);
    }
    let stranger =
        Who { authority: Authority::Aws, ..Who::new("arn:aws:sts::777788889999:assumed-role/dev/a", "X") };
    assert_eq!(code(stranger.at(BOTH, &world)), UNTRUSTED_ACCOUNT);
    let china = Who::new("arn:aws-cn:sts::444455556666:assumed-role/dev/a", "X");
    assert_eq!(code(china.at(BOTH, &world)), UNTRUSTED_ACCOUNT);
}

const MAP: &str = "
mapRoles: |
  - rolearn: arn:aws:iam::111122223333:role/Dev
    username: from-roles
    groups: [a, 'acct-{{AccountID}}']
  - rolearn: arn:aws:iam::111122223333:role/caller
    username: '{{SessionName}}'
  - rolearn: arn:aws:iam::111122223333:role/node
    username: system:node:{{EC2PrivateDNSName}}
    groups: [system:nodes]
  - rolearn: arn:aws:iam::111122223333:role/edge
    username: system:node:{{SessionName}}
    groups: [system:nodes]
mapUsers: |
  - userarn: arn:aws:iam::111122223333:role/dev
    username: from-users
  - userarn: arn:aws:iam::111122223333:user/team/ana
    username: ana
mapAccounts: '[\"444455556666\"]'
";

#[test]
fn the_mode_says_what_counts_and_an_entry_wins_over_aws_auth() {
    use AuthenticationMode::{Api, ApiAndConfigMap, ConfigMap};
    let both = snapshot(vec![entry(ROLE, None, "from-entry")], MAP, &[]);
    let only_map = snapshot(vec![], MAP, &[]);
    let who = Who::new(SESSION, "AROAX");
    let name =
        |mode, world: &ClusterSnapshot| who.at(mode, world).map(|badge| badge.username).map_err(|r| r.code);
    assert_eq!(name(Api, &both), Ok(String::from("from-entry")));
    assert_eq!(name(ApiAndConfigMap, &both), Ok(String::from("from-entry")));
    assert_eq!(name(ConfigMap, &both), Ok(String::from("from-roles")));
    assert_eq!(name(Api, &only_map), Err(UNMAPPED));
    assert_eq!(name(ApiAndConfigMap, &only_map), Ok(String::from("from-roles")));
}

#[test]
fn who_is_not_mapped_is_told_of_what_counts_in_the_mode_alone() {
    use AuthenticationMode::{Api, ApiAndConfigMap, ConfigMap};
    let nobody = snapshot(vec![], "", &[]);
    for (mode, entry, line) in [(ConfigMap, false, true), (ApiAndConfigMap, true, true), (Api, true, false)] {
        let refused = Who::new(SESSION, "AROAX").at(mode, &nobody).unwrap_err();
        let told = (refused.message.contains("access entry"), refused.message.contains("aws-auth"));
        assert_eq!((refused.code, told), (UNMAPPED, (entry, line)), "{}", refused.message);
    }
}

#[test]
fn aws_auth_asks_roles_then_users_then_accounts() {
    let world = snapshot(vec![], MAP, &[]);
    let cases = [
        (SESSION, "from-roles", vec!["a", "acct-111122223333"], MatchedBy::AwsAuthArn),
        ("arn:aws:iam::111122223333:user/Team/ana", "ana", vec![], MatchedBy::AwsAuthArn),
        (
            "arn:aws:sts::444455556666:assumed-role/any/s",
            "arn:aws:iam::444455556666:role/any",
            vec![],
            MatchedBy::AwsAuthAccount,
        ),
    ];
    for (arn, username, groups, matched_by) in cases {
        let badge = Who::new(arn, "X").at(BOTH, &world).unwrap();
        assert_eq!(
            (badge.username.as_str(), badge.groups, badge.matched_by),
            (username, groups.iter().map(ToString::to_string).collect(), matched_by),
            "{arn}"
        );
        assert!(badge.grant.name.starts_with("aws-auth version 3, map"), "{}", badge.grant.name);
    }
    assert_eq!(code(Who::new("arn:aws:iam::111122223333:user/ana", "X").at(BOTH, &world)), UNMAPPED);
}

#[test]
fn immunity_16_an_entry_that_ended_does_not_count_from_its_end_on_and_nothing_behind_it_does() {
    for (end, wanted) in
        [(NOW + Duration::SECOND, "mapped"), (NOW, ENTRY_ENDED), (NOW - Duration::days(1), ENTRY_ENDED)]
    {
        let ending = AccessEntry { ends_at: Some(end), ..entry(ROLE, None, "from-entry") };
        assert_eq!(code(Who::new(SESSION, "X").at(BOTH, &snapshot(vec![ending], MAP, &[]))), wanted, "{end}");
    }
}

#[test]
fn an_entry_that_ended_is_refused_with_its_end_as_it_can_be_given_back() {
    let ended = AccessEntry { ends_at: Some(NOW), ..entry(ROLE, None, "from-entry") };
    let unpinned = |until| AccessEntry { pin_until: Some(until), ..entry(ROLE, None, "from-entry") };
    let refusals = [
        (ended, ENTRY_ENDED, "ended at 1970-01-01T00:00:00Z: "),
        (unpinned(NOW), ENTRY_ENDED, "until 1970-01-01T00:00:00Z: "),
        (unpinned(NOW + Duration::SECOND), UNPINNED_ENTRY, "until 1970-01-01T00:00:01Z: "),
    ];
    for (entry, code, says) in refusals {
        let refused = Who::new(SESSION, "X").at(BOTH, &snapshot(vec![entry], "", &[])).unwrap_err();
        assert_eq!(refused.code, code);
        assert!(refused.message.contains(says), "{}", refused.message);
    }
}

#[test]
fn a_stale_entry_does_not_let_aws_auth_speak_for_it() {
    let world = snapshot(vec![entry(ROLE, Some("AROAOLD"), "from-entry")], MAP, &[]);
    assert_eq!(code(Who::new(SESSION, "AROANEW").at(BOTH, &world)), STALE_ENTRY);
}

#[test]
fn immunity_44_a_session_name_never_becomes_anothers_username() {
    let user = "arn:aws:iam::111122223333:user/bob";
    let entries = || {
        vec![
            entry(ROLE, None, "arn:aws:sts::111122223333:assumed-role/admin/{{SessionName}}"),
            entry("arn:aws:iam::111122223333:role/ops", None, "ops:{{SessionName}}"),
            entry("arn:aws:iam::111122223333:role/chief", None, "ops:chief"),
            entry(user, None, user),
        ]
    };
    let with_map = snapshot(entries(), MAP, &[]);
    let cases = [
        ("arn:aws:sts::111122223333:assumed-role/dev/ana", TEMPLATE_REFUSED),
        ("arn:aws:sts::111122223333:assumed-role/ops/ana", "mapped"),
        ("arn:aws:sts::111122223333:assumed-role/ops/chief", TEMPLATE_REFUSED),
        ("arn:aws:sts::111122223333:assumed-role/chief/chief", "mapped"),
        ("arn:aws:sts::111122223333:assumed-role/caller/zoe", "mapped"),
        ("arn:aws:sts::111122223333:assumed-role/caller/ana", TEMPLATE_REFUSED),
        ("arn:aws:sts::111122223333:assumed-role/caller/from-roles", TEMPLATE_REFUSED),
    ];
    for (arn, wanted) in cases {
        assert_eq!(code(Who::new(arn, "X").at(BOTH, &with_map)), wanted, "{arn}");
    }
    let own = entry(
        ROLE,
        None,
        &crate::rules::entry::default_username(EntryType::Standard, &ROLE.parse().unwrap()),
    );
    let found = Who::new("arn:aws:sts::111122223333:assumed-role/dev/ana@corp", "X")
        .at(BOTH, &snapshot(vec![own], "", &[]));
    assert_eq!(found.unwrap().username, "arn:aws:sts::111122223333:assumed-role/dev/ana-corp");
}

#[test]
fn immunity_44_beside_an_issuer_without_a_prefix_no_session_takes_a_name_that_may_be_anybodys() {
    let issuer = |claim: &str, prefix: &str| IdentityProviderConfig {
        id: IdentityProviderConfigId(uuid::Uuid::nil()),
        cluster: ClusterUid(uuid::Uuid::nil()),
        settings: IdentityProviderSettings {
            name: String::from("corp"),
            issuer_url: String::from("https://corp.example"),
            client_id: String::from("kubernetes"),
            username_claim: Some(claim.to_owned()),
            username_prefix: Some(prefix.to_owned()),
            groups_claim: None,
            groups_prefix: None,
            required_claims: Default::default(),
            shared_audience: false,
            ca_bundle_pem: None,
            email_verified_may_be_absent: false,
            tags: Default::default(),
        },
        created_at: NOW,
    };
    let world = |entries: Vec<AccessEntry>, aws_auth: &str, (claim, prefix): (&str, &str)| {
        ClusterSnapshot::compile(Parts {
            entries: entries.into_iter().map(|entry| Arc::new(Entry::compile(entry).unwrap())).collect(),
            aws_auth: (!aws_auth.is_empty())
                .then(|| Arc::new(InForce::compile(3, AwsAuth::check(aws_auth).auth))),
            identity_providers: vec![Arc::new(issuer(claim, prefix))],
            ..Parts::default()
        })
    };
    let cto = Who::new("arn:aws:sts::111122223333:assumed-role/dev/cto@corp.example", "X");
    let default = crate::rules::entry::default_username(EntryType::Standard, &ROLE.parse().unwrap());
    for (username, wanted) in [
        ("{{SessionNameRaw}}", TEMPLATE_REFUSED),
        ("{{SessionName}}", TEMPLATE_REFUSED),
        ("dev-{{SessionNameRaw}}", TEMPLATE_REFUSED),
        ("dev:{{SessionNameRaw}}", "mapped"),
        ("{{PrincipalName}}:{{SessionName}}", "mapped"),
        ("{{PrincipalName}}", "mapped"),
        ("cto", "mapped"),
        (default.as_str(), "mapped"),
    ] {
        let map = format!(
            "mapRoles: |\n  - rolearn: arn:aws:iam::111122223333:role/dev\n    username: '{username}'\n"
        );
        let of_entry = cto.at(BOTH, &world(vec![entry(ROLE, None, username)], "", ("sub", "-")));
        assert_eq!(code(of_entry.clone()), wanted, "{username}");
        assert_eq!(code(cto.at(BOTH, &world(vec![], &map, ("sub", "-")))), wanted, "{username} in aws-auth");
        // The issuer's people are set apart by a prefix.
        assert_eq!(code(cto.at(BOTH, &world(vec![], &map, ("sub", "corp:")))), "mapped", "{username}");
        if let Err(refused) = of_entry {
            let told = ["`corp`", username, "a text of its own"];
            assert!(told.iter().all(|part| refused.message.contains(part)), "{}", refused.message);
        }
    }
    let under = entry(ROLE, None, "corp:{{SessionName}}");
    let refused = cto.at(BOTH, &world(vec![under], "", ("sub", "corp:"))).unwrap_err();
    assert_eq!(refused.code, TEMPLATE_REFUSED);
    for part in ["`corp:cto-corp.example`", "the prefix `corp:`", "configuration `corp`", "another username"]
    {
        assert!(refused.message.contains(part), "{}", refused.message);
    }
    // An address has an `@`, which no session name has that is written with each as a `-`.
    for (username, wanted) in [
        ("{{SessionName}}", "mapped"),
        ("dev-{{SessionName}}", "mapped"),
        ("{{SessionNameRaw}}", TEMPLATE_REFUSED),
        ("{{SessionName}}@corp.example", TEMPLATE_REFUSED),
    ] {
        let world = world(vec![entry(ROLE, None, username)], "", ("email", "-"));
        assert_eq!(code(cto.at(BOTH, &world)), wanted, "{username}");
    }
    // Whoever has another name by now than the one that it was written for: nobody keeps that one from the issuer's people.
    let written = entry("arn:aws:iam::111122223333:user/ana", Some("AIDAANA"), "{{PrincipalName}}");
    for (name, prefix, wanted) in
        [("ana", "-", "mapped"), ("bob", "-", TEMPLATE_REFUSED), ("bob", "corp:", "mapped")]
    {
        let renamed = Who::new(&format!("arn:aws:iam::111122223333:user/{name}"), "AIDAANA");
        let world = world(vec![written.clone()], "", ("sub", prefix));
        assert_eq!(code(renamed.at(BOTH, &world)), wanted, "{name} {prefix}");
    }
    // Of several nobody knows whose name it will be.
    let anybody = entry("arn:aws:iam::111122223333:user/*", None, "{{PrincipalName}}");
    let ana = Who::new("arn:aws:iam::111122223333:user/ana", "X");
    assert_eq!(code(ana.at(BOTH, &world(vec![anybody.clone()], "", ("sub", "-")))), TEMPLATE_REFUSED);
    assert_eq!(code(ana.at(BOTH, &world(vec![anybody], "", ("sub", "corp:")))), "mapped");
}

#[test]
fn immunity_09_what_a_template_becomes_is_never_a_reserved_name() {
    // Written past the rules, as by an older version: the second look refuses what the first should have.
    for username in
        ["{{SessionNameRaw}}", "{{AccountID}}", "system:{{SessionName}}", "lanyard:{{SessionName}}"]
    {
        let world = snapshot(vec![entry(ROLE, None, username)], "", &[]);
        let found = Who::new(SESSION, "X").at(BOTH, &world);
        let reserved = username.starts_with("system:") || username.starts_with("lanyard:");
        assert_eq!(code(found), if reserved { RESERVED_USERNAME } else { "mapped" }, "{username}");
    }
    let no_session =
        snapshot(vec![entry("arn:aws:iam::111122223333:user/ana", None, "x:{{SessionName}}")], "", &[]);
    assert_eq!(
        code(Who::new("arn:aws:iam::111122223333:user/ana", "X").at(BOTH, &no_session)),
        TEMPLATE_REFUSED
    );
}

#[test]
fn who_can_be_named_by_a_template_is_told_without_a_knock() {
    let user = "arn:aws:iam::111122223333:user/team/ana";
    let cases = [
        (user, "ana", true),
        (user, ROLE, true),
        (user, "ops:{{SessionName}}", false),
        (user, "arn:aws:iam::111122223333:user/team/{{PrincipalName}}", true),
        (user, "arn:aws:iam::111122223333:user/{{PrincipalName}}", false),
        (user, "arn:aws:iam::{{AccountID}}:role/dev", false),
        (user, "{{PrincipalName}}:x", true),
        (ROLE, "ops:{{SessionName}}", true),
        (ROLE, "system:{{SessionName}}", false),
        (ROLE, "arn:aws:sts::111122223333:assumed-role/dev/{{SessionName}}", true),
        (ROLE, "arn:aws:sts::111122223333:assumed-role/admin/{{SessionName}}", false),
        (ROLE, "arn:{{SessionName}}", false),
    ];
    for (principal, username, named) in cases {
        let template = Template::parse(username).unwrap();
        assert_eq!(can_be_named(&template, &principal.parse().unwrap()), named, "{principal} {username}");
        let arn = if principal == ROLE { SESSION } else { principal };
        let found = Who::new(arn, "X").at(BOTH, &snapshot(vec![entry(principal, None, username)], "", &[]));
        assert_eq!(found.is_ok(), named, "{principal} {username}");
    }
}

fn node(instance: &str, name: &str, role: &str, key: Option<&str>) -> Node {
    Node {
        cluster: ClusterUid(uuid::Uuid::nil()),
        instance_id: instance.to_owned(),
        private_dns_name: name.to_owned(),
        role_arn: Some(format!("arn:aws:iam::{OWN}:role/{role}")),
        access_key_id: key.map(|key| key.parse().unwrap()),
    }
}

#[test]
fn immunity_44_a_nodes_name_is_the_one_bound_to_its_session_role_and_key() {
    let (mine, other) = ("LKIAOWNOWNOWNOWNOWNO", "LKIAOTHEROTHEROTHERO");
    let nodes = [
        node("i-01234567", "ip-10-0-0-1.ec2.internal", "node", None),
        node("i-89abcdef", "ip-10-0-0-2.ec2.internal", "othernode", None),
        node("edge-1", "edge-1", "edge", Some(mine)),
        node("edge-2", "edge-2", "edge", Some(other)),
        node("hybrid-1", "hybrid-1.site", "hybrid", None),
    ];
    let mut hybrid = entry("arn:aws:iam::111122223333:role/hybrid", None, "system:node:{{SessionName}}");
    hybrid.entry_type = EntryType::HybridLinux;
    let world = snapshot(vec![hybrid], MAP, &nodes);
    let cases = [
        ("node", "i-01234567", "system:node:ip-10-0-0-1.ec2.internal"),
        ("node", "i-89abcdef", UNKNOWN_NODE),
        ("node", "i-00000000", UNKNOWN_NODE),
        ("node", "edge-1", UNKNOWN_NODE),
        ("edge", "edge-1", "system:node:edge-1"),
        ("edge", "edge-2", UNKNOWN_NODE),
        ("edge", "i-01234567", UNKNOWN_NODE),
        ("hybrid", "hybrid-1", "system:node:hybrid-1.site"),
        ("hybrid", "edge-1", UNKNOWN_NODE),
        ("hybrid", "admin", UNKNOWN_NODE),
    ];
    for (role, session, wanted) in cases {
        let mut who = Who::new(&format!("arn:aws:sts::{OWN}:assumed-role/{role}/{session}"), "X");
        who.key = Some("LSIASESSIONSESSIONSE".parse().unwrap());
        who.ancestors = vec![format!("key/{mine}")];
        let got = who.at(BOTH, &world).map_or_else(|refused| refused.code.to_owned(), |badge| badge.username);
        assert_eq!(got, wanted, "{role} {session}");
    }
}

#[test]
fn an_entry_for_one_goes_before_one_for_several_and_both_before_aws_auth() {
    let role = |name: &str| format!("arn:aws:iam::{OTHER}:role/{name}");
    let (lead, dev, sso) = (role("dev-lead"), role("dev-1"), role("AWSReservedSSO_Ops_0123456789abcdef"));
    let entries = vec![
        entry(&role("dev-*"), None, "dev:{{PrincipalName}}:{{SessionName}}"),
        entry(&lead, None, "lead"),
        entry(&format!("arn:aws:sso::{OTHER}:permission-set/Ops"), None, "ops:{{SessionName}}"),
    ];
    let map = serde_json::json!({ "mapRoles": [
        {"rolearn": lead, "username": "old"}, {"rolearn": dev, "username": "old"}, {"rolearn": sso, "username": "old"},
        {"rolearn": role("other"), "username": "old"},
    ] });
    let world = snapshot(entries, &map.to_string(), &[]);
    let session = |role: &str| Who::new(&format!("arn:aws:sts::{OTHER}:assumed-role/{role}/ana@x"), "AROAX");
    for (who, wanted, matched) in [
        ("dev-lead", "lead", MatchedBy::Arn),
        ("dev-1", "dev:dev-1:ana-x", MatchedBy::Pattern),
        ("AWSReservedSSO_Ops_0123456789abcdef", "ops:ana-x", MatchedBy::PermissionSet),
        ("other", "old", MatchedBy::AwsAuthArn),
    ] {
        let badge = session(who).at(BOTH, &world).unwrap();
        assert_eq!((&*badge.username, badge.matched_by), (wanted, matched), "{who}");
        let by_map = session(who).at(AuthenticationMode::ConfigMap, &world).unwrap();
        assert_eq!(by_map.username, "old", "{who}");
    }
    // Where an entry for several has ended, what stands behind it does not count either.
    let mut ended = entry(&role("dev-*"), None, "dev");
    ended.ends_at = Some(NOW);
    let world = snapshot(vec![ended], &map.to_string(), &[]);
    assert_eq!(session("dev-1").at(BOTH, &world).unwrap_err().code, ENTRY_ENDED);
}

#[test]
fn immunity_43_an_entry_that_waits_to_be_pinned_lets_in_nobody_and_a_pinned_one_no_other() {
    let set = format!("arn:aws:sso::{OTHER}:permission-set/Ops");
    let role = format!("arn:aws:sts::{OTHER}:assumed-role/AWSReservedSSO_Ops_0123456789abcdef/ana");
    let at = |pin_until, bound: Option<&str>| {
        let waiting = AccessEntry { pin_until, ..entry(&set, bound, "ops") };
        let world = snapshot(vec![waiting], "{}", &[]);
        Who::new(&role, "AROAX").at(BOTH, &world).map_err(|refused| (refused.code, refused.asks))
    };
    let later = Some(NOW + Duration::HOUR);
    assert_eq!(at(later, None).unwrap_err(), (UNPINNED_ENTRY, Some(Asks::Pin)));
    assert_eq!(at(Some(NOW), None).unwrap_err(), (ENTRY_ENDED, None));
    assert_eq!(at(None, Some("AROAY")).unwrap_err(), (STALE_ENTRY, None));
    assert_eq!(at(None, Some("AROAX")).unwrap().matched_by, MatchedBy::PrincipalId);
    // A question about an ARN that nobody proved pins nothing, and is answered as for whoever it will be.
    let world = snapshot(vec![AccessEntry { pin_until: later, ..entry(&set, None, "ops") }], "{}", &[]);
    let supposed = Who { principal_id: None, ..Who::new(&role, "AROAX") };
    assert_eq!(supposed.at(BOTH, &world).unwrap().username, "ops");
}

// ---- The same rules, written as slowly and plainly as they are told, on random worlds.

#[derive(Debug, Clone)]
struct Line {
    arn: String,
    username: String,
}

fn naively(
    mode: AuthenticationMode,
    entries: &[AccessEntry],
    lines: &[Line],
    accounts: &[AccountId],
    who: &Who,
) -> String {
    let trusted = (who.authority == Authority::Local && who.arn.account.as_str() == OWN)
        || (who.authority == Authority::Aws && who.arn.account.as_str() == OTHER);
    if !trusted {
        return UNTRUSTED_ACCOUNT.to_owned();
    }
    let same = |entry: &&AccessEntry| {
        entry.authority == who.authority && entry.principal_arn.means(who.canonical.as_str())
    };
    let alone = |entry: &&AccessEntry| entry.principal_arn.one().is_some();
    if mode != AuthenticationMode::ConfigMap {
        let by_id = entries.iter().filter(alone).find(|e| {
            e.authority == who.authority && e.principal_id.is_some() && e.principal_id == who.principal_id
        });
        let found = match by_id {
            Some(entry) => Some(entry),
            None => match entries.iter().filter(alone).find(same).or_else(|| entries.iter().find(same)) {
                Some(entry) if entry.principal_id.is_some() && entry.principal_id != who.principal_id => {
                    return STALE_ENTRY.to_owned();
                }
                other => other,
            },
        };
        if let Some(entry) = found {
            return match entry.ends_at {
                Some(end) if end <= NOW => ENTRY_ENDED.to_owned(),
                _ => entry.username.clone(),
            };
        }
    }
    if mode != AuthenticationMode::Api {
        let matching =
            lines.iter().rfind(|line| line.arn.to_lowercase() == who.canonical.as_str().to_lowercase());
        if let Some(line) = matching {
            return line.username.clone();
        }
        if accounts.contains(&who.arn.account) {
            return who.canonical.to_string();
        }
    }
    UNMAPPED.to_owned()
}

fn principals() -> impl Strategy<Value = (String, bool)> {
    named(vec!["a", "A", "b", "c", "ab", "cb"])
}

fn entry_principals() -> impl Strategy<Value = (String, bool)> {
    named(vec!["a", "A", "b", "c", "ab", "a*", "?b", "*", "c?"])
}

fn named(names: Vec<&'static str>) -> impl Strategy<Value = (String, bool)> {
    let account = prop::sample::select(vec![OWN, OTHER]);
    let name = prop::sample::select(names);
    (account, any::<bool>(), name).prop_map(|(account, user, name)| {
        (format!("arn:aws:iam::{account}:{}/{name}", if user { "user" } else { "role" }), user)
    })
}

proptest! {
    #[test]
    fn the_index_answers_as_the_rules_are_told(
        mode in prop::sample::select(vec![AuthenticationMode::Api, BOTH, AuthenticationMode::ConfigMap]),
        entries in prop::collection::vec((entry_principals(), prop::option::of(0..4_u8), prop::option::of(any::<bool>())), 0..6),
        lines in prop::collection::vec(principals(), 0..6),
        accounts in prop::collection::vec(prop::sample::select(vec![OWN, OTHER]), 0..2),
        who in principals(),
        id in 0..4_u8,
        authority in prop::sample::select(vec![Authority::Local, Authority::Aws]),
    ) {
        let mut kept: Vec<AccessEntry> = Vec::new();
        for (nth, ((arn, _), bound, ends)) in entries.iter().enumerate() {
            let mut made = entry(arn, bound.map(|n| format!("ID{n}")).as_deref(), &format!("entry{nth}"));
            made.ends_at = ends.map(|ended| if ended { NOW } else { NOW + Duration::HOUR });
            // The store lets neither a principal nor, per authority, an id stand twice.
            let twin = |other: &AccessEntry| {
                other.authority == made.authority
                    && (other.principal_arn.to_string().to_lowercase() == arn.to_lowercase()
                        || (other.principal_id.is_some() && other.principal_id == made.principal_id)
                        || (made.principal_arn.one().is_none()
                            && other.principal_arn.one().is_none()
                            && made.principal_arn.overlaps(&other.principal_arn)))
            };
            if !kept.iter().any(twin) {
                kept.push(made);
            }
        }
        let lines: Vec<Line> = lines
            .iter()
            .enumerate()
            .map(|(nth, (arn, _))| Line { arn: arn.clone(), username: format!("line{nth}") })
            .collect();
        let map = serde_json::json!({
            "mapRoles": lines.iter().map(|l| serde_json::json!({"rolearn": l.arn, "username": l.username})).collect::<Vec<_>>(),
            "mapAccounts": accounts,
        });
        let world = snapshot(kept.clone(), &map.to_string(), &[]);
        let who = Who { authority, ..Who::new(&who.0, &format!("ID{id}")) };
        let accounts: Vec<AccountId> = accounts.iter().map(|a| a.parse().unwrap()).collect();
        let got = who.at(mode, &world).map_or_else(|refused| refused.code.to_owned(), |badge| badge.username);
        prop_assert_eq!(got, naively(mode, &kept, &lines, &accounts, &who));
    }
}
