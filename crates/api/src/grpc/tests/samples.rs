//! One of each, with something in every field.

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{
    ActorKind, Authority, AwsIdentity, Basis, ClaimValue, ClusterUid, ClusterUpdateId, Denial, EntryId,
    Holds, Identity, IdentityKind, IdentityProviderConfigId, Kin, Lineage, OidcIdentity, OidcProviderId,
    Revision, TrustedAccount, UserInfo,
    authn::{
        accounts::{AccessKey, Account, IamRole, InlinePolicy, PolicyOwner, User},
        instance_profiles::{InstanceProfile, InstanceProfileDetail},
        oidc_providers::OidcProvider,
    },
    mapping::{
        AccessEntry, AccessScope, AuthenticationMode, AuthorizerMode, AwsAuthEffect, AwsAuthFinding,
        AwsAuthStatus, AwsAuthVersion, Block, BlockTarget, BreakGlass, Cluster, ClusterUpdate,
        ClusterUpdateParam, ClusterUpdateType, EntryDetail, EntryMatch, EntryMatches, EntryState, EntryType,
        Grant, GrantKind, IdentityProviderConfig, IdentityProviderConfigDetail, IdentityProviderSettings,
        Mapped, MatchedBy, Node, PolicyAssociation, SpokeCredential, SpokeCredentialKind,
    },
};

pub(super) const ACCOUNT: &str = "111122223333";
pub(super) const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/Admin/ana";
pub(super) const ROLE: &str = "arn:aws:iam::111122223333:role/team/Admin";
pub(super) const KEY: &str = "LKIAABCDEFGHIJKLMNOP";

pub(super) fn moment(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000 + seconds).unwrap() + Duration::nanoseconds(123_456_789)
}

pub(super) fn tags(names: &[&str]) -> BTreeMap<String, String> {
    names.iter().map(|name| (name.to_string(), format!("{name}'s value"))).collect()
}

pub(super) fn uid(number: u128) -> ClusterUid {
    ClusterUid(Uuid::from_u128(number))
}

pub(super) fn entry_id() -> EntryId {
    EntryId(Uuid::from_u128(77))
}

pub(super) fn principal() -> ActorKind {
    ActorKind::Principal {
        authority: Authority::Local,
        arn: SESSION.parse().unwrap(),
        principal_id: "AROAX".to_owned(),
        lineage: Box::new(Lineage {
            access_key_id: Some("LSIAABCDEFGHIJKLMNOP".parse().unwrap()),
            ancestors: vec![format!("key/{KEY}")],
            transitive_tags: tags(&["team"]),
            source_identity: Some("ana".to_owned()),
            chain_depth: 2,
        }),
        session_policy: Some("{}".to_owned()),
    }
}

pub(super) fn identity() -> Identity {
    Identity::Aws(AwsIdentity {
        authority: Authority::Sts("corp".to_owned()),
        account: ACCOUNT.parse().unwrap(),
        partition: "aws-cn".parse().unwrap(),
        principal_id: "AROAX".to_owned(),
        arn: SESSION.parse().unwrap(),
        canonical_arn: SESSION.parse().unwrap(),
        principal_arn: Some(ROLE.parse().unwrap()),
        session_name: Some("ana".to_owned()),
        tags: tags(&["team", "cost"]),
        access_key_id: KEY.parse().unwrap(),
        kind: IdentityKind::BreakGlass,
        ancestors: vec!["role/AROAX".to_owned(), "certificate/:ana".to_owned()],
        kin: vec![Kin {
            account: ACCOUNT.parse().unwrap(),
            canonical_arn: ROLE.parse().unwrap(),
            session_name: Some("ana".to_owned()),
        }],
    })
}

pub(super) fn oidc_identity() -> Identity {
    let claims = [
        ("sub", ClaimValue::Text("ana".to_owned())),
        ("groups", ClaimValue::Texts(vec!["a".to_owned(), "b".to_owned()])),
        ("email_verified", ClaimValue::Flag(true)),
        ("auth_time", ClaimValue::Other),
    ];
    Identity::Oidc(OidcIdentity {
        config: provider_id(),
        issuer: "https://okta.example".to_owned(),
        subject: "ana".to_owned(),
        claims: claims.map(|(name, value)| (name.to_owned(), value)).into(),
    })
}

pub(super) fn provider_id() -> IdentityProviderConfigId {
    IdentityProviderConfigId(Uuid::from_u128(78))
}

pub(super) fn provider() -> IdentityProviderConfigDetail {
    let settings = IdentityProviderSettings {
        name: "okta".to_owned(),
        issuer_url: "https://okta.example".to_owned(),
        client_id: "kubernetes".to_owned(),
        username_claim: Some("email".to_owned()),
        username_prefix: Some("okta:".to_owned()),
        groups_claim: Some("groups".to_owned()),
        groups_prefix: Some("-".to_owned()),
        required_claims: tags(&["hd"]),
        shared_audience: true,
        ca_bundle_pem: Some("PEM".to_owned()),
        email_verified_may_be_absent: true,
        tags: tags(&["d"]),
    };
    let config =
        IdentityProviderConfig { id: provider_id(), cluster: uid(1), settings, created_at: moment(19) };
    IdentityProviderConfigDetail { config, arn: "arn:aws:eks:x".to_owned() }
}

