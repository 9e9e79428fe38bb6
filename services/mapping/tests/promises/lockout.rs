use std::collections::{BTreeMap, BTreeSet};

use lanyard_api::{
    Authority, CallError, HubId, Mutation, Scope, TrustedAccount,
    authn::accounts::{InlinePolicy, PolicyOwner},
    mapping::{
        AccessEntry, AccessScope, AuthenticationMode, AwsAuthStatus, BlockTarget, Cluster, CreateCluster,
        Resolve, UpdateAccessEntry, UpdateCluster,
    },
    methods::MANAGED,
};

use lanyard_mapping::{Mapping, MappingConfig};
use lanyard_store::{Administrator, AdministratorSource, Setting};

use crate::{
    aws_auth::map,
    bench::*,
    blocks::{block, principal},
    entries::change,
    identity_providers::{issuer, provider},
};

/// Methods that can take a cluster's last administrator, each with a case below.
const DANGEROUS: [&str; 8] = [
    "CreateAccessEntry",
    "UpdateAccessEntry",
    "DeleteAccessEntry",
    "AssociateAccessPolicy",
    "DisassociateAccessPolicy",
    "UpdateClusterConfig",
    "PushAwsAuth",
    "CreateBlock",
];

/// Methods that cannot: they only add, take the cluster along, or change no one's rights now.
const HARMLESS: [&str; 16] = [
    "TagResource",
    "UntagResource",
    "CreateCluster",
    "DeleteCluster",
    "SetNode",
    "DeleteNode",
    "CreateSpokeCredential",
    "DeleteSpokeCredential",
    "PutSpokeKubeconfig",
    "DeleteSpokeKubeconfig",
    "RegisterSpokeCertificate",
    "ArmBreakGlass",
    "DisarmBreakGlass",
    // Nobody of an issuer counts as an administrator, and none is associated that would take the username of one who does: see
    // `immunity_56_no_issuer_takes_the_usernames_of_those_who_are_there`. Its end makes administrators again of those it kept out.
    "AssociateIdentityProviderConfig",
    "DisassociateIdentityProviderConfig",
    "DeleteBlock",
];

pub(crate) async fn immunity_56_every_mutating_method_is_looked_at<C: Calls, R: Resolve>(_: Bench<C, R>) {
    let managed =
        MANAGED.iter().filter(|method| method.mutates && method.path.starts_with("/lanyard.mapping."));
    let all: BTreeSet<&str> = managed.filter_map(|method| method.path.rsplit('/').next()).collect();
    let known: BTreeSet<&str> = DANGEROUS.into_iter().chain(HARMLESS).collect();
    assert_eq!(all, known);
}

/// A cluster whose one administrator is its creator, by an entry.
async fn by_entry<C: Calls, R: Resolve>(bench: &Bench<C, R>, name: &str) -> Cluster {
    bench.calls.create_cluster(by(admin()), cluster_named(name)).await.unwrap().value
}

/// A cluster whose one administrator is the user `zoe`, by aws-auth.
async fn by_aws_auth<C: Calls, R: Resolve>(bench: &Bench<C, R>, name: &str) -> Cluster {
    let asked = CreateCluster { bootstrap_creator_admin: false, ..cluster_named(name) };
    let cluster = bench.calls.create_cluster(by(admin()), asked).await.unwrap().value;
    bench.calls.push_aws_auth(by(admin()), cluster.id.clone(), map("ops", "ops")).await.unwrap();
    cluster
}

