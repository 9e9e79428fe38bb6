use lanyard_spoke::wire::reviews::{TokenReviewed, is_allowed, token_reviewed};

use super::promise;

/// What an API server answers where it is asked about a pod's token, or whether it may be asked. Accepted means that one of the two is
/// read.
pub fn review_answers(input: &[u8]) -> bool {
    let reviewed = token_reviewed(input);
    match &reviewed {
        // Nothing is good that was not reviewed for Pod Identity.
        Ok(TokenReviewed::Taken) => {
            let text = String::from_utf8_lossy(input);
            assert!(text.contains("pods") || text.contains('\\'), "taken without its audience: {text}");
        }
        Ok(TokenReviewed::Refused(words)) if words.is_empty() => {}
        Ok(TokenReviewed::Refused(words)) => promise::is_one_bounded_line(words),
        Err(unreadable) => promise::is_one_bounded_line(&unreadable.to_string()),
    }
    let allowed = is_allowed(input);
    if let Err(unreadable) = &allowed {
        promise::is_one_bounded_line(&unreadable.to_string());
    }
    assert!(reviewed.is_err() || allowed.is_err(), "one answer of two kinds");
    reviewed.is_ok() || allowed.is_ok()
}
