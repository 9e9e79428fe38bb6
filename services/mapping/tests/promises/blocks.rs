use lanyard_api::{
    Authority, OidcProviderId, PageQuery, Scope,
    authn::oidc_providers::OidcProvider,
    mapping::{AuthenticationMode, Block, BlockTarget, CreateBlock, Resolve},
};

use crate::{aws_auth::map, bench::*, identity_providers::issuer};

pub(crate) fn principal(text: &str) -> BlockTarget {
    BlockTarget::Principal { authority: Authority::Local, canonical_arn: text.parse().unwrap() }
}

pub(crate) fn block(scope: Scope, target: BlockTarget) -> CreateBlock {
    CreateBlock { scope, target, reason: String::from("seen on a stick") }
}

pub(crate) async fn immunity_42_a_block_beats_every_mapping_in_every_mode<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    use AuthenticationMode::{Api, ApiAndConfigMap, ConfigMap};
    for (nth, mode) in [ConfigMap, ApiAndConfigMap, Api].into_iter().enumerate() {
        let asked = lanyard_api::mapping::CreateCluster {
            authentication_mode: Some(mode),
            ..cluster_named(&format!("c{nth}"))
        };
        let cluster = bench.calls.create_cluster(by(admin()), asked).await.unwrap().value;
        bench.calls.push_aws_auth(by(admin()), cluster.id.clone(), map("ops", "ops")).await.unwrap();
        if mode != ConfigMap {
            bench.entry(&cluster, &of(OWN, "role/ops")).await;
        }
        let who = identity(&of(OWN, "assumed-role/ops/ss"), "AROAOPS");
        let session = BlockTarget::Session {
            authority: Authority::Local,
            canonical_arn: of(OWN, "role/ops").parse().unwrap(),
            session_name: String::from("ss"),
        };
        let targets = [
            principal(&of(OWN, "role/ops")),
            session,
            BlockTarget::AccessKey { access_key_id: who.access_key_id.clone() },
            BlockTarget::Account { authority: Authority::Local, account: account(OWN) },
        ];
        for target in targets {
            let scope = Scope::Cluster(cluster.uid);
            assert_ne!(bench.name_of(&cluster, &who).await, "blocked", "{mode:?} {target:?}");
            let forced = lanyard_api::Mutation { allow_lockout: true, ..by(admin()) };
            let put = bench.calls.create_block(forced, block(scope, target.clone())).await.unwrap().value;
            assert_eq!(bench.name_of(&cluster, &who).await, "blocked", "{mode:?} {target:?}");
            // No bad aws-auth and no deleted entry undoes it.
            bench
                .calls
                .push_aws_auth(by(admin()), cluster.id.clone(), String::from("mapRoles: x"))
                .await
                .unwrap();
            assert_eq!(bench.name_of(&cluster, &who).await, "blocked", "{mode:?} {target:?}");
            bench.calls.delete_block(by(admin()), scope, put.id).await.unwrap();
        }
        assert_ne!(bench.name_of(&cluster, &who).await, "blocked", "{mode:?}");
    }
}

pub(crate) async fn a_block_of_the_account_or_hub_holds_everywhere_below<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let zoe = identity(&of(OWN, "user/zoe"), "AIDAZOE");
    bench.entry(&cluster, &of(OWN, "user/zoe")).await;
    let target = || principal(&of(OWN, "user/zoe"));
    let other = Scope::Account(account(TENANT));
    bench.calls.create_block(by(eve()), block(other, target())).await.unwrap();
    assert_eq!(
        bench.name_of(&cluster, &zoe).await,
        of(OWN, "user/zoe"),
        "another account's block holds there alone"
    );
    let own = Scope::Account(account(OWN));
    let put = bench.calls.create_block(by(admin()), block(own, target())).await.unwrap().value;
    assert_eq!(bench.name_of(&cluster, &zoe).await, "blocked");
    bench.calls.delete_block(by(admin()), own, put.id).await.unwrap();
    assert_eq!(bench.name_of(&cluster, &zoe).await, of(OWN, "user/zoe"));
    let refused = bench.calls.create_block(by(admin()), block(Scope::Hub, target())).await;
    assert_eq!(code_of(refused), "denied:hub_operator");
    bench.calls.create_block(by(operator()), block(Scope::Hub, target())).await.unwrap();
    assert_eq!(bench.name_of(&cluster, &zoe).await, "blocked");
    assert_eq!(
        code_of(bench.calls.list_blocks(admin(), Scope::Hub, PageQuery::default()).await),
        "denied:hub_operator"
    );
    let listed = bench.calls.list_blocks(operator(), Scope::Hub, PageQuery::default()).await.unwrap();
    assert_eq!(listed.items.len(), 1);
}