pub(crate) async fn immunity_56_no_mutation_takes_the_last_administrator<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let creator = of(OWN, "user/admin");
    let cluster = by_entry(&bench, "entry").await;
    let entry_of = || entry_ref(&cluster, &creator);

    let deleted = bench.calls.delete_entry(by(admin()), entry_of()).await;
    assert_eq!(code_of(deleted), "lockout", "DeleteAccessEntry");
    let narrowed = AccessScope::Namespace(vec![String::from("a")]);
    let narrowed =
        bench.calls.associate_policy(by(admin()), entry_of(), CLUSTER_ADMIN.to_owned(), narrowed, None).await;
    assert_eq!(code_of(narrowed), "lockout", "AssociateAccessPolicy");
    let taken = bench.calls.disassociate_policy(by(admin()), entry_of(), CLUSTER_ADMIN.to_owned()).await;
    assert_eq!(code_of(taken), "lockout", "DisassociateAccessPolicy");
    let targets = [
        principal(&creator),
        BlockTarget::Account { authority: Authority::Local, account: account(OWN) },
        BlockTarget::AccessKey { access_key_id: key_of(OWN, "admin").parse().unwrap() },
    ];
    for target in targets {
        for scope in [Scope::Cluster(cluster.uid), Scope::Account(account(OWN)), Scope::Hub] {
            let put = bench.calls.create_block(by(operator()), block(scope, target.clone())).await;
            assert_eq!(code_of(put), "lockout", "CreateBlock {scope} {target:?}");
        }
    }

    let mapped = by_aws_auth(&bench, "mapped").await;
    let zoe = of(OWN, "user/zoe");
    let shadow = bench.calls.create_entry(by(admin()), entry(&mapped, &zoe)).await;
    assert_eq!(code_of(shadow), "lockout", "CreateAccessEntry");
    let pattern = bench.calls.create_entry(by(admin()), entry(&mapped, &of(OWN, "user/z*"))).await;
    assert_eq!(code_of(pattern), "lockout", "CreateAccessEntry, a pattern");
    let api =
        UpdateCluster { authentication_mode: Some(AuthenticationMode::Api), ..UpdateCluster::default() };
    let moved = bench.calls.update_cluster(by(admin()), mapped.id.clone(), api).await;
    assert_eq!(code_of(moved), "lockout", "UpdateClusterConfig, mode");

    let asked = CreateCluster { bootstrap_creator_admin: false, ..cluster_named("foreign") };
    let foreign = bench.calls.create_cluster(by(admin()), asked).await.unwrap().value;
    let outside = of(AWS, "role/admin");
    bench.entry(&foreign, &outside).await;
    let outside = entry_ref(&foreign, &outside);
    bench
        .calls
        .associate_policy(by(admin()), outside, CLUSTER_ADMIN.to_owned(), AccessScope::Cluster, None)
        .await
        .unwrap();
    let pinning = UpdateAccessEntry {
        pin_until: Some(NOON + time::Duration::HOUR),
        ..change(&foreign, &of(AWS, "role/admin"))
    };
    assert_eq!(code_of(bench.calls.update_entry(by(admin()), pinning).await), "lockout", "UpdateAccessEntry");
    let own = TrustedAccount { authority: Authority::Local, account: account(OWN) };
    let untrusted = UpdateCluster { trusted_accounts: Some(vec![own]), ..UpdateCluster::default() };
    let untrusted = bench.calls.update_cluster(by(admin()), foreign.id.clone(), untrusted).await;
    assert_eq!(code_of(untrusted), "lockout", "UpdateClusterConfig, trusted accounts");

    // Refused writes left nothing, and the rest goes on.
    assert_eq!(bench.name_of(&cluster, &identity(&creator, "AIDAADMIN")).await, creator);
    assert_eq!(bench.name_of(&mapped, &identity(&zoe, "AIDAZOE")).await, "zoe");
    let renamed = UpdateAccessEntry {
        username: Some(String::from("chief")),
        ends_at: Some(Some(NOON + time::Duration::HOUR)),
        ..change(&cluster, &creator)
    };
    bench.calls.update_entry(by(admin()), renamed).await.unwrap();
    bench.calls.delete_cluster(by(admin()), cluster.id.clone()).await.unwrap();
}

