//! `credential_process`: a command that prints credentials as JSON (AWS SDK: process credential provider, version 1).

use std::{
    io::Read,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use lanyard_iam::Credentials;
use serde::Deserialize;

use super::{CredentialsError, WITHIN, assemble, words::words};

/// How long the command may take; people may have to touch a key.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Most bytes of its answer.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;
/// How often the end is looked for.
const POLL: Duration = Duration::from_millis(20);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    version: u32,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

/// Who runs the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// Any command of this program.
    Command,
    /// `lanyard credential-process`, which must not be run once more by what it runs.
    CredentialProcess,
}

/// Whether the command is `lanyard credential-process`, under whatever name and path.
pub(super) fn is_this(command: &str) -> bool {
    words(command).is_some_and(|words| words.iter().skip(1).any(|word| word == "credential-process"))
}

/// Runs the command as a shell would, without a shell.
pub(super) fn run(profile: &str, command: &str, caller: Caller) -> Result<Credentials, CredentialsError> {
    let failed = |reason: String| CredentialsError::Process { profile: profile.to_owned(), reason };
    let unfinished =
        "has an open quote, or a `\\` with nothing after it: close the one, write the other twice";
    let words = words(command).ok_or_else(|| failed(unfinished.to_owned()))?;
    let (program, arguments) = words.split_first().ok_or_else(|| failed("is empty".to_owned()))?;
    let mut child = Command::new(program)
        .args(arguments)
        .envs((caller == Caller::CredentialProcess).then_some((WITHIN, "1")))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("cannot run `{program}`: {error}")))?;
    let stdout = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.map(|out| out.take(ANSWER_BYTES_MAX).read_to_string(&mut text)).transpose().map(|_| text)
    });
    let begun = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if begun.elapsed() < TIMEOUT => std::thread::sleep(POLL),
            Ok(None) => {
                // It may have ended by itself meanwhile; either way it is gone.
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(format!("took longer than {} s", TIMEOUT.as_secs())));
            }
            Err(error) => return Err(failed(format!("was lost: {error}"))),
        }
    };
    if !status.success() {
        return Err(failed(format!("ended with {status}; its own words stand above")));
    }
    let text = reader.join().ok().and_then(Result::ok).unwrap_or_default();
    // The text holds a secret: an error names the place alone.
    let answer: Answer = serde_json::from_str(&text).map_err(|error| {
        failed(format!("printed no credentials (line {}, column {})", error.line(), error.column()))
    })?;
    if answer.version != 1 {
        return Err(failed(format!("speaks version {}, not 1", answer.version)));
    }
    let pair = (Some(answer.access_key_id), Some(answer.secret_access_key));
    let place = format!("the credential_process of `{profile}`");
    assemble(pair, answer.session_token, &place)?.ok_or_else(|| failed("printed no key".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_command_is_known_and_what_it_runs_is_told() {
        for command in [
            "lanyard credential-process --hub x",
            "/opt/lanyard --hub x credential-process",
            "sudo -u a '/opt/my tools/lanyard' \"credential-process\"",
        ] {
            assert!(is_this(command), "{command}");
        }
        for command in ["credential-process", "aws configure export-credentials", "lanyard iam assume-role x"]
        {
            assert!(!is_this(command), "{command}");
        }
        let says = format!(
            r#"sh -c 'printf "{{\"Version\":1,\"AccessKeyId\":\"LKIAAAAAAAAAAAAAAAAA\",\"SecretAccessKey\":\"in-${{{WITHIN}:-no}}\"}}"'"#
        );
        let said = |caller| run("p", &says, caller).unwrap().secret_access_key.expose().to_owned();
        assert_eq!((said(Caller::Command), said(Caller::CredentialProcess)), ("in-no".into(), "in-1".into()));
    }

    #[test]
    fn an_answer_is_read_and_a_bad_one_is_named_without_its_text() {
        let good =
            r#"printf '{"Version":1,"AccessKeyId":"LKIAAAAAAAAAAAAAAAAA","SecretAccessKey":"s3cret"}'"#;
        let run = |profile, command| run(profile, command, Caller::Command);
        assert_eq!(run("p", good).unwrap().secret_access_key.expose(), "s3cret");
        let bad = run("p", "printf s3cret").unwrap_err().to_string();
        assert!(!bad.contains("s3cret"), "{bad}");
        assert!(run("p", "false").unwrap_err().to_string().contains("exit status"), "the status is named");
        assert!(run("p", "lanyard-no-such-program").is_err());
        for unfinished in ["printf 'a", r"printf a\"] {
            let refused = run("p", unfinished).unwrap_err().to_string();
            assert!(refused.contains("open quote"), "{refused}");
        }
    }
}