pub(super) fn denial(code: &'static str) -> Denial {
    Denial { code: code.into(), message: format!("no: {code}") }
}

pub(super) fn account() -> Account {
    Account {
        id: ACCOUNT.parse().unwrap(),
        partition: "aws".parse().unwrap(),
        authority: Authority::Aws,
        name: "main".to_owned(),
        created_at: moment(1),
    }
}

pub(super) fn user() -> User {
    User {
        account: ACCOUNT.parse().unwrap(),
        path: "/team/".to_owned(),
        name: "ana".to_owned(),
        principal_id: "AIDAX".to_owned(),
        tags: tags(&["a"]),
        created_at: moment(2),
    }
}

pub(super) fn access_key() -> AccessKey {
    AccessKey {
        id: KEY.parse().unwrap(),
        account: ACCOUNT.parse().unwrap(),
        user: "ana".to_owned(),
        active: true,
        created_at: moment(3),
    }
}

pub(super) fn role() -> IamRole {
    IamRole {
        account: ACCOUNT.parse().unwrap(),
        path: "/".to_owned(),
        name: "Admin".to_owned(),
        principal_id: "AROAX".to_owned(),
        trust_policy: "{}".to_owned(),
        trusted_ids: tags(&["arn:aws:iam::111122223333:user/ana"]),
        session_seconds_max: 3600,
        revoked_before: Some(moment(4)),
        tags: tags(&["b"]),
        description: "for people".to_owned(),
        created_at: moment(5),
    }
}

pub(super) fn instance_profile(has_role: bool) -> InstanceProfileDetail {
    let iam_role = has_role.then(role);
    let profile = InstanceProfile {
        account: ACCOUNT.parse().unwrap(),
        path: "/team/".to_owned(),
        name: "node".to_owned(),
        profile_id: "AIPAX".to_owned(),
        role: iam_role.as_ref().map(|role| role.name.clone()),
        tags: tags(&["x"]),
        created_at: moment(7),
    };
    InstanceProfileDetail { profile, iam_role }
}

pub(super) fn oidc_provider() -> OidcProvider {
    OidcProvider {
        id: OidcProviderId(Uuid::from_u128(88)),
        account: ACCOUNT.parse().unwrap(),
        issuer_url: "https://issuer.example/".to_owned(),
        client_ids: vec!["a".to_owned(), "b".to_owned()],
        thumbprints: vec!["0f".repeat(20)],
        ca_bundle_pem: Some("PEM".to_owned()),
        tags: tags(&["x"]),
        created_at: moment(6),
    }
}

pub(super) fn policy() -> InlinePolicy {
    InlinePolicy {
        account: ACCOUNT.parse().unwrap(),
        owner: PolicyOwner::User("ana".to_owned()),
        name: "all".to_owned(),
        document: "{\"Version\":\"2012-10-17\"}".to_owned(),
    }
}

pub(super) fn user_info() -> UserInfo {
    UserInfo {
        username: "ana".to_owned(),
        uid: "aws-iam-authenticator:1:2".to_owned(),
        groups: vec!["devs".to_owned(), "ops".to_owned()],
        extra: BTreeMap::from([
            ("arn".into(), vec!["a".to_owned(), "b".to_owned()]),
            ("none".into(), vec![]),
        ]),
    }
}

pub(super) fn holds() -> Holds {
    let basis = Basis { hub: Revision(1), account: Revision(2), cluster: Revision(3) };
    Holds { until: moment(9), basis }
}

pub(super) fn mapped() -> Mapped {
    Mapped {
        user: user_info().into(),
        grant: Grant {
            kind: GrantKind::AwsAuth,
            id: entry_id(),
            revision: Revision(5),
            name: "aws-auth version 3".into(),
        },
        matched_by: MatchedBy::AwsAuthArn,
        holds: Some(holds()),
    }
}

pub(super) fn cluster() -> Cluster {
    Cluster {
        uid: uid(1),
        id: "dev-1".parse().unwrap(),
        name: "dev".to_owned(),
        partition: "aws-us-gov".parse().unwrap(),
        account: ACCOUNT.parse().unwrap(),
        region: "us-gov-west-1".to_owned(),
        endpoint: Some("https://dev.example".to_owned()),
        certificate_authority: Some("PEM".to_owned()),
        authentication_mode: AuthenticationMode::ConfigMap,
        authorizer_mode: AuthorizerMode::Full,
        trusted_accounts: vec![TrustedAccount {
            authority: Authority::Aws,
            account: ACCOUNT.parse().unwrap(),
        }],
        audiences: vec!["https://kubernetes.default.svc".to_owned()],
        token_cache_seconds: 10,
        created_by: SESSION.to_owned(),
        tags: tags(&["lanyard:allow-lockout"]),
        created_at: moment(6),
    }
}

