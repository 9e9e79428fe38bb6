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

/// One step of a name that is known in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Any characters, also none.
    Run,
    /// Exactly one character.
    One,
    /// A hexadecimal digit in lower case.
    Hex,
    /// This character itself.
    Char(char),
}

impl Step {
    /// A character as patterns read it.
    pub(super) fn of(character: char) -> Self {
        match Token::of(character) {
            Token::Run => Self::Run,
            Token::One => Self::One,
            Token::Char(other) => Self::Char(other),
        }
    }

    /// Whether one character can be both. Not asked of a run.
    fn meets(self, other: Self) -> bool {
        match (self, other) {
            (Self::Char(a), Self::Char(b)) => a == b,
            (Self::Char(c), Self::Hex) | (Self::Hex, Self::Char(c)) => matches!(c, '0'..='9' | 'a'..='f'),
            _ => true,
        }
    }
}

/// Whether some text takes both ways. Time and memory are the product of their lengths.
pub(super) fn have_common(a: &[Step], b: &[Step]) -> bool {
    // Which places of `b` can be reached having gone the steps of `a` taken so far.
    let mut reached = vec![false; b.len() + 1];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    skip_runs(b, &mut reached);
    for step in a {
        let mut next = vec![false; b.len() + 1];
        for (at, _) in reached.iter().enumerate().filter(|(_, reached)| **reached) {
            let beside = b.get(at);
            match (step, beside) {
                // A run takes none or any number of steps of the other.
                (Step::Run, _) => next.iter_mut().skip(at).for_each(|place| *place = true),
                // The other's run takes this step and stays.
                (_, Some(Step::Run)) => mark(&mut next, at),
                (_, Some(other)) if step.meets(*other) => mark(&mut next, at + 1),
                _ => {}
            }
        }
        skip_runs(b, &mut next);
        reached = next;
    }
    reached.last().copied().unwrap_or_default()
}

/// A run can be left without taking anything.
fn skip_runs(steps: &[Step], reached: &mut [bool]) {
    for (at, step) in steps.iter().enumerate() {
        if *step == Step::Run && reached.get(at).copied().unwrap_or_default() {
            mark(reached, at + 1);
        }
    }
}

fn mark(places: &mut [bool], at: usize) {
    if let Some(place) = places.get_mut(at) {
        *place = true;
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
