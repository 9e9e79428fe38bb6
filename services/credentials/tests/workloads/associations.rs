use std::collections::BTreeMap;

use lanyard_api::{
    CallError, Mutated, Mutation, PageQuery, Scope, Vouched,
    credentials::{
        Associations, CreatePodIdentityAssociation, PodIdentityAssociationDetail,
        PodIdentityAssociationFilter, PodIdentityAssociationRef, UpdatePodIdentityAssociation,
    },
    tags::{TagEdit, TaggedArn, Tags},
};

use crate::bench::*;

const NARROW: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;

fn role(name: &str) -> String {
    format!("arn:aws:iam::{HOME}:role/{name}")
}

type Made = Result<Mutated<PodIdentityAssociationDetail>, CallError>;

async fn create(calls: &impl Associations, asked: CreatePodIdentityAssociation) -> Made {
    calls.create_pod_identity_association(Mutation::by(actor_of(HOME)), asked).await
}

fn named(detail: &PodIdentityAssociationDetail) -> PodIdentityAssociationRef {
    PodIdentityAssociationRef { cluster: dev(), id: detail.association.id.clone() }
}

async fn update(
    calls: &impl Associations,
    of: &PodIdentityAssociationDetail,
    change: UpdatePodIdentityAssociation,
) -> Made {
    calls.update_pod_identity_association(Mutation::by(actor_of(HOME)), named(of), change).await
}

/// The ServiceAccounts that have one, page by page.
async fn listed(calls: &impl Associations, namespace: Option<&str>, name: Option<&str>) -> Vec<String> {
    let filter = PodIdentityAssociationFilter {
        namespace: namespace.map(str::to_owned),
        service_account: name.map(str::to_owned),
    };
    let (mut all, mut page) = (Vec::new(), PageQuery { items_max: 2, token: String::new() });
    loop {
        let by = actor_of(HOME);
        let got = calls.list_pod_identity_associations(by, dev(), filter.clone(), page).await.unwrap();
        all.extend(
            got.items.iter().map(|found| {
                format!("{}/{}", found.association.namespace, found.association.service_account)
            }),
        );
        match got.next_token {
            Some(token) => page = PageQuery { items_max: 2, token },
            None => return all,
        }
    }
}

pub(crate) async fn one_is_made_found_changed_and_taken_away(bench: &Bench, calls: &impl Associations) {
    bench.role("app", PODS_OF_DEV).await;
    bench.role("other", PODS_OF_DEV).await;
    let made = create(calls, asked("bot")).await.unwrap();
    assert_eq!(made.notices, [""; 0]);
    let (made, id) = (made.value.clone(), made.value.association.id.clone());
    assert_eq!(made.arn, format!("arn:aws:eks:eu-central-1:{HOME}:podidentityassociation/dev/{id}"));
    assert_eq!((&made.external_id, made.association.disable_session_tags), (&None, false));
    assert_eq!(calls.get_pod_identity_association(actor_of(HOME), named(&made)).await.unwrap(), made);
    let snapshot = bench.engine.associations(bench.cluster.uid).await.unwrap();
    assert_eq!(**snapshot.of("team-a", "bot").unwrap(), made.association);
    assert!(snapshot.of("team-a", "Bot").is_none() && snapshot.of("team-b", "bot").is_none());

    bench.clock.advance(time::Duration::minutes(1));
    let change = UpdatePodIdentityAssociation {
        role_arn: Some(role("other")),
        target_role_arn: Some(format!("arn:aws:iam::{ABROAD}:role/data")),
        disable_session_tags: Some(true),
        policy: Some(NARROW.to_owned()),
        ..Default::default()
    };
    let changed = update(calls, &made, change.clone()).await.unwrap().value;
    assert_eq!(changed.association.modified_at, NOON + time::Duration::minutes(1));
    assert_eq!(changed.association.created_at, NOON);
    let external_id = format!("eu-central-1/{HOME}/dev/team-a/bot");
    assert_eq!(changed.external_id.as_ref(), Some(&external_id));
    let revision = bench.revision().await;
    bench.clock.advance(time::Duration::minutes(1));
    assert_eq!(update(calls, &made, change).await.unwrap().value, changed, "the same again is no change");
    assert_eq!(bench.revision().await, revision);
    let away = UpdatePodIdentityAssociation {
        target_role_arn: Some(String::new()),
        policy: Some(String::new()),
        ..Default::default()
    };
    let changed = update(calls, &made, away).await.unwrap().value;
    assert_eq!((&changed.external_id, &changed.association.policy), (&None, &None));
    assert_eq!(changed.association.role_arn.to_string(), role("other"), "what is absent stays");

    let gone = calls.delete_pod_identity_association(Mutation::by(actor_of(HOME)), named(&made)).await;
    assert_eq!(gone.unwrap().value, changed);
    assert!(bench.engine.associations(bench.cluster.uid).await.unwrap().of("team-a", "bot").is_none());
    let by = || Mutation::by(actor_of(HOME));
    assert_eq!(code_of(calls.get_pod_identity_association(actor_of(HOME), named(&made)).await), "not_found");
    assert_eq!(code_of(calls.delete_pod_identity_association(by(), named(&made)).await), "not_found");
    assert_eq!(code_of(update(calls, &made, UpdatePodIdentityAssociation::default()).await), "not_found");
    let anew = create(calls, asked("bot")).await.unwrap().value;
    assert_ne!(anew.association.id, id, "another one");
}