pub(crate) async fn a_block_reaches_sessions_through_what_they_descend_from<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    bench.entry(&cluster, &of(OWN, "role/ops")).await;
    let mut session = identity(&of(OWN, "assumed-role/ops/ss"), "AROAOPS");
    session.ancestors = vec![
        format!("key/{}", key_of(OWN, "ana")),
        String::from("user/AIDAANA"),
        String::from("role/AROADEV:ci-17"),
        String::from("role/AROAOPS"),
        format!("certificate/{}", "0a".repeat(32)),
    ];
    let certificate = |byte: &str| BlockTarget::Certificate { sha256: byte.repeat(32).parse().unwrap() };
    let of_session = |role: &str, name: &str| BlockTarget::Session {
        authority: Authority::Local,
        canonical_arn: of(OWN, role).parse().unwrap(),
        session_name: name.to_owned(),
    };
    session.kin =
        ["user/team/ana", "assumed-role/dev/ci-17", "role/ops"].map(|name| kin(&of(OWN, name))).to_vec();
    let scope = Scope::Cluster(cluster.uid);
    let cases = [
        (principal(&of(OWN, "user/team/ana")), true),
        (principal(&of(OWN, "role/dev")), true),
        (of_session("role/dev", "ci-17"), true),
        (of_session("role/dev", "ci-18"), false),
        (of_session("role/ops", "ci-17"), false),
        (BlockTarget::AccessKey { access_key_id: key_of(OWN, "ana").parse().unwrap() }, true),
        (certificate("0a"), true),
        (certificate("0b"), false),
        (principal(&of(OWN, "user/zoe")), false),
        (principal(&of(TENANT, "role/dev")), false),
        (BlockTarget::AccessKey { access_key_id: key_of(OWN, "zoe").parse().unwrap() }, false),
    ];
    for (target, stops) in cases {
        let put = bench.calls.create_block(by(admin()), block(scope, target.clone())).await.unwrap().value;
        let name = bench.name_of(&cluster, &session).await;
        assert_eq!(name == "blocked", stops, "{target:?}: {name}");
        bench.calls.delete_block(by(admin()), scope, put.id).await.unwrap();
    }
}

pub(crate) async fn blocks_are_listed_with_who_and_why_and_lifted<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.cluster().await;
    let scope = Scope::Cluster(cluster.uid);
    let asked = || block(scope, principal(&of(OWN, "user/zoe")));
    let put: Block = bench.calls.create_block(by(admin()), asked()).await.unwrap().value;
    assert_eq!((put.created_by.as_str(), put.created_at), ("arn:aws:iam::111122223333:user/admin", NOON));
    assert_eq!(code_of(bench.calls.create_block(by(admin()), asked()).await), "exists");
    let with_path = principal(&of(OWN, "role/team/dev"));
    let kept = bench.calls.create_block(by(admin()), block(scope, with_path)).await.unwrap().value;
    assert_eq!(kept.target, principal(&of(OWN, "role/dev")), "as it knocks");
    bench.calls.delete_block(by(admin()), scope, kept.id).await.unwrap();
    let unreasonable = CreateBlock { reason: String::new(), ..block(scope, principal(&of(OWN, "role/dev"))) };
    assert_eq!(code_of(bench.calls.create_block(by(admin()), unreasonable).await), "block_reason");
    let listed = bench.calls.list_blocks(admin(), scope, PageQuery::default()).await.unwrap();
    assert_eq!(listed.items, std::slice::from_ref(&put));
    bench.calls.delete_block(by(admin()), scope, put.id).await.unwrap();
    assert_eq!(code_of(bench.calls.delete_block(by(admin()), scope, put.id).await), "not_found");
    for nth in 0..8 {
        let target = principal(&of(AWS, &format!("role/r{nth}")));
        bench.calls.create_block(by(admin()), block(scope, target)).await.unwrap();
    }
    assert_eq!(code_of(bench.calls.create_block(by(admin()), asked()).await), "limit");
}

