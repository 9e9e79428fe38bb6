//! Associations with roles that AWS keeps: which road they take, and that the role is tried.

use std::collections::BTreeMap;

use lanyard_api::{
    Authority, CallError, Mutated, Mutation, Scope,
    authn::accounts::Account,
    credentials::{
        AWS_ROAD_TAG, Associations, AwsRoad, CreatePodIdentityAssociation, PodIdentityAssociationDetail,
        PodIdentityAssociationRef, ProposeTrust, UpdatePodIdentityAssociation,
    },
};
use lanyard_aws::stand_in::{
    Behaviour, StandInKeys, StandInProvider, StandInRole, StandInSubject, StandInTrust,
};
use lanyard_credentials::Credentials;
use lanyard_iam::Partition;
use lanyard_kit::TestClock;
use lanyard_store::test_support::TestDatabase;

use crate::{bench::*, road::*};

impl Road {
    /// What the engine answers, and that the engine behind gRPC answers alike.
    async fn refused(&self, asked: &CreatePodIdentityAssociation) -> &'static str {
        let code = code_of(create(&self.bench.engine, asked.clone()).await);
        let behind = create(&self.bench.grpc(), asked.clone()).await;
        assert!(behind.is_err(), "{behind:?}");
        code
    }
}

fn asked(service_account: &str) -> CreatePodIdentityAssociation {
    let tags = BTreeMap::new();
    CreatePodIdentityAssociation { role_arn: role_arn(), tags, ..crate::bench::asked(service_account) }
}

type Made = Result<Mutated<PodIdentityAssociationDetail>, CallError>;

async fn create(calls: &impl Associations, asked: CreatePodIdentityAssociation) -> Made {
    calls.create_pod_identity_association(Mutation::by(actor_of(HOME)), asked).await
}

async fn update(
    calls: &impl Associations,
    of: &PodIdentityAssociationDetail,
    change: UpdatePodIdentityAssociation,
) -> Made {
    let named = PodIdentityAssociationRef { cluster: dev(), id: of.association.id.clone() };
    calls.update_pod_identity_association(Mutation::by(actor_of(HOME)), named, change).await
}

lanyard_store::on_each_store!(
    immunity_50_a_role_that_lets_the_hub_in_without_its_external_id_is_refused,
    a_role_that_does_not_let_the_session_be_tagged_is_refused_unless_there_are_no_tags,
    immunity_14_an_sts_that_does_not_answer_lets_nothing_be_written_but_unprobed,
    the_road_is_named_by_field_by_tag_or_by_default_and_stays,
    a_role_that_the_hub_keeps_takes_no_road_and_aws_hears_nothing_of_it,
    a_trust_policy_is_proposed_that_lets_this_service_account_in_alone,
    a_hub_that_does_not_call_aws_writes_associations_unprobed,
    a_request_token_that_comes_again_has_its_first_answer_whatever_became_of_the_roles_account,
    a_role_that_trusts_the_issuer_needs_a_provider_that_takes_the_hubs_tokens,
    immunity_50_a_role_that_lets_in_others_of_the_issuer_is_refused,
    immunity_50_a_role_that_trusts_the_issuer_and_lets_any_tenant_in_by_the_hub_is_refused,
);

async fn immunity_50_a_role_that_lets_the_hub_in_without_its_external_id_is_refused(database: TestDatabase) {
    let road = Road::new(&database).await;
    let cases = [
        (None, "aws_role_closed"),
        (Some(StandInTrust::Anyone), "aws_external_id_missing"),
        (Some(StandInTrust::ExternalIdLike("lanyard-".to_owned())), "aws_external_id_any"),
        // Another tenant's: the id is of another ServiceAccount.
        (Some(StandInTrust::ExternalId(road.external_id("theirs"))), "aws_role_closed"),
        (Some(StandInTrust::ExternalId("hub-7".to_owned())), "aws_role_closed"),
    ];
    for (trust, expected) in cases {
        road.trusts(trust.clone());
        assert_eq!(road.refused(&asked("bot")).await, expected, "{trust:?}");
    }
    let message = create(&road.bench.engine, asked("bot")).await.unwrap_err().to_string();
    assert!(message.contains("--print-trust-policy"), "the next step: {message}");
    road.trusts_as_it_should("bot");
    let made = create(&road.bench.grpc(), asked("bot")).await.unwrap();
    assert_eq!(made.notices, [""; 0]);
    let association = made.value.association;
    assert_eq!((association.aws_road, association.unprobed), (Some(AwsRoad::HubPrincipal), false));
    let of_probe = |asked: &BTreeMap<String, String>| asked["RoleSessionName"] == "lanyard-probe";
    assert!(road.sts.assumed().iter().all(of_probe), "whoever looks at CloudTrail sees what it was");
}