pub(super) fn aws_auth() -> AwsAuthVersion {
    AwsAuthVersion {
        cluster: uid(1),
        version: 3,
        content: "mapRoles: x".to_owned(),
        status: AwsAuthStatus::Rejected,
        findings: vec![AwsAuthFinding {
            effect: AwsAuthEffect::Fatal,
            line: 1,
            column: 2,
            path: "mapRoles[0]".to_owned(),
            message: "not a list".to_owned(),
        }],
        pushed_by: SESSION.to_owned(),
        pushed_at: moment(7),
    }
}

pub(super) fn node() -> Node {
    Node {
        cluster: uid(1),
        instance_id: "i-1".to_owned(),
        private_dns_name: "ip-10-0-0-1.ec2.internal".to_owned(),
        role_arn: Some(ROLE.to_owned()),
        access_key_id: Some(KEY.parse().unwrap()),
    }
}

pub(super) fn spoke_credential() -> SpokeCredential {
    SpokeCredential {
        cluster: uid(1),
        id: "one".to_owned(),
        token_sha256: "ab".repeat(32),
        created_at: moment(8),
        kind: SpokeCredentialKind::Certificate,
    }
}

pub(super) fn break_glass(used: bool) -> BreakGlass {
    BreakGlass {
        cluster: uid(1),
        token_sha256: "cd".repeat(32),
        armed_by: SESSION.to_owned(),
        armed_at: moment(9),
        ends_at: moment(10),
        used_at: used.then(|| moment(11)),
    }
}

pub(super) fn association(scope: AccessScope) -> PolicyAssociation {
    PolicyAssociation {
        cluster: uid(1),
        entry: entry_id(),
        policy_arn: "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy".to_owned(),
        scope,
        ends_at: Some(moment(12)),
        associated_at: moment(13),
        modified_at: moment(14),
    }
}

pub(super) fn entry() -> EntryDetail {
    EntryDetail {
        entry: AccessEntry {
            id: entry_id(),
            cluster: uid(1),
            authority: Authority::Local,
            principal_arn: ROLE.parse().unwrap(),
            principal_id: Some("AROAX".to_owned()),
            pin_until: Some(moment(20)),
            entry_type: EntryType::HyperpodLinux,
            username: "ana:{{SessionName}}".to_owned(),
            groups: vec!["devs".to_owned()],
            tags: tags(&["c"]),
            ends_at: Some(moment(15)),
            created_at: moment(16),
            modified_at: moment(17),
        },
        arn: "arn:aws:eks:x".to_owned(),
        state: EntryState::Stale,
        associations: vec![
            association(AccessScope::Cluster),
            association(AccessScope::Namespace(vec!["dev-*".to_owned()])),
        ],
    }
}

pub(super) fn matches() -> EntryMatches {
    let known = EntryMatch {
        principal_arn: ROLE.parse().unwrap(),
        principal_id: Some("AROAX".to_owned()),
        mapped_by: Some("access entry x".to_owned()),
    };
    let unknown = EntryMatch { principal_id: None, mapped_by: None, ..known.clone() };
    EntryMatches {
        principals: vec![known, unknown],
        complete: true,
        overlaps: vec!["arn:aws:iam::111122223333:role/*".to_owned()],
        notices: vec!["it lets in many".to_owned()],
    }
}

pub(super) fn block_targets() -> [BlockTarget; 7] {
    let authority = Authority::Local;
    let canonical_arn = || ROLE.parse().unwrap();
    [
        BlockTarget::Principal { authority: authority.clone(), canonical_arn: canonical_arn() },
        BlockTarget::Account { authority: authority.clone(), account: ACCOUNT.parse().unwrap() },
        BlockTarget::AccessKey { access_key_id: KEY.parse().unwrap() },
        BlockTarget::Session { authority, canonical_arn: canonical_arn(), session_name: "ana".to_owned() },
        BlockTarget::OidcSubject { issuer: "https://okta.example".to_owned(), subject: "ana".to_owned() },
        BlockTarget::OidcIssuer { issuer: "https://okta.example".to_owned() },
        BlockTarget::Certificate { sha256: "0aff".repeat(16).parse().unwrap() },
    ]
}

pub(super) fn block(target: BlockTarget) -> Block {
    Block {
        id: crate::BlockId(Uuid::from_u128(9)),
        scope: crate::Scope::Cluster(uid(1)),
        target,
        reason: "leaked".to_owned(),
        created_by: SESSION.to_owned(),
        created_at: moment(18),
    }
}

pub(super) fn update() -> ClusterUpdate {
    let param = ClusterUpdateParam { kind: "AuthenticationMode".to_owned(), value: "API".to_owned() };
    ClusterUpdate {
        id: ClusterUpdateId(Uuid::from_u128(77)),
        cluster: uid(1),
        kind: ClusterUpdateType::AccessConfig,
        params: vec![param],
        created_at: moment(7),
    }
}
