use lanyard_iam::{Arn, ArnPattern, CanonicalArn, EntryPrincipal, FoldedArn, PrincipalArn};

use super::promise;

/// An ARN and, on the next line, a pattern for it.
pub fn arn(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let (text, pattern) = text.split_once('\n').unwrap_or((text, ""));
    let is_arn = any(text);
    let is_principal = principal(text);
    assert!(is_arn || !is_principal, "a principal's ARN that is none: {text}");
    is_pattern(pattern, text) | names_somebody(pattern, text) | is_arn
}

/// Whom an access entry names: what is read is written the same, means whoever fits, and overlaps itself.
fn names_somebody(named: &str, arn: &str) -> bool {
    let named = match EntryPrincipal::parse(named) {
        Ok(named) => named,
        Err(error) => {
            promise::is_one_bounded_line(&error.to_string());
            return false;
        }
    };
    assert_eq!(EntryPrincipal::parse(&named.to_string()).as_ref(), Ok(&named));
    let other = EntryPrincipal::parse(arn).ok();
    if named.one().is_none() {
        assert!(named.overlaps(&named), "`{named}` means nobody");
        if let Some(one) = other.as_ref().and_then(EntryPrincipal::one)
            && named.means(one.canonical().as_str())
        {
            assert!(other.as_ref().is_some_and(|other| named.overlaps(other)), "`{named}` means `{arn}`");
        }
    }
    true
}

fn any(text: &str) -> bool {
    match Arn::parse(text) {
        Ok(arn) => {
            let sections =
                [arn.partition(), arn.service(), arn.region(), arn.account(), arn.resource()].join(":");
            assert_eq!(format!("arn:{sections}"), text);
            true
        }
        Err(error) => {
            promise::is_one_bounded_line(&error.to_string());
            false
        }
    }
}

fn principal(text: &str) -> bool {
    let principal = match PrincipalArn::parse(text) {
        Ok(principal) => principal,
        Err(error) => {
            promise::is_one_bounded_line(&error.to_string());
            return false;
        }
    };
    assert_eq!(principal.to_string(), text);
    assert_eq!(serde_json::to_value(&principal).ok(), Some(text.into()));
    let canonical = principal.canonical();
    assert_eq!(
        CanonicalArn::parse(canonical.as_str()).as_ref(),
        Ok(&canonical),
        "canonical only after twice"
    );
    assert_eq!(canonical.folded(), FoldedArn::of(canonical.folded().as_str()));
    let pathless = principal.without_path();
    assert_eq!(PrincipalArn::parse(&pathless.to_string()), Ok(pathless.clone()));
    assert_eq!(pathless.name(), principal.name());
    true
}

fn is_pattern(pattern: &str, arn: &str) -> bool {
    let parsed = match ArnPattern::parse(pattern) {
        Ok(parsed) => parsed,
        Err(error) => {
            promise::is_one_bounded_line(&error.to_string());
            return false;
        }
    };
    for text in [arn, pattern] {
        assert_eq!(parsed.matches(text), model(pattern, text), "`{pattern}` against `{text}`");
    }
    true
}

/// The rule as it is written down: section by section, `*` any run of characters, `?` exactly one.
fn model(pattern: &str, text: &str) -> bool {
    let (patterns, texts): (Vec<_>, Vec<_>) =
        (pattern.splitn(6, ':').collect(), text.splitn(6, ':').collect());
    patterns.len() == 6
        && texts.len() == 6
        && patterns.iter().zip(&texts).all(|(pattern, text)| section(pattern, text))
}

fn section(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    // After each character of the pattern: which beginnings of the text it may have used up.
    let mut used: Vec<bool> = std::iter::once(true).chain(text.iter().map(|_| false)).collect();
    for wanted in pattern.chars() {
        let mut next = vec![false; used.len()];
        let mut any_before = false;
        for (at, slot) in next.iter_mut().enumerate() {
            any_before |= used.get(at).copied().unwrap_or_default();
            let before = at.checked_sub(1).and_then(|at| Some((*used.get(at)?, *text.get(at)?)));
            *slot = match wanted {
                '*' => any_before,
                '?' => before.is_some_and(|(used, _)| used),
                wanted => before.is_some_and(|(used, found)| used && found == wanted),
            };
        }
        used = next;
    }
    used.last().copied().unwrap_or_default()
}
