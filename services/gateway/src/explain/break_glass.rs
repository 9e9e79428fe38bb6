//! A break-glass credential, told of and never spent: its one use is for the API server's own review.
//!
//! Whether it is the armed one is told to who may list what is armed, and to nobody else: that list has the digest, by which they
//! can see it for themselves. Everybody else is told what it is, and the same of a guess.

use lanyard_api::{
    CallError, ClusterId, Fault,
    authn::{Admission, Admit, AdmitQuery, Beside},
    authz::Attributes,
    mapping::{BREAK_GLASS_MEANING, BreakGlass, Cluster, Clusters},
    methods::Managed,
};
use lanyard_iam::TokenDigest;
use lanyard_kit::clock::moment_text;
use lanyard_proto::mapping::v1::ListBreakGlassRequest;
use prost::Message as _;
use secrecy::{ExposeSecret as _, SecretString};
use time::OffsetDateTime;

use super::{Explanation, FinalVerdict, StageOutcome, Trace};
use crate::{kubernetes::Gateway, names::Signed, services::Services};

/// What is said in place of an answer to whoever may explain in the cluster, and not list what is armed.
const NOT_TOLD: &str = "whether it is the armed one is told to who has the permission lanyard:ListBreakGlass, and to nobody else";

/// What mapping says of each that does not open the cluster, whyever.
const REFUSED: &str = "break_glass_refused";

/// What the caller may know.
#[derive(Debug)]
enum Sight {
    /// Nothing of what is armed.
    Hidden,
    /// What is armed at the cluster, where there is anything.
    Listed(Option<BreakGlass>),
}

/// What would become of the credential at the cluster. `signed` is the call that asks, for what else its caller may see.
pub(super) async fn explained<S: Services>(
    gateway: &Gateway<S>,
    signed: Option<&Signed>,
    cluster: &Cluster,
    credential: &SecretString,
    asked: Option<&Attributes>,
) -> Explanation {
    let sight = match look(gateway, signed, cluster).await {
        Ok(sight) => sight,
        Err(fault) => return Trace::default().no_answer("token", &fault),
    };
    let digest = TokenDigest::of(credential.expose_secret());
    tell(&sight, &cluster.id, &digest, asked, gateway.parts.clock.now())
}

/// What is armed, by a list in the name of whoever asks.
async fn look<S: Services>(
    gateway: &Gateway<S>,
    signed: Option<&Signed>,
    cluster: &Cluster,
) -> Result<Sight, Fault> {
    let Some(signed) = signed else { return Ok(Sight::Hidden) };
    let beside = Beside {
        method: ListBreakGlassRequest::METHOD.path.to_owned(),
        body: ListBreakGlassRequest {}.encode_to_vec().into(),
    };
    let asked = AdmitQuery { beside: Some(beside), ..signed.0.clone() };
    let services = &gateway.parts.services;
    let Admission::Admitted(by) = services.authn().admit(asked).await? else { return Ok(Sight::Hidden) };
    match services.mapping().list_break_glass(*by).await {
        Ok(armed) => Ok(Sight::Listed(armed.into_iter().find(|armed| armed.cluster == cluster.uid))),
        Err(CallError::Fault(fault)) => Err(fault),
        Err(_) => Ok(Sight::Hidden),
    }
}

fn tell(
    sight: &Sight,
    cluster: &ClusterId,
    digest: &TokenDigest,
    asked: Option<&Attributes>,
    now: OffsetDateTime,
) -> Explanation {
    let mut trace = Trace::default();
    let about = |line: String| vec![format!("token: {digest}"), BREAK_GLASS_MEANING.to_owned(), line];
    let armed = match sight {
        Sight::Listed(armed) => armed.as_ref(),
        Sight::Hidden => {
            trace.stage("token", StageOutcome::NoAnswer, "break_glass", about(NOT_TOLD.to_owned()));
            trace.advice.push(format!(
                "`lanyard cluster break-glass list` has where it is armed, `lanyard cluster break-glass arm {cluster}` arms it anew"
            ));
            return trace.end(FinalVerdict::NoAnswer);
        }
    };
    let live = match judge(armed, digest, now) {
        Ok(live) => live,
        Err(why) => {
            trace.stage("token", StageOutcome::Refused, REFUSED, about(why));
            trace.advice.push(format!(
                "`lanyard cluster break-glass arm {cluster}` arms a new one, for one use within an hour"
            ));
            return trace.end(FinalVerdict::Unauthorized);
        }
    };
    let line = format!(
        "it is the armed one, and was not used: armed by {}, until {}",
        live.armed_by,
        moment_text(&live.ends_at)
    );
    trace.stage("token", StageOutcome::Passed, "break_glass_armed", about(line));
    let Some(asked) = asked else { return trace.end(FinalVerdict::Allowed) };
    let lines = vec![
        format!("asked: {asked}"),
        "its bearer's rights begin with its use, and this was none: the API server asks once they are in"
            .to_owned(),
    ];
    trace.stage("decision", StageOutcome::NoAnswer, "break_glass_unused", lines);
    trace.end(FinalVerdict::NoAnswer)
}