async fn a_role_that_does_not_let_the_session_be_tagged_is_refused_unless_there_are_no_tags(
    database: TestDatabase,
) {
    let road = Road::new(&database).await;
    let role = road.role();
    road.sts.add_role(&role_arn(), StandInRole { tag_session: false, ..role });
    assert_eq!(road.refused(&asked("bot")).await, "aws_role_untagged");
    let untagged = CreatePodIdentityAssociation { disable_session_tags: Some(true), ..asked("bot") };
    create(&road.bench.engine, untagged).await.unwrap();
}

async fn immunity_14_an_sts_that_does_not_answer_lets_nothing_be_written_but_unprobed(
    database: TestDatabase,
) {
    let road = Road::new(&database).await;
    road.trusts_as_it_should("bot");
    for behaviour in
        [Behaviour::ServerError, Behaviour::Throttled400, Behaviour::BadJson, Behaviour::RegionDisabled]
    {
        road.sts.behave_at("sts", behaviour);
        let answer = create(&road.bench.engine, asked("bot")).await;
        assert!(matches!(answer, Err(CallError::Fault(_))), "{behaviour:?}: {answer:?}");
    }
    let calls = road.sts.calls();
    let made = create(&road.bench.grpc(), CreatePodIdentityAssociation { unprobed: true, ..asked("bot") })
        .await
        .unwrap();
    assert!(made.value.association.unprobed && made.notices[0].contains("not tried"), "{made:?}");
    assert_eq!(road.sts.calls(), calls, "nobody was asked");
    // Naming the role once more has it tried.
    road.sts.behave(Behaviour::Honest);
    let again = UpdatePodIdentityAssociation { role_arn: Some(role_arn()), ..Default::default() };
    assert!(!update(&road.bench.engine, &made.value, again).await.unwrap().value.association.unprobed);
}

async fn the_road_is_named_by_field_by_tag_or_by_default_and_stays(database: TestDatabase) {
    let road = Road::new(&database).await;
    let tagged = |value: &str| BTreeMap::from([(AWS_ROAD_TAG.to_owned(), value.to_owned())]);
    let unprobed = |asked| CreatePodIdentityAssociation { unprobed: true, ..asked };
    let by_tag = create(
        &road.bench.engine,
        unprobed(CreatePodIdentityAssociation { tags: tagged("issuer"), ..asked("a") }),
    )
    .await;
    assert_eq!(by_tag.unwrap().value.association.aws_road, Some(AwsRoad::Issuer));
    let issuer = CreatePodIdentityAssociation { aws_road: Some(AwsRoad::Issuer), ..asked("b") };
    let by_field = create(&road.bench.grpc(), unprobed(issuer)).await.unwrap().value;
    assert_eq!(by_field.association.aws_road, Some(AwsRoad::Issuer));
    let wrong = [tagged("hub"), tagged("")];
    for tags in wrong {
        assert_eq!(road.refused(&CreatePodIdentityAssociation { tags, ..asked("c") }).await, "aws_road");
    }
    let two = CreatePodIdentityAssociation {
        aws_road: Some(AwsRoad::HubPrincipal),
        tags: tagged("issuer"),
        ..asked("c")
    };
    assert_eq!(road.refused(&two).await, "aws_road");
    // Another change leaves the road as it is, and no role is tried for it.
    let calls = road.sts.calls();
    let target = UpdatePodIdentityAssociation {
        target_role_arn: Some(format!("arn:aws:iam::{ABROAD}:role/data")),
        ..Default::default()
    };
    let changed = update(&road.bench.engine, &by_field, target).await.unwrap().value.association;
    assert_eq!((changed.aws_road, road.sts.calls()), (Some(AwsRoad::Issuer), calls));
    // The other road is another trust, which is tried.
    road.trusts(Some(StandInTrust::Anyone));
    let turned = UpdatePodIdentityAssociation { aws_road: Some(AwsRoad::HubPrincipal), ..Default::default() };
    assert_eq!(
        code_of(update(&road.bench.engine, &by_field, turned.clone()).await),
        "aws_external_id_missing"
    );
    road.trusts_as_it_should("b");
    let changed = update(&road.bench.grpc(), &by_field, turned).await.unwrap().value.association;
    assert_eq!((changed.aws_road, changed.unprobed), (Some(AwsRoad::HubPrincipal), false));
}