pub(crate) async fn immunity_56_an_aws_auth_without_administrators_is_kept_out_of_force<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let cluster = by_aws_auth(&bench, "mapped").await;
    let zoe = identity(&of(OWN, "user/zoe"), "AIDAZOE");
    let dead = map("ops", "ops").replace("user/zoe", "user/nobody");
    let by_role = map("ops", "ops").replace("role/ops", "user/zoe");
    for without in
        [String::from("data: {}"), dead, by_role, map("ops", "ops").replace("system:masters", "devs")]
    {
        let pushed = bench.calls.push_aws_auth(by(admin()), cluster.id.clone(), without).await.unwrap().value;
        assert_eq!(pushed.status, AwsAuthStatus::Rejected);
        let fatal = pushed.findings.iter().find(|finding| finding.is_fatal()).unwrap();
        assert!(fatal.message.contains("without an administrator"), "{fatal:?}");
        assert_eq!(bench.name_of(&cluster, &zoe).await, "zoe");
    }
    // With another administrator it may go.
    let creator = of(OWN, "user/admin");
    bench.entry(&cluster, &creator).await;
    let entry = entry_ref(&cluster, &creator);
    bench
        .calls
        .associate_policy(by(admin()), entry.clone(), CLUSTER_ADMIN.to_owned(), AccessScope::Cluster, None)
        .await
        .unwrap();
    let pushed =
        bench.calls.push_aws_auth(by(admin()), cluster.id.clone(), String::from("data: {}")).await.unwrap();
    assert_eq!(pushed.value.status, AwsAuthStatus::Accepted);
    assert_eq!(bench.name_of(&cluster, &zoe).await, "unmapped");
    assert_eq!(code_of(bench.calls.delete_entry(by(admin()), entry.clone()).await), "lockout");
    // A line for its own principal does not save the entry's: it counts only once the entry is gone, and then it does.
    let line = map("ops", "ops").replace("user/zoe", "user/admin");
    bench.calls.push_aws_auth(by(admin()), cluster.id.clone(), line).await.unwrap();
    bench.calls.delete_entry(by(admin()), entry).await.unwrap();
    assert_eq!(bench.name_of(&cluster, &identity(&creator, "AIDAADMIN")).await, "zoe");
}

pub(crate) async fn immunity_56_who_can_never_be_given_a_username_is_no_administrator<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let (creator, zoe) = (of(OWN, "user/admin"), of(OWN, "user/zoe"));
    let cluster = by_entry(&bench, "entry").await;
    let named = |principal: &str, username: &str| UpdateAccessEntry {
        username: Some(username.to_owned()),
        ..change(&cluster, principal)
    };
    let templated = bench.calls.update_entry(by(admin()), named(&creator, "ops:{{SessionName}}")).await;
    assert_eq!(code_of(templated), "session_name_of_a_user");
    for posing in ["arn:aws:iam::{{AccountID}}:user/zoe", "arn:{{PrincipalName}}"] {
        let refused = bench.calls.update_entry(by(admin()), named(&creator, posing)).await;
        assert_eq!(code_of(refused), "lockout", "{posing}");
    }
    // One of before that was refused.
    let made = bench.entry(&cluster, &zoe).await.value.entry;
    bench.write(&AccessEntry { username: String::from("ops:{{SessionName}}"), ..made }).await;
    let whole = AccessScope::Cluster;
    let entry_of_zoe = entry_ref(&cluster, &zoe);
    bench
        .calls
        .associate_policy(by(admin()), entry_of_zoe, CLUSTER_ADMIN.to_owned(), whole, None)
        .await
        .unwrap();
    assert_eq!(bench.name_of(&cluster, &identity(&zoe, "AIDAZOE")).await, "template_refused");
    let delete = async || bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &creator)).await;
    assert_eq!(code_of(delete().await), "lockout");
    bench.calls.update_entry(by(admin()), named(&zoe, "ops:zoe")).await.unwrap();
    delete().await.unwrap();

    let mapped = by_aws_auth(&bench, "mapped").await;
    let push = async |content: String| {
        bench.calls.push_aws_auth(by(admin()), mapped.id.clone(), content).await.unwrap().value
    };
    for username in ["ops:{{SessionName}}", "{{SessionNameRaw}}", "{{EC2PrivateDNSName}}"] {
        let content = map("ops", "ops").replace("username: zoe", &format!("username: '{username}'"));
        let pushed = push(content).await;
        assert_eq!(pushed.status, AwsAuthStatus::Rejected, "{username}");
        let [line, lockout] = pushed.findings.as_slice() else { panic!("{:?}", pushed.findings) };
        assert_eq!((line.is_fatal(), line.path.as_str()), (false, "mapUsers[0].username"));
        assert!(lockout.is_fatal() && lockout.message.contains("without an administrator"), "{lockout:?}");
        assert_eq!(bench.name_of(&mapped, &identity(&zoe, "AIDAZOE")).await, "zoe");
    }
    // A role may have either; but its nodes are nobody who would give the cluster back.
    let of_role = |username: &str| {
        format!(
            "mapRoles: |\n  - rolearn: arn:aws:iam::{AWS}:role/admin\n    username: '{username}'\n    groups: [system:nodes, \
             system:masters]\n"
        )
    };
    for nodes in
        ["system:node:{{EC2PrivateDNSName}}", "system:node:{{SessionName}}", "x:{{EC2PrivateDNSName}}"]
    {
        assert_eq!(push(of_role(nodes)).await.status, AwsAuthStatus::Rejected, "{nodes}");
    }
    assert_eq!(push(of_role("ops:{{SessionName}}")).await.status, AwsAuthStatus::Accepted);
}