pub(crate) async fn a_block_that_stops_nobody_says_so<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.cluster().await;
    let scope = Scope::Cluster(cluster.uid);
    let session = |role: &str| BlockTarget::Session {
        authority: Authority::Local,
        canonical_arn: of(OWN, role).parse().unwrap(),
        session_name: String::from("ss"),
    };
    let theirs = |name: &str| BlockTarget::Principal {
        authority: Authority::Aws,
        canonical_arn: of(AWS, name).parse().unwrap(),
    };
    let whole = |authority| BlockTarget::Account { authority, account: account(OWN) };
    bench.calls.associate_identity_provider(by(admin()), issuer(&cluster, "okta")).await.unwrap();
    bench.calls.associate_identity_provider(by(admin()), issuer(&cluster, "dex")).await.unwrap();
    // Whose tokens the account exchanges for sessions, which a block on their issuer stops too.
    let ci = OidcProvider {
        id: OidcProviderId::random(),
        account: account(OWN),
        issuer_url: String::from("https://ci.example"),
        client_ids: vec![String::from("sts.amazonaws.com")],
        thumbprints: Vec::new(),
        ca_bundle_pem: None,
        tags: Default::default(),
        created_at: NOON,
    };
    let own = Scope::Account(account(OWN));
    let mut tx = bench.store.begin("test", &lanyard_api::Mutation::system("test"), &[own]).await.unwrap();
    tx.insert(&ci).await.unwrap();
    tx.commit_unrecorded().await.unwrap();
    let of_issuer = |url: &str| BlockTarget::OidcIssuer { issuer: url.to_owned() };
    let of_subject =
        |url: &str| BlockTarget::OidcSubject { issuer: url.to_owned(), subject: String::from("ana") };
    let nearest = |url: &str| Some(format!("the nearest is `{url}`"));
    let cases = [
        (principal(&of(OWN, "user/team/ana")), None),
        (principal(&of(OWN, "user/team/ANA")), None),
        (principal(&of(OWN, "role/Dev")), None),
        (session("role/dev"), None),
        (whole(Authority::Local), None),
        (theirs("role/anybody"), None),
        // A user knocks with its path.
        (principal(&of(OWN, "user/ana")), Some(of(OWN, "user/team/ana"))),
        (principal(&of(OWN, "user/nobody")), Some(of(OWN, "user/nobody"))),
        (session("role/nothing"), Some(of(OWN, "role/nothing"))),
        (whole(Authority::Aws), Some(String::from("authority local"))),
        (principal(&of(AWS, "role/anybody")), Some(String::from("authority aws"))),
        // An issuer is written as its tokens write it.
        (of_issuer("https://okta.example"), None),
        (of_subject("https://dex.example"), None),
        (of_issuer("https://ci.example"), None),
        (of_issuer("https://okta.example/"), nearest("https://okta.example")),
        (of_subject("https://Dex.example"), nearest("https://dex.example")),
        (
            of_issuer("https://elsewhere.test/realms/of/somebody/else"),
            Some(String::from("identity-provider list")),
        ),
        // Who there is in another tenant's account is not told.
        (principal(&of(TENANT, "user/eve")), None),
        (principal(&of(TENANT, "user/nobody")), None),
    ];
    for (target, says) in cases {
        let forced = lanyard_api::Mutation { allow_lockout: true, ..by(admin()) };
        let put = bench.calls.create_block(forced, block(scope, target.clone())).await.unwrap();
        match says {
            None => assert!(put.notices.is_empty(), "{target:?}: {:?}", put.notices),
            Some(says) => {
                let [notice] = put.notices.as_slice() else { panic!("{target:?}: {:?}", put.notices) };
                assert!(notice.starts_with("it stops nobody") && notice.contains(&says), "{notice}");
            }
        }
        bench.calls.delete_block(by(admin()), scope, put.value.id).await.unwrap();
    }
    // Which issuers there are at all is no account's to know.
    for scope in [Scope::Hub, own] {
        let put =
            bench.calls.create_block(by(operator()), block(scope, of_issuer("https://okta.example/"))).await;
        assert!(put.unwrap().notices.is_empty(), "{scope}");
    }
    // Nor is it told a hub operator, of whose account it is not.
    for (who, is_told) in [(of(OWN, "user/nobody"), true), (of(TENANT, "user/nobody"), false)] {
        let put = bench.calls.create_block(by(operator()), block(Scope::Hub, principal(&who))).await.unwrap();
        assert_eq!(!put.notices.is_empty(), is_told, "{who}: {:?}", put.notices);
    }
    // Nor whose a key is that is none of the account's.
    for (account, name, is_known) in [(OWN, "ana", true), (OWN, "nobody", false), (TENANT, "eve", false)] {
        let target = BlockTarget::AccessKey { access_key_id: key_of(account, name).parse().unwrap() };
        let put = bench.calls.create_block(by(admin()), block(scope, target)).await.unwrap();
        let told = put.notices.iter().any(|notice| notice.contains("account 111122223333 has no access key"));
        assert_eq!(told, !is_known, "{name}: {:?}", put.notices);
        bench.calls.delete_block(by(admin()), scope, put.value.id).await.unwrap();
    }
}
