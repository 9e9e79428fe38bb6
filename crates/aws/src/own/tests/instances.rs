use lanyard_kit::TestClock;
use time::Duration;

use super::*;
use crate::own::{Instance, InstanceOptions, Instances};

const ID: &str = "i-0123456789abcdef0";
const NAME: &str = "ip-10-0-0-1.eu-west-1.compute.internal";
const PROFILE: &str = "arn:aws:iam::111122223333:instance-profile/workers";
const NODES: &str = "arn:aws:iam::111122223333:role/nodes";

struct Stage {
    stand_in: StandIn,
    instances: Instances,
    clock: TestClock,
}

impl Stage {
    async fn new(options: InstanceOptions) -> Self {
        let clock = TestClock::new(SystemClock.now());
        let stand_in = StandIn::start_with_clock(&HOSTS, Arc::new(clock.clone())).await;
        let hub = hub_credentials();
        stand_in.add(&hub, OWN, "arn:aws:iam::111122223333:user/hub", "AIDAHUB");
        stand_in.add_profile(PROFILE, Some(NODES));
        stand_in.add_instance(OWN, "eu-west-1", ID, NAME, Some(PROFILE));
        let source = CredentialSource::fixed(&hub);
        let http = stand_in.http_options();
        let client = AwsClient::new(&quick(), &region(), source, http, Arc::new(clock.clone())).unwrap();
        Self { stand_in, instances: Instances::new(client, options), clock }
    }

    async fn find(&self, id: &str) -> Result<Option<Arc<Instance>>, AwsFault> {
        self.instances.find(Partition::Aws, account(OWN), &region(), id).await
    }

    async fn name(&self, id: &str) -> Option<String> {
        self.try_name(id).await.unwrap()
    }

    async fn try_name(&self, id: &str) -> Result<Option<String>, AwsFault> {
        Ok(self.find(id).await?.map(|instance| instance.private_dns_name.clone()))
    }
}

fn options() -> InstanceOptions {
    InstanceOptions { pause_milliseconds: 1, ..InstanceOptions::default() }
}

#[tokio::test]
async fn an_instance_has_its_name_and_its_role() {
    let stage = Stage::new(options()).await;
    let found = stage.find(ID).await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.private_dns_name.as_str()), (ID, NAME));
    assert_eq!(found.role.as_ref().map(ToString::to_string).as_deref(), Some(NODES));
    let bare = "i-00000000000000001";
    stage.stand_in.add_instance(OWN, "eu-west-1", bare, "bare.internal", None);
    assert_eq!(stage.find(bare).await.unwrap().unwrap().role, None);
    let emptied = "i-00000000000000002";
    let profile = "arn:aws:iam::111122223333:instance-profile/empty";
    stage.stand_in.add_profile(profile, None);
    stage.stand_in.add_instance(OWN, "eu-west-1", emptied, "emptied.internal", Some(profile));
    assert_eq!(stage.find(emptied).await.unwrap().unwrap().role, None);
}

#[tokio::test]
async fn what_is_elsewhere_or_gone_is_not_there() {
    let stage = Stage::new(options()).await;
    let there = ["i-00000000000000001", "i-00000000000000002", "i-00000000000000003"];
    stage.stand_in.add_instance(OTHER, "eu-west-1", there[0], "theirs", None);
    stage.stand_in.add_instance(OWN, "us-east-1", there[1], "far", None);
    stage.stand_in.add_instance(OWN, "eu-west-1", there[2], "gone", None);
    stage.stand_in.terminate_instance(there[2]);
    for id in there.into_iter().chain(["i-00000000"]) {
        assert_eq!(stage.name(id).await, None, "{id}");
    }
}

#[tokio::test]
async fn an_instance_is_remembered_and_that_there_is_none_only_shortly() {
    let stage = Stage::new(options()).await;
    for _ in 0..3 {
        assert_eq!(stage.name(ID).await.as_deref(), Some(NAME));
    }
    assert_eq!(stage.stand_in.calls_of("ec2"), 1);
    let new = "i-00000000000000009";
    assert_eq!(stage.name(new).await, None);
    assert_eq!(stage.name(new).await, None);
    assert_eq!(stage.stand_in.calls_of("ec2"), 2);
    stage.stand_in.add_instance(OWN, "eu-west-1", new, "new.internal", None);
    stage.clock.advance(Duration::seconds(10));
    assert_eq!(stage.name(new).await.as_deref(), Some("new.internal"));
    stage.stand_in.terminate_instance(ID);
    stage.clock.advance(Duration::seconds(880));
    assert_eq!(stage.name(ID).await.as_deref(), Some(NAME), "remembered to the end of its time");
    stage.clock.advance(Duration::seconds(10));
    assert_eq!(stage.name(ID).await, None);
}

