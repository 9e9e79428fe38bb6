//! What is AWS's own about its STS as a source: what it is asked, what it remembers, and what its silence means.

use lanyard_api::{
    ClusterUid,
    credentials::{AwsRoad, PodIdentityAssociation},
};
use lanyard_aws::stand_in::{Behaviour, StandInRole, StandInSubject, StandInTrust};
use lanyard_credentials::{CredentialSource as _, Decided, SourceError, external_id};
use lanyard_store::test_support::TestDatabase;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::{
    road::*,
    sources::{OF_TARGET, decided, hop, refusal},
    vending::TARGET,
};

lanyard_store::on_each_store!(
    the_hubs_principal_names_its_external_id_and_gets_an_hour_where_it_is_a_session,
    the_hub_signs_for_the_issuer_what_aws_verifies_by_the_published_keys,
    a_session_is_as_long_as_the_role_allows_whether_iam_tells_it_or_not,
    an_iam_that_had_no_time_is_asked_again_in_a_minute,
    who_hears_nothing_of_iam_goes_by_what_another_was_told_meanwhile,
    a_target_role_is_assumed_with_a_session_that_is_used_once,
    immunity_50_a_role_of_another_tenant_is_of_no_use_here,
    immunity_50_a_role_that_was_not_tried_when_written_is_before_its_first_use,
    immunity_14_a_silent_sts_is_a_fault_and_a_busy_one_says_so,
    a_role_that_takes_no_road_never_reaches_aws,
);

impl Road {
    fn decided(&self, road: AwsRoad) -> Decided {
        decided(&self.bench.cluster, self.association(Some(road)), None)
    }
}

async fn the_hubs_principal_names_its_external_id_and_gets_an_hour_where_it_is_a_session(
    database: TestDatabase,
) {
    let road = Road::new(&database).await;
    road.sts.add_role(&role_arn(), StandInRole { anew: false, seconds_max: 12 * HOUR, ..road.role() });
    let given = road.source().credentials(&road.decided(AwsRoad::HubPrincipal)).await.unwrap().credentials;
    assert_eq!(given.access_key_id.as_str(), "ASIAPODPODPODPODPODP");
    assert_eq!(given.secret_access_key.expose_secret(), "secret of ASIAPODPODPODPODPODP");
    assert_eq!(given.session_token.expose_secret(), "token of ASIAPODPODPODPODPODP");
    assert_eq!(road.last("ExternalId"), Some(road.external_id("bot")));
    // IAM: role chaining, whatever the role allows.
    assert_eq!(road.last("DurationSeconds"), Some(HOUR.to_string()));
}

async fn the_hub_signs_for_the_issuer_what_aws_verifies_by_the_published_keys(database: TestDatabase) {
    let road = Road::new(&database).await;
    road.sts.add_provider(road.provider().await);
    road.sts.add_role(&role_arn(), StandInRole { seconds_max: 12 * HOUR, ..road.role() });
    let asked = road.decided(AwsRoad::Issuer);
    road.source().credentials(&asked).await.unwrap();
    // Nobody's session assumes it: six hours.
    assert_eq!(road.last("DurationSeconds"), Some((6 * HOUR).to_string()));
    assert_eq!(
        (road.last("ExternalId"), road.last("Tags.member.1.Key")),
        (None, None),
        "they are in the token"
    );
    let claims = road.last_claims();
    assert_eq!(claims["iss"], format!("https://hub.example/id/{}", road.bench.cluster.uid));
    assert_eq!(
        (&claims["sub"], &claims["aud"]),
        (&json!("system:serviceaccount:team-a:bot"), &json!("sts.amazonaws.com"))
    );
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300, "it is shown at once");
    // A key that AWS does not know yet is no word about the role, but about the provider.
    let another = road.bench.another_cluster("prod").await;
    let keys = road.provider_of(&another).await.keys;
    road.sts.add_provider(lanyard_aws::stand_in::StandInProvider { keys, ..road.provider().await });
    assert_eq!(refusal(road.source().credentials(&asked)).await.0, "aws_issuer_provider");
}