pub(crate) async fn immunity_56_no_issuer_takes_the_usernames_of_those_who_are_there<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let dev = of(OWN, "role/team/dev");
    let session = identity(&of(OWN, "assumed-role/dev/ana"), "AROADEV");
    let refused = async |prefix: &str, whose: &[&str]| {
        let mut asked = issuer(&cluster, "okta");
        asked.settings.username_prefix = Some(prefix.to_owned());
        match bench.calls.associate_identity_provider(by(admin()), asked).await {
            Err(CallError::Invalid { rule: "provider_prefix", message, .. }) => {
                for part in whose {
                    assert!(message.contains(part), "{prefix}: {message}");
                }
            }
            other => panic!("{prefix}: {other:?}"),
        }
    };
    let mut asked = entry(&cluster, &dev);
    asked.username = Some(String::from("okta:{{SessionName}}"));
    bench.calls.create_entry(by(admin()), asked).await.unwrap();
    let whose = ["access entry", dev.as_str(), "`okta:{{SessionName}}`"];
    refused("okta:", &whose).await;
    refused("ok", &whose).await;
    assert_eq!(bench.name_of(&cluster, &session).await, "okta:ana", "whoever is there stays");
    let named =
        |username: &str| UpdateAccessEntry { username: Some(username.to_owned()), ..change(&cluster, &dev) };
    // Literally, and by what is known of the principal.
    for (username, prefix) in [
        ("okta:root", "okta:"),
        ("{{AccountID}}:{{SessionName}}", "111122223333:"),
        ("{{PrincipalName}}:x", "dev:"),
    ] {
        bench.calls.update_entry(by(admin()), named(username)).await.unwrap();
        refused(prefix, &["access entry", dev.as_str(), username]).await;
    }
    bench.calls.update_entry(by(admin()), named("ops:{{SessionName}}")).await.unwrap();
    let line = map("ops", "'okta:{{SessionName}}'");
    bench.calls.push_aws_auth(by(admin()), cluster.id.clone(), line).await.unwrap();
    refused("okta:", &["mapRoles[0] of aws-auth", "role/ops"]).await;
    // Where aws-auth counts no more, nobody has its usernames.
    let api =
        UpdateCluster { authentication_mode: Some(AuthenticationMode::Api), ..UpdateCluster::default() };
    bench.calls.update_cluster(by(admin()), cluster.id.clone(), api).await.unwrap();
    bench.calls.associate_identity_provider(by(admin()), issuer(&cluster, "okta")).await.unwrap();
    assert_eq!(bench.name_of(&cluster, &session).await, "ops:ana");
}