/// The armed credential, where this is it and it opens the cluster now; else why it does not.
fn judge<'a>(
    armed: Option<&'a BreakGlass>,
    digest: &TokenDigest,
    now: OffsetDateTime,
) -> Result<&'a BreakGlass, String> {
    let Some(armed) = armed else { return Err("none is armed at the cluster".to_owned()) };
    if armed.token_sha256 != hex::encode(digest.as_bytes()) {
        return Err(format!("it is not the one that {} armed", armed.armed_by));
    }
    match armed.used_at {
        Some(used_at) => Err(format!("it was used, at {}", moment_text(&used_at))),
        None if armed.ends_at <= now => Err(format!("it has ended, at {}", moment_text(&armed.ends_at))),
        None if now < armed.armed_at => {
            Err(format!("it does not count before {}: look at the clocks", moment_text(&armed.armed_at)))
        }
        None => Ok(armed),
    }
}

#[cfg(test)]
mod tests {
    use lanyard_api::ClusterUid;
    use time::{Duration, macros::datetime};

    use super::*;

    const NOW: OffsetDateTime = datetime!(2030-01-31 12:00:00 UTC);

    fn armed() -> BreakGlass {
        BreakGlass {
            cluster: ClusterUid::random(),
            token_sha256: hex::encode(TokenDigest::of("lbg_right").as_bytes()),
            armed_by: "ana".to_owned(),
            armed_at: NOW - Duration::minutes(30),
            ends_at: NOW + Duration::minutes(30),
            used_at: None,
        }
    }

    fn told(sight: &Sight, credential: &str, asked: Option<&Attributes>) -> Explanation {
        tell(sight, &"dev".parse().unwrap(), &TokenDigest::of(credential), asked, NOW)
    }

    #[test]
    fn immunity_58_who_may_not_list_what_is_armed_learns_the_same_of_a_guess() {
        let [right, wrong] = ["lbg_right", "lbg_wrong"].map(|credential| {
            let mut told = told(&Sight::Hidden, credential, None);
            let token = told.stages[0].lines.remove(0);
            assert!(token.starts_with("token: "), "{token}");
            told
        });
        assert_eq!(right, wrong);
        assert_eq!((right.verdict, right.stages[0].code.as_str()), (FinalVerdict::NoAnswer, "break_glass"));
        assert!(right.stages[0].lines.concat().contains("lanyard:ListBreakGlass"), "{right:?}");
        assert!(right.advice.concat().contains("lanyard cluster break-glass arm dev"), "{right:?}");
    }

    #[test]
    fn who_may_list_what_is_armed_is_told_whether_it_is_this_one_and_counts() {
        let used = BreakGlass { used_at: Some(NOW), ..armed() };
        let ended = BreakGlass { ends_at: NOW, ..armed() };
        let later = BreakGlass { armed_at: NOW + Duration::SECOND, ..armed() };
        for (armed, credential, why) in [
            (None, "lbg_right", "none is armed"),
            (Some(armed()), "lbg_wrong", "not the one that ana armed"),
            (Some(used), "lbg_right", "it was used, at 2030-01-31T12:00:00Z"),
            (Some(ended), "lbg_right", "it has ended, at 2030-01-31T12:00:00Z"),
            (Some(later), "lbg_right", "does not count before"),
        ] {
            let told = told(&Sight::Listed(armed), credential, None);
            assert_eq!((told.verdict, told.stages[0].code.as_str()), (FinalVerdict::Unauthorized, REFUSED));
            assert!(told.stages[0].lines.concat().contains(why), "{told:?}");
            assert!(told.advice.concat().contains("lanyard cluster break-glass arm dev"), "{told:?}");
        }
    }

    #[test]
    fn an_armed_one_lets_in_and_what_it_may_is_not_asked_before_it_is_used() {
        let live = Sight::Listed(Some(armed()));
        let handshake = told(&live, "lbg_right", None);
        let seen = (handshake.verdict, handshake.stages[0].code.as_str());
        assert_eq!(seen, (FinalVerdict::Allowed, "break_glass_armed"));
        assert!(handshake.stages[0].lines.concat().contains("until 2030-01-31T12:30:00Z"), "{handshake:?}");
        let asked = Attributes::NonResource { path: "/x".into(), verb: "get".into() };
        let decision = told(&live, "lbg_right", Some(&asked));
        assert_eq!((decision.verdict, decision.stages.len()), (FinalVerdict::NoAnswer, 2), "{decision:?}");
        assert_eq!(decision.stages[1].lines[0], "asked: get /x");
    }
}