async fn a_session_is_as_long_as_the_role_allows_whether_iam_tells_it_or_not(database: TestDatabase) {
    let road = Road::of_user(&database).await;
    road.sts.add_role(&role_arn(), StandInRole { seconds_max: 2 * HOUR, ..road.role() });
    let asked = road.decided(AwsRoad::HubPrincipal);
    // IAM does not know it: six hours are refused, and an hour is what every role allows.
    for expected_calls in [2, 1] {
        let before = road.sts.assumed().len();
        road.source().credentials(&asked).await.unwrap();
        assert_eq!(road.last("DurationSeconds"), Some(HOUR.to_string()));
        assert_eq!(road.sts.assumed().len() - before, expected_calls, "what was learned is remembered");
    }
    // An hour later IAM tells.
    road.sts.add_principal(&role_arn(), "AROAAPP");
    road.bench.clock.advance(time::Duration::HOUR);
    let before = road.sts.assumed().len();
    road.source().credentials(&asked).await.unwrap();
    assert_eq!(road.last("DurationSeconds"), Some((2 * HOUR).to_string()));
    assert_eq!(road.sts.assumed().len() - before, 1);
}

async fn an_iam_that_had_no_time_is_asked_again_in_a_minute(database: TestDatabase) {
    let road = Road::of_user(&database).await;
    road.sts.add_role(&role_arn(), StandInRole { seconds_max: 2 * HOUR, ..road.role() });
    road.sts.add_principal(&role_arn(), "AROAAPP");
    let asked = road.decided(AwsRoad::HubPrincipal);
    road.sts.behave_at("iam", Behaviour::ServerError);
    for _ in 0..2 {
        road.source().credentials(&asked).await.unwrap();
        assert_eq!(road.last("DurationSeconds"), Some(HOUR.to_string()));
    }
    assert_eq!(road.sts.calls_of("iam"), 1, "within the minute it is left alone");
    road.sts.behave_at("iam", Behaviour::Honest);
    road.bench.clock.advance(time::Duration::MINUTE);
    road.source().credentials(&asked).await.unwrap();
    assert_eq!(road.last("DurationSeconds"), Some((2 * HOUR).to_string()));
}

async fn who_hears_nothing_of_iam_goes_by_what_another_was_told_meanwhile(database: TestDatabase) {
    let road = Road::of_user(&database).await;
    road.sts.add_role(&role_arn(), StandInRole { seconds_max: 2 * HOUR, ..road.role() });
    road.sts.add_principal(&role_arn(), "AROAAPP");
    let (asked, source) = (road.decided(AwsRoad::HubPrincipal), road.source());
    let before = road.sts.assumed().len();
    road.sts.behave_at("iam", Behaviour::Hang);
    let meanwhile = async {
        while road.sts.calls_of("iam") == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        road.sts.behave_at("iam", Behaviour::Honest);
        source.credentials(&asked).await.unwrap();
    };
    let (late, ()) = futures::join!(source.credentials(&asked), meanwhile);
    late.unwrap();
    assert_eq!(road.last("DurationSeconds"), Some((2 * HOUR).to_string()), "the late one's");
    assert_eq!(road.sts.assumed().len() - before, 2, "nobody asks for too long a session");
}

async fn a_target_role_is_assumed_with_a_session_that_is_used_once(database: TestDatabase) {
    let road = Road::of_user(&database).await;
    road.sts.add_role(&role_arn(), road.role());
    let data = keys("ASIADATADATADATADATA");
    let role = StandInRole::new(&data).trusting(StandInTrust::ExternalId(OF_TARGET.to_owned()));
    road.sts.add_role(TARGET, StandInRole { tag_session: false, ..role });
    let asked = Decided {
        session_policy: Some("{}".to_owned()),
        ..decided(
            &road.bench.cluster,
            road.association(Some(AwsRoad::HubPrincipal)),
            Some(hop(Some(OF_TARGET))),
        )
    };
    let given = road.source().credentials(&asked).await.unwrap();
    assert_eq!(given.credentials.access_key_id, data.access_key_id);
    let sent = road.sts.assumed();
    let of = |at: usize, name: &str| sent[at].get(name).map(String::as_str);
    assert_eq!((of(0, "Policy"), of(0, "DurationSeconds")), (None, Some("900")));
    assert_eq!((of(1, "Policy"), of(1, "DurationSeconds")), (Some("{}"), Some("3540")));
    assert_eq!(of(1, "ExternalId"), Some(OF_TARGET));
    assert_eq!(of(1, "Tags.member.1.Key"), None, "those of the first session are transitive");
}