pub(crate) async fn immunity_56_a_username_that_is_an_issuers_makes_no_administrator<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let by_entry = by_entry(&bench, "entry").await;
    let mapped = by_aws_auth(&bench, "mapped").await;
    for (cluster, name) in [(&by_entry, "okta"), (&mapped, "dex")] {
        bench.calls.associate_identity_provider(by(admin()), issuer(cluster, name)).await.unwrap();
    }
    let named = |username: &str| UpdateAccessEntry {
        username: Some(username.to_owned()),
        ..change(&by_entry, &of(OWN, "user/admin"))
    };
    // No entry gets one; of before there may be some: see `immunity_56_whom_an_issuer_kept_out_counts_again_once_it_is_gone`.
    let cases = [("okta:{{PrincipalName}}", "reserved_username"), ("octa:{{PrincipalName}}", "")];
    for (username, outcome) in cases {
        let updated = bench.calls.update_entry(by(admin()), named(username)).await;
        match outcome {
            "" => drop(updated.unwrap()),
            code => assert_eq!(code_of(updated), code, "{username}"),
        }
    }
    for (username, status) in [
        ("dex:{{PrincipalName}}", AwsAuthStatus::Rejected),
        ("tex:{{PrincipalName}}", AwsAuthStatus::Accepted),
    ] {
        let content = map("ops", "ops").replace("username: zoe", &format!("username: '{username}'"));
        let pushed = bench.calls.push_aws_auth(by(admin()), mapped.id.clone(), content).await.unwrap().value;
        assert_eq!(pushed.status, status, "{username}: {:?}", pushed.findings);
    }
    // Nor does one that may be anybody's, where an issuer gives usernames without a prefix.
    let without_prefix = by_aws_auth(&bench, "bare").await;
    let mut asked = issuer(&without_prefix, "corp");
    asked.settings.username_prefix = Some(String::from("-"));
    bench.calls.associate_identity_provider(by(admin()), asked).await.unwrap();
    for (username, status) in
        [("{{SessionName}}", AwsAuthStatus::Rejected), ("a:{{SessionName}}", AwsAuthStatus::Accepted)]
    {
        let content = format!(
            "mapRoles: |\n  - rolearn: arn:aws:iam::{AWS}:role/admin\n    username: '{username}'\n    groups: [system:masters]\n"
        );
        let id = without_prefix.id.clone();
        let pushed = bench.calls.push_aws_auth(by(admin()), id, content).await.unwrap().value;
        assert_eq!(pushed.status, status, "{username}: {:?}", pushed.findings);
    }
}