pub(crate) async fn a_service_account_has_one_and_the_refusal_names_it(
    bench: &Bench,
    calls: &impl Associations,
) {
    bench.role("app", PODS_OF_DEV).await;
    let first = create(calls, asked("bot")).await.unwrap().value;
    match create(calls, asked("bot")).await {
        Err(CallError::AlreadyExists { name, .. }) => assert_eq!(name, first.association.id.to_string()),
        other => panic!("{other:?}"),
    }
    create(calls, CreatePodIdentityAssociation { namespace: "team-b".to_owned(), ..asked("bot") })
        .await
        .unwrap();
    bench.another_cluster("prod").await;
    let elsewhere = CreatePodIdentityAssociation { cluster: "prod".parse().unwrap(), ..asked("bot") };
    assert_eq!(
        code_of(create(calls, elsewhere).await),
        "role_trust",
        "the role is kept to the other cluster"
    );
}

pub(crate) async fn they_are_listed_in_order_and_by_filter(bench: &Bench, calls: &impl Associations) {
    bench.role("app", PODS_OF_DEV).await;
    for (namespace, name) in [("b", "x"), ("a", "z"), ("a-b", "x"), ("a", "x"), ("a", "y")] {
        let asked = CreatePodIdentityAssociation { namespace: namespace.to_owned(), ..asked(name) };
        create(calls, asked).await.unwrap();
    }
    assert_eq!(listed(calls, None, None).await, ["a/x", "a/y", "a/z", "a-b/x", "b/x"]);
    assert_eq!(listed(calls, Some("a"), None).await, ["a/x", "a/y", "a/z"]);
    assert_eq!(listed(calls, None, Some("x")).await, ["a/x", "a-b/x", "b/x"]);
    assert_eq!(listed(calls, Some("b"), Some("x")).await, ["b/x"]);
    assert_eq!(listed(calls, Some("none"), None).await, [""; 0]);
}

