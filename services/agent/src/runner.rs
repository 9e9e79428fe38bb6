//! The name `go-runner`, by which the published DaemonSet starts its agent: Kubernetes' kube-log-runner, which says where output goes and
//! runs the rest of its line. With this program under both names that DaemonSet needs another image and nothing else.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use lanyard_kit::{complain, life::configuration_fault};

/// The program that runs another.
const RUNNER: &str = "go-runner";
/// What this program is called, here and in the published image.
const OWN: [&str; 2] = ["lanyard-agent", "eks-pod-identity-agent"];
/// Of a log file that is made: kube-log-runner's own.
const LOG_FILE_MODE: u32 = 0o644;

/// Why nothing is run.
#[derive(Debug, thiserror::Error)]
enum RunnerError {
    /// There is no program behind the flags.
    #[error("go-runner: what is to be run? Name a program after the flags, such as /eks-pod-identity-agent")]
    Nothing,
    /// It has no such flag.
    #[error(
        "go-runner: `{0}` is no flag of its; before the program it takes --log-file, --also-stdout and --redirect-stderr"
    )]
    Flag(String),
    /// A flag that is so or not so was given something else.
    #[error(
        "go-runner: --{flag}: `{value}` is neither true nor false; write --{flag}=true or --{flag}=false"
    )]
    Truth { flag: &'static str, value: String },
    /// A flag needs a file behind it.
    #[error("go-runner: --log-file: which file? Write --log-file=FILE")]
    NoFile,
    /// The log file is not to be had.
    #[error("go-runner: the log file `{}` cannot be written: {reason}; is its folder mounted?", path.display())]
    LogFile { path: PathBuf, reason: io::Error },
    /// The program is not to be had.
    #[error("go-runner: `{}` cannot be run: {reason}; the agent is /eks-pod-identity-agent", program.display())]
    Run { program: PathBuf, reason: io::Error },
}

/// Runs what stands behind the runner's name, where the command line begins with that; the agent then takes this process's place. It comes
/// back, with the exit code, where that cannot be; and with none, where the line begins with another name.
pub fn main(line: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut line = line.into_iter();
    let name = line.next()?;
    if base_name(&name) != Some(OsStr::new(RUNNER)) {
        return None;
    }
    let error = match Runner::parse(line) {
        Ok(runner) => runner.run(),
        Err(error) => error,
    };
    Some(configuration_fault(&error))
}

fn base_name(program: &OsStr) -> Option<&OsStr> {
    Path::new(program).file_name()
}

/// What is run, and where its output goes.
#[derive(Debug, PartialEq, Eq)]
struct Runner {
    log_file: Option<PathBuf>,
    also_stdout: bool,
    redirect_stderr: bool,
    program: OsString,
    words: Vec<OsString>,
}

impl Runner {
    /// The flags and their defaults are kube-log-runner's, written as Go's package `flag` reads them: one dash or two, a value behind `=`
    /// or, where it is not true or false, as the next word; the first other word ends them, and so do two dashes alone.
    fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Self, RunnerError> {
        let (mut log_file, mut also_stdout, mut redirect_stderr) = (PathBuf::new(), false, true);
        let mut words = words.into_iter();
        let program = loop {
            let word = words.next().ok_or(RunnerError::Nothing)?;
            let flag = word.to_str().and_then(|word| word.strip_prefix('-')).filter(|flag| !flag.is_empty());
            let Some(flag) = flag else { break word };
            let flag = flag.strip_prefix('-').unwrap_or(flag);
            if flag.is_empty() {
                break words.next().ok_or(RunnerError::Nothing)?;
            }
            let (name, value) =
                flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
            match name {
                "log-file" => {
                    let value = value.map(OsString::from).or_else(|| words.next());
                    log_file = value.ok_or(RunnerError::NoFile)?.into();
                }
                "also-stdout" => also_stdout = truth("also-stdout", value)?,
                "redirect-stderr" => redirect_stderr = truth("redirect-stderr", value)?,
                _ => return Err(RunnerError::Flag(word.to_string_lossy().into_owned())),
            }
        };
        let log_file = Some(log_file).filter(|path| !path.as_os_str().is_empty());
        Ok(Self { log_file, also_stdout, redirect_stderr, program, words: words.collect() })
    }