#[tokio::test]
async fn many_who_ask_at_once_are_asked_for_together_and_each_once() {
    let stage = Stage::new(InstanceOptions { pause_milliseconds: 50, ..InstanceOptions::default() }).await;
    let ids: Vec<String> = (0..120).map(|number| format!("i-{number:017x}")).collect();
    for id in &ids {
        stage.stand_in.add_instance(OWN, "eu-west-1", id, &format!("{id}.internal"), Some(PROFILE));
    }
    // The first call has one id; what comes in meanwhile goes with the next ones, 50 at a time.
    let twice = ids.iter().chain(&ids);
    let names = futures::future::join_all(twice.map(|id| stage.name(id))).await;
    for (id, name) in ids.iter().chain(&ids).zip(names) {
        assert_eq!(name, Some(format!("{id}.internal")));
    }
    assert!(stage.stand_in.calls_of("ec2") <= 4, "{} calls", stage.stand_in.calls_of("ec2"));
    assert_eq!(stage.stand_in.calls_of("iam"), 1, "the role of one profile is asked for once");
}

#[tokio::test]
async fn immunity_14_a_fault_is_no_absence_and_is_not_remembered() {
    let stage = Stage::new(options()).await;
    for behaviour in [
        Behaviour::Denied,
        Behaviour::Throttled400,
        Behaviour::ServerError,
        Behaviour::Hang,
        Behaviour::BadJson,
        Behaviour::AnotherPrincipal,
    ] {
        stage.stand_in.behave_at("ec2", behaviour);
        assert!(stage.find(ID).await.is_err(), "{behaviour:?}");
    }
    stage.stand_in.behave(Behaviour::Honest);
    stage.stand_in.deny("iam:GetInstanceProfile");
    let fault = stage.find(ID).await.unwrap_err();
    assert!(fault.to_string().contains("iam:GetInstanceProfile"), "{fault}");
    stage.stand_in.permit("iam:GetInstanceProfile");
    assert_eq!(stage.name(ID).await.as_deref(), Some(NAME));
}

#[tokio::test]
async fn who_knocks_waits_a_bounded_time_and_the_answer_is_there_for_the_next() {
    let slow = InstanceOptions { wait_milliseconds: 50, ..options() };
    let stage = Stage::new(slow).await;
    stage.stand_in.behave_at("ec2", Behaviour::Hang);
    let fault = stage.find(ID).await.unwrap_err();
    assert!(matches!(fault, AwsFault::TimedOut { .. }), "{fault:?}");
    stage.stand_in.behave(Behaviour::Honest);
    let found = async {
        loop {
            if let Ok(found) = stage.try_name(ID).await {
                return found;
            }
        }
    };
    let found = tokio::time::timeout(std::time::Duration::from_secs(20), found).await.unwrap();
    assert_eq!(found.as_deref(), Some(NAME));
}

#[tokio::test]
async fn immunity_28_a_flood_of_made_up_ids_is_turned_away_and_pushes_no_node_out() {
    let stage = Stage::new(InstanceOptions { kept_max: 100, pause_milliseconds: 500, ..options() }).await;
    assert_eq!(stage.name(ID).await.as_deref(), Some(NAME));
    let made_up: Vec<String> = (0..1_500).map(|number| format!("i-{number:017x}")).collect();
    let answers = futures::future::join_all(made_up.iter().map(|id| stage.find(id))).await;
    let turned_away = answers.iter().filter(|answer| matches!(answer, Err(AwsFault::Limited { .. }))).count();
    assert!(turned_away >= 500, "{turned_away}");
    assert!(stage.stand_in.calls_of("ec2") <= 10, "{} calls", stage.stand_in.calls_of("ec2"));
    stage.stand_in.behave_at("ec2", Behaviour::ServerError);
    assert_eq!(stage.name(ID).await.as_deref(), Some(NAME), "it is remembered");
}
