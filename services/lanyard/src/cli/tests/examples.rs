//! Each command shows an example of itself, and what its help shows as one is a line that is understood.

use clap::{CommandFactory as _, Parser as _, error::ErrorKind};

use crate::cli::Cli;

/// Examples of `lanyard` that the help has at least: fewer are found only where they are written in a way that is not seen here.
const FOUND_MIN: usize = 150;

/// Spaces behind which a line says in words what it is for.
const COMMENT_SPACES: usize = 3;

/// Hex digits of a SHA-256, which an example shortens with `…`.
const DIGEST_DIGITS: usize = 64;

#[test]
fn every_example_of_the_help_is_understood() {
    let mut helps = Vec::new();
    helps_of(&Cli::command(), "lanyard", &mut helps);
    let (mut found, mut of_others) = (0, 0);
    for (path, help) in &helps {
        for line in indented(help) {
            for command in commands(&line) {
                if command.words.first().is_none_or(|word| word != "lanyard") {
                    of_others += 1;
                    continue;
                }
                found += 1;
                let Err(error) = Cli::try_parse_from(&command.words) else { continue };
                // A variable may be what a flag is left out for.
                let is_in_variable =
                    command.has_variables && error.kind() == ErrorKind::MissingRequiredArgument;
                assert!(is_in_variable, "the help of `{path}` shows `{line}`: {error}");
            }
        }
    }
    assert!(found >= FOUND_MIN, "{found} examples of lanyard's, {of_others} other lines");
}

#[test]
fn every_command_shows_an_example_of_itself() {
    fn visit(command: &clap::Command, path: &str) {
        // It shows those of its services.
        if path == "lanyard run" {
            return;
        }
        let inner: Vec<_> = command.get_subcommands().filter(|inner| inner.get_name() != "help").collect();
        if inner.is_empty() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let is_shown = indented(&help).iter().any(|line| line.contains(path));
            assert!(is_shown, "`{path}` shows no example of itself: {help}");
        }
        inner.into_iter().for_each(|inner| visit(inner, &format!("{path} {}", inner.get_name())));
    }
    visit(&Cli::command(), "lanyard");
}

#[test]
fn a_line_is_split_as_a_shell_does() {
    let split = |line: &str| -> Vec<Vec<String>> {
        commands(line).into_iter().map(|command| command.words).collect()
    };
    for (line, wanted) in [
        ("a 'b c' d=\"e 'f'\"", vec![vec!["a", "b c", "d=e 'f'"]]),
        ("a | lanyard b - && c", vec![vec!["a"], vec!["lanyard", "b", "-"], vec!["c"]]),
        ("a 'x | y' > file < other", vec![vec!["a", "x | y"]]),
        ("A=1 B_2=x a c=d   what it's for", vec![vec!["a", "c=d"]]),
        ("a # what it's for", vec![vec!["a"]]),
        ("nobody's prose", vec![]),
    ] {
        assert_eq!(split(line), wanted, "{line}");
    }
    assert!(commands("A=1 a")[0].has_variables && !commands("a A=1")[0].has_variables);
    let help = "Examples:\n  lanyard a \\\n    --b\n  c |\n    lanyard d\n\nAnd so on.\n  lanyard e";
    assert_eq!(indented(help), ["lanyard a --b", "c | lanyard d", "lanyard e"]);
}

/// What stands below the flags of each command.
fn helps_of(command: &clap::Command, path: &str, helps: &mut Vec<(String, String)>) {
    for help in [command.get_after_help(), command.get_after_long_help()].into_iter().flatten() {
        helps.push((path.to_owned(), help.to_string()));
    }
    for inner in command.get_subcommands() {
        helps_of(inner, &format!("{path} {}", inner.get_name()), helps);
    }
}

/// The lines that are set in, those that go on in the next put together.
fn indented(help: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in help.lines() {
        if !line.starts_with("  ") {
            goes_on = false;
            continue;
        }
        let text = line.trim();
        let part = text.strip_suffix('\\').unwrap_or(text).trim_end();
        if goes_on && let Some(before) = lines.last_mut() {
            before.push(' ');
            before.push_str(part);
        } else {
            lines.push(part.to_owned());
        }
        goes_on = text.ends_with(['\\', '|']);
    }
    lines
}

/// One command of a line.
#[derive(Default)]
struct Command {
    words: Vec<String>,
    /// Variables are set for it.
    has_variables: bool,
}

/// The commands of a line, without redirections and variables; none where it is no line of a shell.
fn commands(line: &str) -> Vec<Command> {
    let Some(words) = words(line) else {
        assert!(!line.starts_with("lanyard "), "a quote is open: {line}");
        return Vec::new();
    };
    let mut commands = Vec::new();
    let mut command = Command::default();
    let mut words = words.into_iter();
    while let Some(Word { text, is_quoted }) = words.next() {
        let is_one_of = |signs: &[&str]| !is_quoted && signs.contains(&text.as_str());
        if is_one_of(&["|", "&&", ";"]) {
            commands.push(std::mem::take(&mut command));
        } else if is_one_of(&[">", ">>", "<"]) {
            words.next();
        } else if command.words.is_empty() && sets_variable(&text) {
            command.has_variables = true;
        } else {
            command.words.push(filled(&text));
        }
    }
    commands.push(command);
    commands
}

fn sets_variable(word: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    word.split_once('=').is_some_and(|(name, _)| is_name(name))
}

/// A word with something in place of what an example leaves to its reader.
fn filled(word: &str) -> String {
    let left_out = DIGEST_DIGITS.saturating_sub(word.replace('…', "").len());
    word.replace("::ACCOUNT:", "::111122223333:").replace('…', &"0".repeat(left_out))
}

struct Word {
    text: String,
    is_quoted: bool,
}

/// The words of a line up to its comment; none where a quote is left open.
fn words(line: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let (mut word, mut open, mut spaces): (Option<Word>, Option<char>, usize) = (None, None, 0);
    let new = || Word { text: String::new(), is_quoted: false };
    for character in line.chars() {
        match open {
            Some(quote) if quote == character => open = None,
            Some(_) => word.get_or_insert_with(new).text.push(character),
            None if character == '\'' || character == '"' => {
                open = Some(character);
                word.get_or_insert_with(new).is_quoted = true;
            }
            None if character == ' ' => {
                words.extend(word.take());
                spaces += 1;
                if spaces == COMMENT_SPACES {
                    break;
                }
                continue;
            }
            None if character == '#' && word.is_none() => break,
            None => word.get_or_insert_with(new).text.push(character),
        }
        spaces = 0;
    }
    words.extend(word);
    open.is_none().then_some(words)
}
