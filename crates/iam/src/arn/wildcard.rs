//! Patterns of `*` (any run of characters, also none) and `?` (exactly one character).

/// One step of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// `*`
    Run,
    /// `?`
    One,
    /// This character itself.
    Char(char),
}

impl Token {
    /// A character as patterns read it.
    pub(crate) fn of(character: char) -> Self {
        match character {
            '*' => Self::Run,
            '?' => Self::One,
            other => Self::Char(other),
        }
    }
}

/// Whether the text fits the pattern.
pub(crate) fn wildcard_matches(pattern: &str, text: &str) -> bool {
    tokens_match(pattern.chars().map(Token::of), text.chars())
}

/// Whether the characters fit the steps.
///
/// Goes back to the last run only, so the time is at most the product of the lengths, whatever the pattern.
pub(crate) fn tokens_match<P, T>(mut pattern: P, mut text: T) -> bool
where
    P: Iterator<Item = Token> + Clone,
    T: Iterator<Item = char> + Clone,
{
    // After a run: the pattern behind it, and the text from where it is to be tried next.
    let mut retry: Option<(P, T)> = None;
    loop {
        let rest = text.clone();
        match (pattern.next(), text.next()) {
            (Some(Token::Run), _) => {
                text = rest;
                retry = Some((pattern.clone(), text.clone()));
                continue;
            }
            (None, None) => return true,
            (Some(Token::One), Some(_)) => continue,
            (Some(Token::Char(wanted)), Some(found)) if wanted == found => continue,
            _ => {}
        }
        let Some((after_run, from)) = &mut retry else { return false };
        if from.next().is_none() {
            return false;
        }
        pattern = after_run.clone();
        text = from.clone();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hostile_pattern_does_not_take_exponential_time() {
        let pattern = format!("{}b", "*a".repeat(500));
        assert!(!wildcard_matches(&pattern, &"a".repeat(2000)));
    }

    /// The definition, read aloud.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), None) => naive(rest, text),
            (Some(('*', rest)), Some((_, tail))) => naive(rest, text) || naive(pattern, tail),
            (Some(('?', rest)), Some((_, tail))) => naive(rest, tail),
            (Some((wanted, rest)), Some((found, tail))) => wanted == found && naive(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn wildcards_match_as_their_definition_does(pattern in "[ab*?]{0,8}", text in "[abü]{0,10}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(wildcard_matches(&pattern, &text), naive(&p, &t));
        }

        #[test]
        fn a_text_without_wildcards_matches_itself_alone(a in "[a-c]{0,5}", b in "[a-c]{0,5}") {
            prop_assert_eq!(wildcard_matches(&a, &b), a == b);
        }
    }
}