pub(crate) async fn what_breaks_a_rule_is_not_written(bench: &Bench, calls: &impl Associations) {
    bench.role("app", PODS_OF_DEV).await;
    bench.role("untrusting", EC2).await;
    bench.role("untagged", UNTAGGED).await;
    let bad = |change: &dyn Fn(&mut CreatePodIdentityAssociation)| {
        let mut asked = asked("bot");
        change(&mut asked);
        asked
    };
    let cases = [
        (bad(&|asked| asked.namespace = "Team".to_owned()), "namespace"),
        (bad(&|asked| asked.service_account = "*".to_owned()), "service_account"),
        (bad(&|asked| asked.role_arn = role("none")), "role_missing"),
        (bad(&|asked| asked.role_arn = role("team/app")), "role_missing"),
        (bad(&|asked| asked.role_arn = role("APP")), "role_missing"),
        (bad(&|asked| asked.role_arn = role("untrusting")), "role_trust"),
        (bad(&|asked| asked.role_arn = role("untagged")), "role_trust"),
        (bad(&|asked| asked.role_arn = format!("arn:aws:iam::{ABROAD}:role/app")), "role_account"),
        (bad(&|asked| asked.role_arn = format!("arn:aws:iam::{HOME}:user/app")), "role_arn"),
        (bad(&|asked| asked.target_role_arn = Some("app".to_owned())), "role_arn"),
        (bad(&|asked| asked.policy = Some(NARROW.to_owned())), "policy_with_session_tags"),
        (bad(&|asked| drop(asked.tags.insert("aws:x".to_owned(), String::new()))), "tags"),
    ];
    for (asked, rule) in cases {
        assert_eq!(code_of(create(calls, asked.clone()).await), rule, "{asked:?}");
    }
    assert_eq!(bench.revision().await, 0);
    let made = create(calls, asked("bot")).await.unwrap().value;
    let policy = Some(NARROW.to_owned());
    let changes = [
        (UpdatePodIdentityAssociation { role_arn: Some(role("none")), ..Default::default() }, "role_missing"),
        (UpdatePodIdentityAssociation { policy, ..Default::default() }, "policy_with_session_tags"),
    ];
    for (change, rule) in changes {
        assert_eq!(code_of(update(calls, &made, change.clone()).await), rule, "{change:?}");
    }
    assert_eq!(calls.get_pod_identity_association(actor_of(HOME), named(&made)).await.unwrap(), made);
}

pub(crate) async fn a_cluster_has_no_more_associations_than_the_limit(
    bench: &Bench,
    calls: &impl Associations,
) {
    bench.role("app", PODS_OF_DEV).await;
    for n in 0..ASSOCIATIONS_MOST {
        create(calls, asked(&format!("bot-{n}"))).await.unwrap();
    }
    assert_eq!(code_of(create(calls, asked("bot")).await), "limit");
}