async fn a_role_that_the_hub_keeps_takes_no_road_and_aws_hears_nothing_of_it(database: TestDatabase) {
    let road = Road::of(&database, Authority::Local).await;
    road.bench.role("app", PODS_OF_DEV).await;
    let role_arn = format!("arn:aws:iam::{HOME}:role/app");
    let local = CreatePodIdentityAssociation { role_arn: role_arn.clone(), ..asked("bot") };
    let made = create(&road.bench.engine, local.clone()).await.unwrap().value.association;
    assert_eq!((made.aws_road, made.unprobed), (None, false));
    let named = CreatePodIdentityAssociation { aws_road: Some(AwsRoad::Issuer), ..local };
    assert_eq!(
        road.refused(&CreatePodIdentityAssociation { service_account: "b".to_owned(), ..named }).await,
        "aws_road"
    );
    let trust = ProposeTrust {
        cluster: dev(),
        namespace: "team-a".to_owned(),
        service_account: "bot".to_owned(),
        role_arn,
        aws_road: None,
    };
    assert_eq!(code_of(road.bench.engine.propose_trust(actor_of(HOME), trust).await), "aws_road");
    assert_eq!(road.sts.calls(), 0);
}

async fn a_trust_policy_is_proposed_that_lets_this_service_account_in_alone(database: TestDatabase) {
    let road = Road::new(&database).await;
    let trust = ProposeTrust {
        cluster: dev(),
        namespace: "team-a".to_owned(),
        service_account: "bot".to_owned(),
        role_arn: role_arn(),
        aws_road: None,
    };
    let proposal = road.bench.grpc().propose_trust(actor_of(HOME), trust.clone()).await.unwrap();
    assert_eq!(proposal, road.bench.engine.propose_trust(actor_of(HOME), trust.clone()).await.unwrap());
    assert_eq!(proposal.aws_road, AwsRoad::HubPrincipal);
    assert_eq!(proposal.principal, format!("arn:aws:iam::{HOME}:role/lanyard/hub"), "with its path");
    assert_eq!(proposal.external_id, Some(road.external_id("bot")));
    assert!(proposal.trust_policy.contains(&road.external_id("bot")), "{}", proposal.trust_policy);
    assert!(proposal.notices[0].contains("an hour at most"), "{:?}", proposal.notices);
    let other = ProposeTrust { namespace: "Team A".to_owned(), ..trust.clone() };
    assert_eq!(code_of(road.bench.engine.propose_trust(actor_of(HOME), other).await), "namespace");
    // Another tenant's cluster is not there for them, and another tenant's role is no role of this cluster's account.
    assert_eq!(code_of(road.bench.engine.propose_trust(actor_of(ABROAD), trust.clone()).await), "not_found");
    let theirs = ProposeTrust { role_arn: format!("arn:aws:iam::{ABROAD}:role/app"), ..trust };
    assert_eq!(code_of(road.bench.engine.propose_trust(actor_of(HOME), theirs).await), "role_account");
    assert_eq!(road.sts.assumed().len(), 0, "the role was not asked about");
}

