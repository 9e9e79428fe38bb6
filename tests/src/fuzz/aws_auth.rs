use std::collections::BTreeSet;

use lanyard_api::aws_auth::{
    AwsAuth, AwsAuthLine, AwsAuthPart, FINDINGS_MAX, GROUPS_MAX, LINES_MAX, MAP_BYTES_MAX,
    RESERVED_USERNAME_PREFIXES,
};
use lanyard_api::mapping::AwsAuthFinding;
use lanyard_api::template::Template;
use lanyard_iam::CanonicalArn;

use super::promise;

/// An aws-auth ConfigMap as it is pushed. Accepted means that nothing in it is fatal.
pub fn aws_auth(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let checked = AwsAuth::check(text);
    // YAML takes a carriage return alone for a line break, too.
    let places = text.bytes().filter(|byte| matches!(byte, b'\n' | b'\r')).count() as u64 + 1;
    // One more says how many more there are.
    let minor = checked.findings.iter().filter(|finding| !finding.is_fatal()).count();
    assert!(minor <= FINDINGS_MAX + 1, "{minor} findings");
    checked.findings.iter().for_each(|finding| is_in_place(finding, places));
    if checked.is_fatal() {
        assert_eq!(checked.auth, AwsAuth::default(), "a document that is bad as a whole maps somebody");
        return false;
    }
    maps_as_it_may(&checked.auth, places);
    assert_eq!(AwsAuth::check(text), checked, "a second reading differs");
    true
}

fn is_in_place(finding: &AwsAuthFinding, places: u64) {
    promise::is_one_bounded_line(&finding.message);
    assert!(finding.path.len() <= 1024 && !finding.path.contains(char::is_control), "{:?}", finding.path);
    assert!(u64::from(finding.line) <= places, "line {} of {places}: {}", finding.line, finding.message);
}

fn maps_as_it_may(auth: &AwsAuth, places: u64) {
    let mut seen = BTreeSet::new();
    for part in AwsAuthPart::ALL {
        assert!(auth.lines.iter().filter(|line| line.part == part).count() <= LINES_MAX);
    }
    let names = auth.lines.iter().flat_map(AwsAuthLine::templates);
    let bytes: usize = names.map(|name| name.as_str().len()).sum();
    assert!(bytes <= MAP_BYTES_MAX / 2, "names of {bytes} bytes, each of which is held twice");
    for line in &auth.lines {
        assert!((1..=places).contains(&line.line.into()), "line {} of {places}", line.line);
        assert!(seen.insert((line.part, line.key())), "`{}` twice in {}", line.arn, line.part);
        assert_eq!(CanonicalArn::parse(line.arn.as_str()).as_ref(), Ok(&line.arn));
        assert!(line.groups.len() <= GROUPS_MAX);
        for name in line.groups.iter().chain([&line.username]) {
            assert_eq!(Template::parse(name.as_str()).as_ref(), Ok(name));
        }
        let username = line.username.as_str();
        let reserved = RESERVED_USERNAME_PREFIXES.into_iter().any(|prefix| username.starts_with(prefix));
        assert!(!reserved || line.is_for_nodes(), "a mapping to `{username}`");
        assert!(!line.groups.iter().any(|group| group.as_str().starts_with("lanyard:")));
        let chosen =
            |group: &Template| group.placeholders().any(|placeholder| placeholder.is_caller_chosen());
        assert!(!line.groups.iter().any(chosen), "a group that the caller chooses");
    }
    for account in &auth.accounts {
        assert!((1..=places).contains(&account.line.into()));
    }
}
