//! The Rust tests: cargo builds their programs, and here they run, a few at a time.
//!
//! `cargo test` runs one program after the other, and most of them wait for the last of their tests on one processor, or for
//! a disk. What a program says is shown in one piece when it has ended, without the tests that passed.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::tally::Tally;
use crate::watchdog::Watchdog;

/// Each runs as many tests at once as there are processors, so that more programs would only wait for each other, and for
/// the one database server.
const AT_ONCE_MAX: usize = 4;
/// How long each took in the last run, in the target folder: the longest begin first.
const SECONDS_FILE: &str = "xtask-test-seconds.json";

/// One program, or something else that tells of its tests as those do.
pub(crate) struct Program {
    /// What people know it by: the file that it is built from.
    name: String,
    command: Command,
}

/// A line of `cargo test --message-format json`.
#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact(Artifact),
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Artifact {
    manifest_path: PathBuf,
    target: Source,
    profile: Profile,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Source {
    src_path: PathBuf,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

impl Program {
    pub(crate) fn new(name: &str, command: Command) -> Self {
        Self { name: name.to_owned(), command }
    }

    /// The test programs that cargo tells of while it builds, each with what cargo would set for it.
    pub(crate) fn built(root: &Path, cargo: &str, lines: &[String]) -> Result<Vec<Self>> {
        let mut programs = Vec::new();
        for line in lines.iter().filter(|line| line.starts_with('{')) {
            let message = serde_json::from_str(line).context("cannot read what cargo says that it built")?;
            let Message::CompilerArtifact(Artifact { manifest_path, target, profile, executable }) = message
            else {
                continue;
            };
            // A library that tests need, or a program that is tried by one, is no program of tests.
            let (true, Some(executable)) = (profile.test, executable) else { continue };
            let folder = manifest_path.parent().context("a manifest lies in no folder")?;
            let mut command = Command::new(executable);
            command.current_dir(folder).env("CARGO", cargo).env("CARGO_MANIFEST_DIR", folder);
            let source = target.src_path.strip_prefix(root).unwrap_or(&target.src_path);
            programs.push(Self::new(&source.display().to_string(), command));
        }
        Ok(programs)
    }

    pub(crate) fn command(&mut self) -> &mut Command {
        &mut self.command
    }
}

/// Runs them all, the longest first, and counts their tests. A program that fails without a failed test counts as one.
pub(crate) fn run(watchdog: &Watchdog, target: &Path, mut programs: Vec<Program>) -> Result<Tally> {
    let file = target.join(SECONDS_FILE);
    let mut seconds: BTreeMap<String, f64> =
        fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    // One that nobody has measured yet may be the longest of all.
    let expected = |program: &Program| seconds.get(&program.name).copied().unwrap_or(f64::INFINITY);
    programs.sort_by(|one, other| expected(other).total_cmp(&expected(one)));
    let at_once = std::thread::available_parallelism().map_or(1, NonZero::get).min(AT_ONCE_MAX);
    let (waiting, ended) = (Mutex::new(VecDeque::from(programs)), Mutex::new(Vec::new()));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(program) = next() {
                    let (name, start) = (program.name.clone(), Instant::now());
                    let outcome = program.run(watchdog).with_context(|| name.clone());
                    let seconds = start.elapsed().as_secs_f64();
                    let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Ok(said) = &outcome {
                        said.show(&name, seconds);
                    }
                    ended.push((name, seconds, outcome));
                }
            });
        }
    });
    let mut total = Tally::default();
    for (name, took, outcome) in ended.into_inner().unwrap_or_else(PoisonError::into_inner) {
        total += outcome?.tally();
        seconds.insert(name, took);
    }
    // Whoever cannot write there begins in another order the next time.
    let _ = fs::write(file, serde_json::to_vec(&seconds)?);
    Ok(total)
}

/// What a program said, and how it ended.
struct Said {
    status: ExitStatus,
    lines: Vec<String>,
}