async fn a_hub_that_does_not_call_aws_writes_associations_unprobed(database: TestDatabase) {
    let open = |store: &_, config| Credentials::new(store, config).unwrap();
    let bench = Bench::of(&database, TestClock::new(NOON), Authority::Aws, open).await;
    let made = create(&bench.engine, asked("bot")).await.unwrap();
    assert!(made.value.association.unprobed && made.notices[0].contains("aws.enabled"), "{:?}", made.notices);
    assert_eq!(made.value.association.role_arn.partition, Partition::Aws);
    let trust = ProposeTrust {
        cluster: dev(),
        namespace: "team-a".to_owned(),
        service_account: "bot".to_owned(),
        role_arn: role_arn(),
        aws_road: None,
    };
    assert_eq!(code_of(bench.engine.propose_trust(actor_of(HOME), trust).await), "aws_mode");
}

async fn create_once(calls: &impl Associations, token: &str, asked: &CreatePodIdentityAssociation) -> Made {
    let client_request_token = Some(token.parse().unwrap());
    let by = Mutation { client_request_token, ..Mutation::by(actor_of(HOME)) };
    calls.create_pod_identity_association(by, asked.clone()).await
}

async fn a_request_token_that_comes_again_has_its_first_answer_whatever_became_of_the_roles_account(
    database: TestDatabase,
) {
    let open = |store: &_, config| Credentials::new(store, config).unwrap();
    let bench = Bench::of(&database, TestClock::new(NOON), Authority::Aws, open).await;
    let abroad: Account = bench.stored(Scope::Hub, ABROAD).await;
    put(&bench.store, &Account { authority: Authority::Aws, ..abroad }).await;
    let role_arn = format!("arn:aws:iam::{ABROAD}:role/app");
    let of_abroad = CreatePodIdentityAssociation { role_arn, ..asked("abroad") };
    let of_home = by_issuer("bot");
    let first = create_once(&bench.engine, "abroad", &of_abroad).await.unwrap();
    let second = create_once(&bench.engine, "home", &of_home).await.unwrap();

    // The one account goes, the other becomes the hub's own.
    let scopes = [Scope::Hub, Scope::Account(account(ABROAD))];
    let mut tx = bench.store.begin("test", &Mutation::system("test"), &scopes).await.unwrap();
    tx.delete::<Account>(Scope::Hub, ABROAD).await.unwrap().unwrap();
    tx.commit_unrecorded().await.unwrap();
    let home: Account = bench.stored(Scope::Hub, HOME).await;
    put(&bench.store, &Account { authority: Authority::Local, ..home }).await;
    assert_eq!(code_of(create_once(&bench.engine, "later", &of_abroad).await), "role_account");
    assert_eq!(code_of(create_once(&bench.engine, "later", &of_home).await), "aws_road");
    assert_eq!(create_once(&bench.engine, "abroad", &of_abroad).await.unwrap(), first);
    assert_eq!(create_once(&bench.engine, "home", &of_home).await.unwrap(), second);
}

fn by_issuer(service_account: &str) -> CreatePodIdentityAssociation {
    CreatePodIdentityAssociation { aws_road: Some(AwsRoad::Issuer), ..asked(service_account) }
}

/// What every token of the ServiceAccount says that it is.
fn subject(service_account: &str) -> String {
    format!("system:serviceaccount:team-a:{service_account}")
}

async fn a_role_that_trusts_the_issuer_needs_a_provider_that_takes_the_hubs_tokens(database: TestDatabase) {
    let road = Road::new(&database).await;
    let own = road.provider().await;
    road.trusts_subject(Some(StandInSubject::Is(subject("bot"))));
    assert_eq!(road.refused(&by_issuer("bot")).await, "aws_issuer_provider", "there is none");
    // Another account's, one of another issuer, one for others, and one whose keys are another cluster's.
    let another = road.bench.another_cluster("prod").await;
    let providers = [
        StandInProvider { account: ABROAD.to_owned(), ..own.clone() },
        StandInProvider { issuer_url: format!("{}/", own.issuer_url), ..own.clone() },
        StandInProvider { client_id: "vault".to_owned(), ..own.clone() },
        StandInProvider { keys: road.provider_of(&another).await.keys, ..own.clone() },
    ];
    for provider in providers {
        road.sts.add_provider(provider.clone());
        assert_eq!(road.refused(&by_issuer("bot")).await, "aws_issuer_provider", "{provider:?}");
    }
    // Keys that AWS cannot fetch say nothing of the role.
    road.sts.add_provider(StandInProvider { keys: StandInKeys::Unreachable, ..own.clone() });
    let answer = create(&road.bench.engine, by_issuer("bot")).await;
    assert!(matches!(answer, Err(CallError::Fault(_))), "{answer:?}");
    road.sts.add_provider(own);
    let made = create(&road.bench.grpc(), by_issuer("bot")).await.unwrap();
    let association = &made.value.association;
    assert_eq!((association.aws_road, association.unprobed), (Some(AwsRoad::Issuer), false));
    assert_eq!(made.notices, [""; 0]);
    let is_of_probe = |asked: &BTreeMap<String, String>| {
        asked["RoleSessionName"] == "lanyard-probe" && asked["Policy"].contains("\"Deny\"")
    };
    assert!(road.sts.assumed().iter().all(is_of_probe), "what a try is given can do nothing");
}