pub(crate) async fn immunity_56_whom_an_issuer_kept_out_counts_again_once_it_is_gone<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let (creator, zoe) = (of(OWN, "user/admin"), of(OWN, "user/zoe"));
    let knock = identity(&zoe, "AIDAZOE");
    let named = by_entry(&bench, "entry").await;
    let mapped = by_entry(&bench, "mapped").await;
    for (cluster, name) in [(&named, "okta"), (&mapped, "dex")] {
        bench.calls.associate_identity_provider(by(admin()), issuer(cluster, name)).await.unwrap();
    }
    // Written as one of before.
    let made = bench.entry(&named, &zoe).await.value.entry;
    bench.write(&AccessEntry { username: String::from("okta:{{PrincipalName}}"), ..made }).await;
    let whole = AccessScope::Cluster;
    let of_zoe = || entry_ref(&named, &zoe);
    bench.calls.associate_policy(by(admin()), of_zoe(), CLUSTER_ADMIN.to_owned(), whole, None).await.unwrap();
    let content = map("ops", "ops").replace("username: zoe", "username: 'dex:{{PrincipalName}}'");
    let pushed = bench.calls.push_aws_auth(by(admin()), mapped.id.clone(), content).await.unwrap().value;
    assert_eq!(pushed.status, AwsAuthStatus::Accepted, "{:?}", pushed.findings);

    for (cluster, name) in [(&named, "okta"), (&mapped, "dex")] {
        let delete = async || bench.calls.delete_entry(by(admin()), entry_ref(cluster, &creator)).await;
        assert_eq!(bench.name_of(cluster, &knock).await, "template_refused", "{name}");
        assert_eq!(code_of(delete().await), "lockout", "{name}");
        bench.calls.disassociate_identity_provider(by(admin()), provider(cluster, name)).await.unwrap();
        assert_eq!(bench.name_of(cluster, &knock).await, format!("{name}:zoe"));
        delete().await.unwrap();
    }
    // Nor does the last one go unseen who came so.
    assert_eq!(code_of(bench.calls.delete_entry(by(admin()), of_zoe()).await), "lockout");
    let without = bench.calls.push_aws_auth(by(admin()), mapped.id.clone(), String::from("data: {}")).await;
    assert_eq!(without.unwrap().value.status, AwsAuthStatus::Rejected);
}

pub(crate) async fn immunity_56_administrators_of_before_the_rules_are_counted_anew_once<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    const USERNAME: &str = "{{SessionName}}";
    let (creator, outside) = (of(OWN, "user/admin"), of(AWS, "role/admin"));
    let content = format!(
        "mapRoles: |\n  - rolearn: {outside}\n    username: '{USERNAME}'\n    groups: [system:masters]\n"
    );
    let push = async |cluster: &Cluster| {
        bench
            .calls
            .push_aws_auth(by(admin()), cluster.id.clone(), content.clone())
            .await
            .unwrap()
            .value
            .status
    };
    let row = |cluster: &Cluster| Administrator {
        cluster: cluster.uid,
        source: AdministratorSource::AwsAuth(String::from("mapRoles[0]")),
        authority: Authority::Aws,
        account: account(AWS),
        canonical_arn: arn(&outside).canonical(),
        principal_id: None,
        ends_at: None,
    };
    let kept = by_entry(&bench, "kept").await;
    let asked = CreateCluster { bootstrap_creator_admin: false, ..cluster_named("bare") };
    let bare = bench.calls.create_cluster(by(admin()), asked).await.unwrap().value;
    for (cluster, name) in [(&kept, "corp"), (&bare, "acme")] {
        let mut asked = issuer(cluster, name);
        asked.settings.username_prefix = Some(String::from("-"));
        bench.calls.associate_identity_provider(by(admin()), asked).await.unwrap();
        assert_eq!(push(cluster).await, AwsAuthStatus::Accepted, "{name}");
        // Beside an issuer without a prefix nobody gets in by it; an older version counted them.
        bench.write(&row(cluster)).await;
    }
    let create = async || bench.calls.create_entry(by(admin()), entry(&bare, &outside)).await;
    assert_eq!(code_of(create().await), "lockout", "it goes by the row");
    assert_eq!(push(&bare).await, AwsAuthStatus::Rejected, "it goes by the row");

    let start = async || Mapping::open(&bench.store, MappingConfig::default()).await.unwrap();
    let (one, other) = (start().await, start().await);
    let twice = |mapping: Mapping| mapping.recount_administrators(std::time::Duration::ZERO);
    tokio::join!(twice(one), twice(other));
    let last = entry_ref(&kept, &creator);
    let taken = bench.calls.disassociate_policy(by(admin()), last, CLUSTER_ADMIN.to_owned()).await;
    assert_eq!(code_of(taken), "lockout", "nobody else gets in");
    assert_eq!(push(&bare).await, AwsAuthStatus::Accepted, "it takes nobody's place");
    create().await.unwrap();

    // It is done, and costs later starts nothing.
    let late = row(&kept);
    bench.write(&late).await;
    twice(start().await).await;
    let scope = Scope::Cluster(kept.uid);
    let stays = bench.store.get::<Administrator>(scope, &late.source.to_string()).await.unwrap();
    assert_eq!(stays, Some(late));
}