impl Program {
    fn run(mut self, watchdog: &Watchdog) -> Result<Said> {
        // Both outputs in the order in which they were written.
        let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
        self.command.stdout(writer.try_clone().context("cannot share a pipe")?).stderr(writer);
        let mut running = watchdog.spawn(&mut self.command)?;
        // It holds the ends that are written to; what it started has its own.
        drop(self.command);
        let lines = lines(reader).context("cannot read what it says")?;
        Ok(Said { status: running.child.wait().context("cannot wait for it")?, lines })
    }
}

fn lines(reader: impl Read) -> std::io::Result<Vec<String>> {
    let lines = BufReader::new(reader).split(b'\n');
    lines.map(|line| Ok(String::from_utf8_lossy(&line?).into_owned())).collect()
}

impl Said {
    fn tally(&self) -> Tally {
        let mut tally = Tally::of_cargo(&self.lines);
        if !self.status.success() && tally.failed == 0 {
            tally += Tally::FAILED;
        }
        tally
    }

    /// One line where all is well, and none where there was no test; where it is not, all but the tests that passed.
    fn show(&self, name: &str, seconds: f64) {
        let tally = self.tally();
        if tally.is_empty() {
            return;
        }
        println!("{name:<44} {seconds:>6.1} s  {tally}");
        if tally.failed > 0 {
            let passed = |line: &&String| line.starts_with("test ") && line.ends_with(" ... ok");
            for line in self.lines.iter().filter(|line| !passed(line)) {
                println!("{line}");
            }
            println!("{name} ended with {}", self.status);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(name: &str, script: &str) -> Program {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Program::new(name, command)
    }

    #[test]
    fn the_programs_are_those_of_tests_in_the_folder_of_their_package() {
        let artifact = |package: &str, source: &str, test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/w/{package}/Cargo.toml","target":{{"name":"a",
                "src_path":"/w/{package}/{source}"}},"profile":{{"test":{test}}},"executable":{executable},"fresh":true}}"#
            )
        };
        let lines = [
            artifact("crates/iam", "src/lib.rs", false, "null"),
            artifact("services/lanyard", "src/main.rs", false, r#""/t/lanyard""#),
            artifact("crates/iam", "src/lib.rs", true, r#""/t/iam-1""#),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
            String::new(),
        ];
        let lines = lines.map(|line| line.replace('\n', ""));
        let programs = Program::built(Path::new("/w"), "cargo", &lines).unwrap();
        let [program] = programs.as_slice() else { panic!("{} programs", programs.len()) };
        assert_eq!(program.name, "crates/iam/src/lib.rs");
        assert_eq!(program.command.get_program(), "/t/iam-1");
        assert_eq!(program.command.get_current_dir(), Some(Path::new("/w/crates/iam")));
        assert!(Program::built(Path::new("/w"), "cargo", &["{".to_owned()]).is_err());
    }

    #[test]
    fn every_test_is_counted_once_and_a_program_that_dies_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let watchdog = Watchdog::start().unwrap();
        let result = |passed: u32, failed: u32| {
            format!("echo 'test result: x. {passed} passed; {failed} failed; 1 ignored; 0 measured'")
        };
        let programs = || {
            vec![
                shell("passes", &result(3, 0)),
                shell("fails", &format!("{}; exit 101", result(5, 2))),
                shell("says it on the other output", &format!("{} >&2", result(7, 0))),
                shell("dies", "kill -s ABRT $$"),
            ]
        };
        // The second run begins in the order that the first has left.
        for _ in 0..2 {
            let tally = run(&watchdog, folder.path(), programs()).unwrap();
            assert_eq!(tally, Tally { passed: 15, failed: 3, skipped: 3 });
            let kept = fs::read(folder.path().join(SECONDS_FILE)).unwrap();
            let kept: BTreeMap<String, f64> = serde_json::from_slice(&kept).unwrap();
            assert_eq!(kept.len(), 4, "{kept:?}");
        }
        assert!(
            run(&watchdog, folder.path(), vec![Program::new("is not there", Command::new("/nowhere"))])
                .is_err()
        );
    }
}