async fn immunity_50_a_role_that_lets_in_others_of_the_issuer_is_refused(database: TestDatabase) {
    let road = Road::new(&database).await;
    road.sts.add_provider(road.provider().await);
    let cases = [
        (None, "aws_role_closed"),
        (Some(StandInSubject::Is(subject("theirs"))), "aws_role_closed"),
        (Some(StandInSubject::Is("system:serviceaccount:team-b:bot".to_owned())), "aws_role_closed"),
        // Without a condition, by a pattern for the namespace, and by one that begins as the ServiceAccount does.
        (Some(StandInSubject::Any), "aws_any_subject"),
        (Some(StandInSubject::Like("system:serviceaccount:team-a:".to_owned())), "aws_any_subject"),
        (Some(StandInSubject::Like(subject("bot"))), "aws_any_subject"),
    ];
    for (trust, expected) in cases {
        road.trusts_subject(trust.clone());
        assert_eq!(road.refused(&by_issuer("bot")).await, expected, "{trust:?}");
    }
    // Whoever means it says so, and is told what it means.
    let forced = CreatePodIdentityAssociation { allow_any_cluster: true, ..by_issuer("forced") };
    road.trusts_subject(Some(StandInSubject::Any));
    let made = create(&road.bench.engine, forced).await.unwrap();
    assert!(made.notices[0].contains("other ServiceAccounts"), "{:?}", made.notices);
    // A role that does not let itself be tagged.
    let trust = StandInRole { web_identity: Some(StandInSubject::Is(subject("bot"))), ..road.role() };
    road.sts.add_role(&role_arn(), StandInRole { tag_session: false, ..trust.clone() });
    assert_eq!(road.refused(&by_issuer("bot")).await, "aws_role_untagged");
    road.sts.add_role(&role_arn(), trust);
    create(&road.bench.engine, by_issuer("bot")).await.unwrap();
}

async fn immunity_50_a_role_that_trusts_the_issuer_and_lets_any_tenant_in_by_the_hub_is_refused(
    database: TestDatabase,
) {
    let road = Road::new(&database).await;
    road.sts.add_provider(road.provider().await);
    let trusts = |people: Option<StandInTrust>| {
        // The issuer's part of the policy is as it should be.
        road.sts.add_role(&role_arn(), StandInRole { people, ..road.role() });
    };
    let meant = CreatePodIdentityAssociation { allow_any_cluster: true, ..by_issuer("bot") };
    let cases = [
        (StandInTrust::Anyone, "aws_external_id_missing"),
        (StandInTrust::ExternalIdLike("lanyard-".to_owned()), "aws_external_id_any"),
    ];
    for (trust, expected) in cases {
        trusts(Some(trust.clone()));
        assert_eq!(road.refused(&by_issuer("bot")).await, expected, "{trust:?}");
        assert_eq!(road.refused(&meant).await, expected, "{trust:?}: that is about the issuer's clusters");
    }
    // By this very ServiceAccount's id the hub may be let in beside.
    trusts(Some(StandInTrust::ExternalId(road.external_id("bot"))));
    let made = create(&road.bench.grpc(), by_issuer("bot")).await.unwrap();
    assert_eq!((made.value.association.unprobed, made.notices), (false, Vec::new()));
}
