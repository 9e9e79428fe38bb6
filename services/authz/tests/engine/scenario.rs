//! Runs `tests/scenarios/*.yaml`: a cluster's state, what is changed in it, and what then is asked and answered. Each runs on
//! the engine, over gRPC, and with a restart before each question; all of that on each store.

mod file;
mod hub;

use std::path::PathBuf;

use lanyard_api::authz::Authorize;
use lanyard_store::{on_each_store, test_support::TestDatabase};

use self::{
    file::{Ask, Scenario, Step},
    hub::Hub,
};
use crate::{form, stage::review};

/// How a scenario's questions are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Engine,
    Grpc,
    Restarting,
}

fn files() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 8, "{files:?}");
    files
}

/// Runs all, and tells everything that is wrong at once.
async fn run_all(way: Way, database: TestDatabase) {
    let mut wrong = Vec::new();
    for path in files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let scenario: Scenario =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let asks = scenario.steps.iter().filter(|step| matches!(step, Step::Ask(_))).count();
        let name = path.file_name().unwrap().to_string_lossy();
        assert!(asks > 0, "{}: nothing is asked", path.display());
        wrong.extend(run(way, scenario, &name, database.another().await).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

async fn run(way: Way, scenario: Scenario, name: &str, database: TestDatabase) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut hub = Hub::set_up(&scenario, database).await;
    for (at, step) in scenario.steps.iter().enumerate() {
        match step {
            Step::Ask(ask) => {
                if way == Way::Restarting {
                    hub.stage = hub.stage.restarted().await;
                }
                let found = match way {
                    Way::Engine | Way::Restarting => mistake(&hub, &form::engine(&hub.stage), ask).await,
                    Way::Grpc => mistake(&hub, &form::grpc(&hub.stage), ask).await,
                };
                wrong.extend(
                    found.map(|found| format!("{name}, step {} ({}): {found}", at + 1, scenario.about)),
                );
            }
            change => hub.change(change).await,
        }
    }
    wrong
}

/// What an answer has that it should not, or lacks.
async fn mistake(hub: &Hub, form: &impl Authorize, ask: &Ask) -> Option<String> {
    let mut asked = review(hub.cluster.uid, hub.user(ask), ask.attributes());
    (asked.explain, asked.full) = (!ask.hints.is_empty(), ask.full);
    let decision = form.authorize(asked).await.unwrap();
    let verdict = serde_json::to_value(decision.verdict).unwrap();
    let (verdict, reason) = (verdict.as_str().unwrap(), decision.reason.to_string());
    let lacks = |hint: &&String| !decision.hints.iter().any(|given| given.contains(hint.as_str()));
    let lacking: Vec<&String> = ask.hints.iter().filter(lacks).collect();
    let is_right = verdict == ask.expect && reason == ask.because && lacking.is_empty();
    (!is_right)
        .then(|| format!("{ask:?}\nis {verdict}: {reason}\nlacks {lacking:#?}\nhas {:#?}", decision.hints))
}

on_each_store!(
    every_scenario_holds_on_the_engine,
    every_scenario_holds_over_grpc,
    every_scenario_holds_with_a_restart_before_each_question,
);

async fn every_scenario_holds_on_the_engine(database: TestDatabase) {
    run_all(Way::Engine, database).await;
}

async fn every_scenario_holds_over_grpc(database: TestDatabase) {
    run_all(Way::Grpc, database).await;
}

async fn every_scenario_holds_with_a_restart_before_each_question(database: TestDatabase) {
    run_all(Way::Restarting, database).await;
}