pub(crate) async fn immunity_56_no_block_stops_everybody_who_may_lift_it<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let own = Scope::Account(account(OWN));
    let lifts = |name: &str| InlinePolicy {
        account: account(OWN),
        owner: PolicyOwner::User(name.to_owned()),
        name: String::from("lifts"),
        document: String::from(
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"lanyard:*","Resource":"*"}]}"#,
        ),
    };
    let put = async |policy: InlinePolicy| {
        let mut tx = bench.store.begin("test", &Mutation::system("test"), &[own]).await.unwrap();
        tx.insert(&policy).await.unwrap();
        tx.commit_unrecorded().await.unwrap();
    };
    put(lifts("admin")).await;
    let mut tx = bench.store.begin("test", &Mutation::system("test"), &[Scope::Hub]).await.unwrap();
    tx.insert(&Setting::hub_id(HubId::random())).await.unwrap();
    tx.insert(&Setting::embedded_account(account(OWN))).await.unwrap();
    tx.commit_unrecorded().await.unwrap();

    let whole_account = || BlockTarget::Account { authority: Authority::Local, account: account(OWN) };
    let themselves = || principal(&of(OWN, "user/admin"));
    for (scope, target) in [
        (Scope::Hub, whole_account()),
        (own, whole_account()),
        (Scope::Hub, themselves()),
        (own, themselves()),
    ] {
        let refused = bench.calls.create_block(by(operator()), block(scope, target.clone())).await;
        match refused {
            Err(CallError::Precondition { rule: "lockout", message }) => {
                assert!(message.contains("lanyard:DeleteBlock"), "{message}");
            }
            other => panic!("{scope} {target:?}: {other:?}"),
        }
    }
    let tenant = BlockTarget::Account { authority: Authority::Local, account: account(TENANT) };
    bench.calls.create_block(by(operator()), block(Scope::Hub, tenant)).await.unwrap();

    // Somebody else may lift it: so it can be lifted.
    put(lifts("zoe")).await;
    let made = bench.calls.create_block(by(operator()), block(Scope::Hub, themselves())).await.unwrap().value;
    bench.calls.delete_block(by(operator()), Scope::Hub, made.id).await.unwrap();
    // Said by name, it is done.
    let forced = Mutation { allow_lockout: true, ..by(operator()) };
    bench.calls.create_block(forced, block(Scope::Hub, whole_account())).await.unwrap();
}

pub(crate) async fn a_lockout_is_allowed_by_name_or_by_tag<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let creator = of(OWN, "user/admin");
    let cluster = by_entry(&bench, "one").await;
    let forced = Mutation { allow_lockout: true, ..by(admin()) };
    bench.calls.delete_entry(forced, entry_ref(&cluster, &creator)).await.unwrap();
    let tags = BTreeMap::from([(String::from("lanyard:allow-lockout"), String::from("true"))]);
    let asked = CreateCluster { tags, ..cluster_named("two") };
    let tagged = bench.calls.create_cluster(by(admin()), asked).await.unwrap().value;
    bench.calls.delete_entry(by(admin()), entry_ref(&tagged, &creator)).await.unwrap();
    let mapped = by_aws_auth(&bench, "three").await;
    let forced = Mutation { allow_lockout: true, ..by(admin()) };
    let pushed =
        bench.calls.push_aws_auth(forced, mapped.id.clone(), String::from("data: {}")).await.unwrap();
    assert_eq!(pushed.value.status, AwsAuthStatus::Accepted);
}