pub(crate) async fn immunity_11_a_role_of_use_in_any_cluster_is_refused_unless_forced_and_the_condition_proposed(
    bench: &Bench,
    calls: &impl Associations,
) {
    bench.role("app", PODS).await;
    bench.role("narrow", PODS_OF_DEV).await;
    let condition =
        format!(r#"{{"ArnEquals":{{"aws:SourceArn":"arn:aws:eks:eu-central-1:{HOME}:cluster/dev"}}}}"#);
    let before = bench.revision().await;
    let refused = create(calls, asked("bot")).await;
    let text = refused.as_ref().unwrap_err().to_string();
    assert!(text.contains(&condition) && text.contains("lanyard:any-cluster=true"), "{text}");
    assert_eq!(code_of(refused), "any_cluster");
    assert_eq!(bench.revision().await, before, "nothing is written");

    let forced = CreatePodIdentityAssociation { allow_any_cluster: true, ..asked("bot") };
    let made = create(calls, forced).await.unwrap();
    assert!(made.notices[0].contains(&condition), "{made:?}");

    let narrow = CreatePodIdentityAssociation { role_arn: role("narrow"), ..asked("other") };
    let narrow = create(calls, narrow).await.unwrap().value;
    let widen = |allow_any_cluster| UpdatePodIdentityAssociation {
        role_arn: Some(role("app")),
        allow_any_cluster,
        ..Default::default()
    };
    assert_eq!(code_of(update(calls, &narrow, widen(false)).await), "any_cluster");
    assert!(update(calls, &narrow, widen(true)).await.unwrap().notices[0].contains(&condition));

    bench.tagged_role("tagged", PODS, &[("lanyard:any-cluster", "true")]).await;
    bench.tagged_role("mistagged", PODS, &[("lanyard:any-cluster", "yes")]).await;
    let with = |name: &str| CreatePodIdentityAssociation { role_arn: role(name), ..asked(name) };
    assert!(create(calls, with("tagged")).await.unwrap().notices[0].contains(&condition));
    assert_eq!(code_of(create(calls, with("mistagged")).await), "any_cluster");
}

pub(crate) async fn immunity_37_a_cluster_that_is_gone_takes_its_associations_along(
    bench: &Bench,
    calls: &impl Associations,
) {
    bench.role("app", PODS_OF_DEV).await;
    let made = create(calls, asked("bot")).await.unwrap().value;
    bench.delete(&bench.cluster).await;
    assert_eq!(code_of(calls.get_pod_identity_association(actor_of(HOME), named(&made)).await), "not_found");
    bench.another_cluster("dev").await;
    assert_eq!(listed(calls, None, None).await, [""; 0]);
    assert_eq!(code_of(calls.get_pod_identity_association(actor_of(HOME), named(&made)).await), "not_found");
}

pub(crate) async fn an_association_is_tagged_by_its_arn<C: Associations + Tags>(bench: &Bench, calls: &C) {
    bench.role("app", PODS_OF_DEV).await;
    let made = create(calls, asked("bot")).await.unwrap().value;
    let by = || Mutation::by(actor_of(HOME));
    let tags = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let arn: TaggedArn = made.arn.parse().unwrap();
    assert_eq!(calls.list_tags(actor_of(HOME), arn.clone()).await.unwrap(), tags(&[("team", "a")]));
    let put = TagEdit::Put(tags(&[("stage", "live"), ("team", "b")]));
    let edited = calls.edit_tags(by(), arn.clone(), put.clone()).await.unwrap().value;
    assert_eq!(edited, tags(&[("stage", "live"), ("team", "b")]));
    let remove = TagEdit::Remove(vec!["team".to_owned()]);
    calls.edit_tags(by(), arn.clone(), remove).await.unwrap();
    let described = calls.get_pod_identity_association(actor_of(HOME), named(&made)).await.unwrap();
    assert_eq!(described.association.tags, tags(&[("stage", "live")]));
    let bad = TagEdit::Put(tags(&[("Aws:x", "")]));
    assert_eq!(code_of(calls.edit_tags(by(), arn.clone(), bad).await), "tags");
    // What another service keeps is none of its own.
    let of_cluster: TaggedArn = bench.cluster.arn().parse().unwrap();
    assert_eq!(code_of(bench.engine.list_tags(actor_of(HOME), of_cluster.clone()).await), "not_found");
    assert_eq!(code_of(bench.engine.edit_tags(by(), of_cluster, put.clone()).await), "not_found");
    let others = [made.arn.replace("/dev/", "/none/"), made.arn.replace("eu-central-1", "us-east-1")];
    for other in others {
        let other: TaggedArn = other.parse().unwrap();
        assert_eq!(code_of(calls.list_tags(actor_of(HOME), other.clone()).await), "not_found", "{other}");
        assert_eq!(code_of(calls.edit_tags(by(), other, put.clone()).await), "not_found");
    }
    let eve = actor_of(ABROAD);
    assert_eq!(code_of(calls.list_tags(eve.clone(), arn.clone()).await), "not_found");
    assert_eq!(code_of(calls.edit_tags(Mutation::by(eve), arn, put).await), "not_found");
}

pub(crate) async fn a_signed_request_seen_again_makes_no_second_one(
    bench: &Bench,
    calls: &impl Associations,
) {
    bench.role("app", PODS_OF_DEV).await;
    let ask = || calls.create_pod_identity_association(Mutation::by(signed(9)), asked("bot"));
    let first = ask().await.unwrap();
    assert_eq!(ask().await.unwrap(), first);
    let by: Vouched<_> = signed(10);
    let gone = calls.delete_pod_identity_association(Mutation::by(by), named(&first.value)).await;
    gone.unwrap();
    assert_eq!(code_of(ask().await), "replayed", "and what is gone stays gone");
    assert_eq!(listed(calls, None, None).await, [""; 0]);
    assert!(bench.store.revision(Scope::Cluster(bench.cluster.uid)).await.unwrap().0 == 2);
}
