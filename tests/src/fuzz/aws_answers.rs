use std::fmt::Display;

use lanyard_aws::{RoleSessionAsked, reading};
use lanyard_iam::{AccountId, Arn, PrincipalArn};

use super::{NOW, promise};

const ROLE: &str = "arn:aws:iam::111122223333:role/team/dev";
const USER: &str = "arn:aws:iam::111122223333:user/ana";
const PROFILE: &str = "arn:aws:iam::111122223333:instance-profile/workers";
const INSTANCES: [&str; 2] = ["i-0123456789abcdef0", "i-12345678"];

/// What IAM and EC2 answer the hub in XML, and STS in JSON; read by each of its readers.
pub fn aws_answers(input: &[u8]) -> bool {
    let readers: [fn(&[u8]) -> bool; 5] = [principals, profile, instances, sessions, error];
    let mut accepted = false;
    for read in readers {
        if !read(input) {
            continue;
        }
        accepted = true;
        // An answer that was cut short, or goes on, is none.
        let cut = input.trim_ascii_end();
        assert!(!read(cut.get(..cut.len().saturating_sub(1)).unwrap_or_default()), "half an answer was read");
        assert!(!read(&[input, b"<more/>"].concat()), "an answer was read that goes on");
    }
    accepted
}

fn principals(input: &[u8]) -> bool {
    let mut accepted = false;
    for asked in [ROLE, USER] {
        let Ok(asked) = PrincipalArn::parse(asked) else { continue };
        let Some((id, arn)) = told(reading::principal(input, &asked)) else { continue };
        accepted = true;
        assert_eq!((arn.partition, arn.account), (asked.partition, asked.account), "another account's");
        let names = (arn.name().map(str::to_lowercase), asked.name().map(str::to_lowercase));
        assert_eq!(names.0, names.1, "another's name");
        assert_eq!(std::mem::discriminant(&arn.kind), std::mem::discriminant(&asked.kind), "another kind");
        let begins = if asked.to_string() == USER { "AIDA" } else { "AROA" };
        assert!(id.as_str().starts_with(begins), "{}", id.as_str());
    }
    accepted
}

fn profile(input: &[u8]) -> bool {
    let Ok(asked) = Arn::parse(PROFILE) else { return false };
    match told(reading::instance_profile(input, &asked)) {
        Some(Some(role)) => {
            assert_eq!(role.account.as_str(), asked.account(), "a role of another account");
            true
        }
        other => other.is_some(),
    }
}

fn instances(input: &[u8]) -> bool {
    let Ok(account) = AccountId::parse("111122223333") else { return false };
    let asked = INSTANCES.map(str::to_owned);
    let Some(found) = told(reading::instances(input, account, &asked)) else { return false };
    assert!(found.len() <= asked.len() && found.iter().all(|(id, _)| asked.contains(id)), "{found:?}");
    true
}

fn sessions(input: &[u8]) -> bool {
    let Ok(role) = PrincipalArn::parse(ROLE) else { return false };
    let asked = RoleSessionAsked { role: &role, session_name: "pod", seconds: 3_600, session_policy: None };
    let mut accepted = false;
    for by_web_identity in [false, true] {
        let Some(session) = told(reading::role_session(input, asked, by_web_identity, NOW)) else { continue };
        accepted = true;
        assert_eq!(session.arn.to_string(), "arn:aws:sts::111122223333:assumed-role/dev/pod");
        assert!(session.assumed_role_id.ends_with(":pod"), "another's session");
        assert!(session.expires_at > NOW && !session.credentials.access_key_id.is_local());
    }
    accepted
}

fn error(input: &[u8]) -> bool {
    let Some(code) = reading::error_code(input) else { return false };
    promise::is_one_bounded_line(&code);
    true
}

fn told<T>(answer: Result<T, impl Display>) -> Option<T> {
    answer.map_err(|error| promise::is_one_bounded_line(&error.to_string())).ok()
}
