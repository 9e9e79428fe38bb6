use lanyard_agent::listed::List as _;
use lanyard_agent::namespaces::Labelled;
use lanyard_agent::pods::{Directory, PODS_MAX};
use lanyard_agent::token::{PodToken, TOKEN_BYTES_MAX};

use super::{NOW, promise};

/// What pods, kubelets and API servers send to the node agent: a token, a list of pods, or one of namespaces. None is trusted, and what
/// a token claims is held against the list of pods.
pub fn agent(input: &[u8]) -> bool {
    let list = Directory::parse(input);
    if let Ok(labelled) = Labelled::parse(input) {
        assert!(!labelled.contains(""), "a namespace without a name");
    }
    if let Ok(list) = &list {
        assert!(list.len() <= PODS_MAX, "more pods than are taken");
    }
    let Ok(raw) = std::str::from_utf8(input) else { return list.is_ok() };
    let token = match PodToken::parse(raw, NOW) {
        Ok(token) => token,
        Err(refusal) => {
            promise::is_one_bounded_line(&refusal.to_string());
            promise::is_reason_code(refusal.reason_code());
            return list.is_ok();
        }
    };
    assert!(raw.len() <= TOKEN_BYTES_MAX && raw.split('.').count() == 3, "not three parts within the limit");
    promise::gives_nothing_away(&format!("{token:?}"), raw);
    let claims = token.claims();
    assert!(claims.life.expires_at > NOW, "a token whose time is over");
    assert!(Directory::default().check(claims, None).is_err(), "a pod of no list");
    true
}