    /// Becomes the program, so that there is one process, which signals reach; comes back only where that cannot be.
    fn run(&self) -> RunnerError {
        match self.command() {
            Ok(mut command) => RunnerError::Run { program: (&self.program).into(), reason: command.exec() },
            Err(error) => error,
        }
    }

    fn command(&self) -> Result<Command, RunnerError> {
        let is_own = OWN.iter().any(|own| base_name(&self.program) == Some(OsStr::new(own)));
        // This very program, wherever it is; it then sees the name that it was called by.
        let own = if is_own { std::env::current_exe().ok() } else { None };
        let mut command = Command::new(own.unwrap_or_else(|| (&self.program).into()));
        command.arg0(&self.program).args(&self.words);
        let Some(path) = &self.log_file else {
            if self.redirect_stderr {
                command.stderr(io::stdout());
            }
            return Ok(command);
        };
        if self.also_stdout {
            complain(&format!(
                "lanyard: go-runner: --also-stdout is left out: the output goes to `{}` alone",
                path.display()
            ));
        }
        let fault = |reason| RunnerError::LogFile { path: path.clone(), reason };
        let file = OpenOptions::new().append(true).create(true).mode(LOG_FILE_MODE).open(path);
        let file = file.map_err(fault)?;
        if self.redirect_stderr {
            command.stderr(file.try_clone().map_err(fault)?);
        }
        command.stdout(file);
        Ok(command)
    }
}

/// As Go's `strconv.ParseBool` has it; a flag alone is true.
fn truth(flag: &'static str, value: Option<&str>) -> Result<bool, RunnerError> {
    match value {
        None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(value) => Err(RunnerError::Truth { flag, value: value.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Runner, String> {
        Runner::parse(line.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
    }

    fn runner(log_file: Option<&str>, also_stdout: bool, redirect_stderr: bool, line: &str) -> Runner {
        let mut words = line.split_whitespace().map(OsString::from);
        Runner {
            log_file: log_file.map(PathBuf::from),
            also_stdout,
            redirect_stderr,
            program: words.next().unwrap(),
            words: words.collect(),
        }
    }

    #[test]
    fn flags_are_read_as_go_reads_them_and_the_rest_is_the_programs() {
        const AGENT: &str = "/eks-pod-identity-agent server --port 80 -v trace";
        let cases = [
            ("", runner(None, false, true, AGENT)),
            ("--log-file=/var/log/a.log", runner(Some("/var/log/a.log"), false, true, AGENT)),
            ("-log-file /var/log/a.log", runner(Some("/var/log/a.log"), false, true, AGENT)),
            ("--log-file=", runner(None, false, true, AGENT)),
            ("--also-stdout --redirect-stderr=false", runner(None, true, false, AGENT)),
            ("-also-stdout=0 -redirect-stderr=T --", runner(None, false, true, AGENT)),
        ];
        for (flags, expected) in cases {
            assert_eq!(parse(&format!("{flags} {AGENT}")), Ok(expected), "{flags}");
        }
    }

    #[test]
    fn what_cannot_be_run_is_named() {
        let cases = [
            ("", "what is to be run"),
            ("--also-stdout", "what is to be run"),
            ("--", "what is to be run"),
            ("--log-file", "which file"),
            ("--loud /agent", "`--loud`"),
            ("--also-stdout=maybe /agent", "`maybe`"),
        ];
        for (line, named) in cases {
            let error = parse(line).unwrap_err();
            assert!(error.starts_with("go-runner: ") && error.contains(named), "{line}: {error}");
        }
    }

    #[test]
    fn another_name_than_the_runners_runs_nothing() {
        for name in ["/lanyard-agent", "/eks-pod-identity-agent", "go-runner-2", "/go-runner/agent"] {
            assert!(main([OsString::from(name), "--loud".into()]).is_none(), "{name}");
        }
        assert!(main(Vec::<OsString>::new()).is_none());
    }
}