async fn immunity_50_a_role_of_another_tenant_is_of_no_use_here(database: TestDatabase) {
    let road = Road::new(&database).await;
    // It trusts the hub with the id of another cluster's ServiceAccount of the same name.
    let theirs = external_id(road.hub, ClusterUid::random(), "team-a", "bot");
    road.trusts(Some(StandInTrust::ExternalId(theirs)));
    assert_eq!(
        refusal(road.source().credentials(&road.decided(AwsRoad::HubPrincipal))).await.0,
        "role_trust"
    );
    // It trusts the issuer of another cluster, or another ServiceAccount of this one.
    road.sts.add_provider(road.provider_of(&road.bench.another_cluster("prod").await).await);
    road.trusts_subject(Some(StandInSubject::Any));
    let asked = road.decided(AwsRoad::Issuer);
    assert_eq!(refusal(road.source().credentials(&asked)).await.0, "aws_issuer_provider");
    road.sts.add_provider(road.provider().await);
    road.trusts_subject(Some(StandInSubject::Is("system:serviceaccount:team-a:bot2".to_owned())));
    assert_eq!(refusal(road.source().credentials(&asked)).await.0, "role_trust");
}

async fn immunity_50_a_role_that_was_not_tried_when_written_is_before_its_first_use(database: TestDatabase) {
    let road = Road::new(&database).await;
    let unprobed = |aws_road: AwsRoad| {
        let association = road.association(Some(aws_road));
        decided(&road.bench.cluster, PodIdentityAssociation { unprobed: true, ..association }, None)
    };
    let asked = unprobed(AwsRoad::HubPrincipal);
    let cases = [
        (StandInTrust::Anyone, "aws_external_id_missing"),
        (StandInTrust::ExternalIdLike("lanyard-".to_owned()), "aws_external_id_any"),
        (StandInTrust::ExternalId("hub-7".to_owned()), "aws_role_closed"),
    ];
    for (trust, expected) in cases {
        road.trusts(Some(trust.clone()));
        assert_eq!(refusal(road.source().credentials(&asked)).await.0, expected, "{trust:?}");
    }
    let by_issuer = unprobed(AwsRoad::Issuer);
    road.sts.add_provider(road.provider().await);
    for (trust, expected) in [(Some(StandInSubject::Any), "aws_any_subject"), (None, "aws_role_closed")] {
        road.trusts_subject(trust.clone());
        assert_eq!(refusal(road.source().credentials(&by_issuer)).await.0, expected, "{trust:?}");
    }
    road.sts.add_role(&role_arn(), road.role());
    for asked in [&asked, &by_issuer] {
        road.source().credentials(asked).await.unwrap();
        let before = road.sts.assumed().len();
        road.source().credentials(asked).await.unwrap();
        assert_eq!(road.sts.assumed().len(), before + 1, "one try counts for good");
    }
    for probe in road.sts.assumed().iter().filter(|asked| asked["RoleSessionName"] == "lanyard-probe") {
        assert!(probe["Policy"].contains("\"Deny\""), "a try can do nothing: {probe:?}");
    }
}

async fn immunity_14_a_silent_sts_is_a_fault_and_a_busy_one_says_so(database: TestDatabase) {
    let road = Road::new(&database).await;
    road.sts.add_role(&role_arn(), road.role());
    road.sts.add_provider(road.provider().await);
    let source = road.source();
    for asked in [road.decided(AwsRoad::HubPrincipal), road.decided(AwsRoad::Issuer)] {
        road.sts.behave(Behaviour::Honest);
        source.credentials(&asked).await.unwrap();
        for behaviour in
            [Behaviour::ServerError, Behaviour::Hang, Behaviour::BadJson, Behaviour::AnotherPrincipal]
        {
            road.sts.behave_at("sts", behaviour);
            let answer = source.credentials(&asked).await;
            assert!(matches!(answer, Err(SourceError::Fault(_))), "{behaviour:?}: {answer:?}");
        }
        for behaviour in [Behaviour::Throttled400, Behaviour::Throttled429] {
            road.sts.behave_at("sts", behaviour);
            let answer = source.credentials(&asked).await;
            assert!(matches!(answer, Err(SourceError::Throttled { .. })), "{behaviour:?}: {answer:?}");
        }
        road.sts.behave_at("sts", Behaviour::RegionDisabled);
        assert_eq!(refusal(source.credentials(&asked)).await.0, "region_disabled");
        road.sts.behave_at("sts", Behaviour::Denied);
        assert_eq!(refusal(source.credentials(&asked)).await.0, "role_trust");
    }
}

async fn a_role_that_takes_no_road_never_reaches_aws(database: TestDatabase) {
    let road = Road::new(&database).await;
    road.sts.add_role(&role_arn(), road.role());
    let asked = decided(&road.bench.cluster, road.association(None), None);
    assert_eq!(refusal(road.source().credentials(&asked)).await.0, "aws_road");
    assert_eq!(road.sts.calls(), 0);
}
