//! Whether the hub has an issuer's keys to verify with. An explanation tells it, of a token of that issuer: where the keys are not to be
//! had there is no answer, and else a refusal, for nobody signed it.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lanyard_api::{ClusterId, mapping::AssociateIdentityProvider};
use lanyard_kit::{Clock as _, SystemClock};
use lanyard_proto::gateway::v1::{self as pb, explain_request::Who, stage::Outcome};
use serde_json::json;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::hub::{Hub, request};

/// How long the hub has for a word: to ask the issuer, which it gives up by itself sooner, and before that to know the configuration, which
/// another replica than the one that made it has in a moment.
const PATIENCE: Duration = Duration::from_secs(10);
const BETWEEN_TRIES: Duration = Duration::from_millis(100);
/// What it says of a token while it does not know the configuration.
const NOT_OURS: &str = "not_ours";
/// The clocks of this machine and the hub may differ by that.
const LEEWAY: time::Duration = time::Duration::minutes(10);
/// A signature's length.
const SIGNATURE_BYTES: usize = 256;

/// What is asked about.
pub(super) struct Reach {
    cluster: ClusterId,
    issuer_url: String,
    client_id: String,
}

impl Reach {
    pub(super) fn of(asked: &AssociateIdentityProvider) -> Self {
        Self {
            cluster: asked.cluster.clone(),
            issuer_url: asked.settings.issuer_url.clone(),
            client_id: asked.settings.client_id.clone(),
        }
    }

    /// What is in the way of the issuer's keys now, for whoever has associated it. Nothing, too, where the hub does not say: the caller
    /// may not explain, or it does not answer. The association stands whatever it is.
    pub(super) async fn notice(&self, hub: &Hub) -> Option<String> {
        let stage = word_of(async |left: Duration| {
            let mut asked = request(pb::ExplainRequest {
                cluster: self.cluster.to_string(),
                who: Some(Who::Token(self.token(SystemClock.now()))),
                attributes: None,
            });
            asked.set_timeout(left);
            hub.explain().explain(asked).await.ok()?.into_inner().stages.pop()
        })
        .await?;
        (stage.outcome() == Outcome::Fault).then(|| said(&stage))
    }

    /// A token in good form that nobody signed.
    fn token(&self, now: OffsetDateTime) -> String {
        let header = json!({ "alg": "RS256", "typ": "JWT" });
        let claims = json!({
            "iss": self.issuer_url,
            "aud": self.client_id,
            "sub": "lanyard",
            "iat": (now - LEEWAY).unix_timestamp(),
            "exp": (now + LEEWAY).unix_timestamp(),
        });
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode([0_u8; SIGNATURE_BYTES]))
    }
}

/// The stage at which an explanation ends, once the hub knows the configuration. It is asked again and again until then, each time with what is
/// left of its time.
async fn word_of(ask: impl AsyncFn(Duration) -> Option<pb::Stage>) -> Option<pb::Stage> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        let stage = ask(left).await?;
        if stage.outcome() == Outcome::Fault || stage.code != NOT_OURS {
            return Some(stage);
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
}

fn said(stage: &pb::Stage) -> String {
    let why = stage.lines.first().map_or(stage.code.as_str(), String::as_str);
    format!("the hub cannot verify tokens of the issuer now, and whoever brings one gets no answer: {why}")
}

#[cfg(test)]
mod tests {
    use lanyard_oidc::{Jwt, inspect};

    use super::*;

    #[test]
    fn a_token_lacks_nothing_but_a_signature() {
        let reach = Reach {
            cluster: "dev".parse().unwrap(),
            issuer_url: "https://issuer.example/realms/main".to_owned(),
            client_id: "kubernetes".to_owned(),
        };
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
        let token = reach.token(now);
        assert_eq!(Jwt::parse(&token).unwrap().unverified_issuer(), Some(reach.issuer_url.as_str()));
        for now in [now - time::Duration::minutes(9), now, now + time::Duration::minutes(9)] {
            let inspected = inspect(&token, now).unwrap();
            assert_eq!(inspected.refusal, None, "{now}");
            assert_eq!(inspected.claims["aud"], "kubernetes");
        }
    }

    fn stage(outcome: Outcome, code: &str, lines: &[&str]) -> pb::Stage {
        pb::Stage {
            name: "token".to_owned(),
            outcome: outcome.into(),
            code: code.to_owned(),
            lines: lines.iter().map(|&line| line.to_owned()).collect(),
            parts: Vec::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hub_that_does_not_know_the_configuration_yet_has_one_deadline_for_all_questions() {
        let began = Instant::now();
        let late = async |_: Duration| {
            Some(match began.elapsed() < PATIENCE / 2 {
                true => stage(Outcome::Refused, NOT_OURS, &[]),
                false => stage(Outcome::Fault, "unavailable", &[]),
            })
        };
        assert_eq!(word_of(late).await.unwrap().code, "unavailable");

        let began = Instant::now();
        let slow = async |left: Duration| {
            tokio::time::sleep(left.min(PATIENCE / 2)).await;
            Some(stage(Outcome::Refused, NOT_OURS, &[]))
        };
        assert_eq!(word_of(slow).await, None);
        assert!(began.elapsed() < PATIENCE * 2, "{:?}", began.elapsed());
    }

    #[test]
    fn a_notice_says_what_is_in_the_way() {
        let stage = |lines: &[&str]| stage(Outcome::Fault, "unavailable", lines);
        let unreachable = "OIDC issuer https://a is not available: it cannot be reached (issuer_unreachable)";
        assert!(said(&stage(&[unreachable])).ends_with(unreachable));
        assert!(said(&stage(&[])).ends_with(": unavailable"));
    }
}
