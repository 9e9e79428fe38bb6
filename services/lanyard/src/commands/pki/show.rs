//! `lanyard pki show`.

use std::path::{Path, PathBuf};

use clap::Args;
use lanyard_api::CertificateSha256;
use lanyard_kit::{
    Clock as _, SystemClock,
    tls::{CertificateFacts, certificates_from_pem, fingerprint, read_public_file},
};
use serde::Serialize;
use time::OffsetDateTime;

use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    input::moment_text,
    show::{Listing, Row, or_dash},
};

/// Names of files that hold certificates end so.
const CERTIFICATE_END: &str = "crt";

/// The flags of `lanyard pki show`.
#[derive(Debug, Args)]
#[command(
    after_help = "It reads certificates and no keys, and needs no hub. Exit code 1: one of them has ended, or has not begun; it \
                  counts for nothing then.\n\nExamples:\n  lanyard pki show /etc/lanyard/authn\n  lanyard pki show \
                  ~/.local/share/lanyard/pki --output json\n  lanyard pki show service.crt"
)]
pub struct ShowArgs {
    /// A folder with certificates (*.crt), or one file.
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

/// One certificate of a file.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Shown {
    file: PathBuf,
    subject: String,
    issuer: String,
    /// Whom it names among peers.
    uris: Vec<String>,
    /// Under which names it serves.
    names: Vec<String>,
    is_authority: bool,
    /// By which blocks name it.
    sha256: CertificateSha256,
    #[serde(with = "time::serde::rfc3339")]
    not_before: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    not_after: OffsetDateTime,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Good,
    Ended,
    NotBegun,
}

impl State {
    fn of(facts: &CertificateFacts, now: OffsetDateTime) -> Self {
        match now {
            now if now > facts.not_after => Self::Ended,
            now if now < facts.not_before => Self::NotBegun,
            _ => Self::Good,
        }
    }
}

impl Row for Shown {
    const COLUMNS: &'static [&'static str] =
        &["FILE", "SUBJECT", "ISSUER", "URI", "NAMES", "NOT AFTER", "STATE", "SHA256"];

    fn cells(&self) -> Vec<String> {
        let name = self.file.file_name().map(|name| name.to_string_lossy().into_owned());
        let state = match self.state {
            State::Good => "good",
            State::Ended => "ended",
            State::NotBegun => "not begun",
        };
        let listed = |texts: &[String]| or_dash((!texts.is_empty()).then(|| texts.join(", ")));
        vec![
            or_dash(name),
            self.subject.clone(),
            self.issuer.clone(),
            listed(&self.uris),
            listed(&self.names),
            moment_text(self.not_after),
            state.to_owned(),
            self.sha256.to_string(),
        ]
    }
}

impl ShowArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Ending, Failure> {
        let now = SystemClock.now();
        let mut shown = Vec::new();
        for file in files(&self.path)? {
            shown.extend(certificates(&file, now)?);
        }
        let is_good = shown.iter().all(|one| one.state == State::Good);
        context.show(&Listing(shown))?;
        Ok(is_good.into())
    }
}

/// The file, or the certificates of the folder by their names.
fn files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let fault = |error: std::io::Error| Failure::usage(format!("`{}`: {error}", path.display()));
    if !std::fs::metadata(path).map_err(fault)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries: Result<Vec<_>, _> = std::fs::read_dir(path).map_err(fault)?.collect();
    let mut files: Vec<PathBuf> = entries.map_err(fault)?.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == CERTIFICATE_END));
    files.sort();
    if files.is_empty() {
        let path = path.display();
        return Err(Failure::usage(format!(
            "`{path}` has no *.{CERTIFICATE_END}: give a folder that `lanyard pki issue` wrote, or a certificate"
        )));
    }
    Ok(files)
}

/// All of a file's chain, leaf first.
fn certificates(file: &Path, now: OffsetDateTime) -> Result<Vec<Shown>, Failure> {
    let named = |error: &dyn std::fmt::Display| Failure::usage(format!("`{}`: {error}", file.display()));
    let text = read_public_file(file).map_err(Failure::usage)?;
    let chain = certificates_from_pem(&text).map_err(|error| named(&error))?;
    let shown = chain.iter().map(|der| {
        let facts = CertificateFacts::of(der).map_err(|error| named(&error))?;
        Ok(Shown {
            file: file.to_owned(),
            state: State::of(&facts, now),
            subject: facts.subject,
            issuer: facts.issuer,
            uris: facts.uris,
            names: facts.names,
            is_authority: facts.is_authority,
            sha256: CertificateSha256::from_bytes(fingerprint(der)),
            not_before: facts.not_before,
            not_after: facts.not_after,
        })
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use lanyard_kit::tls::{Authority, Names, write_public_file};
    use time::Duration;

    use super::*;

    #[test]
    fn every_certificate_of_a_folder_is_shown_with_whether_it_counts() {
        let (scratch, now) = (tempfile::tempdir().unwrap(), OffsetDateTime::now_utc());
        let folder = scratch.path().join("pki");
        let authority = Authority::create(&folder, "hub-1", now).unwrap();
        let issued = authority.issue_service("authn", &Names::loopback(), Duration::DAY, now).unwrap();
        write_public_file(&folder.join("authn.crt"), issued.chain_pem.as_bytes()).unwrap();
        let all = |now| -> Vec<Shown> {
            let of = |file: PathBuf| certificates(&file, now).unwrap();
            files(&folder).unwrap().into_iter().flat_map(of).collect()
        };
        let shown = all(now);
        let told: Vec<_> = shown.iter().map(|one| (one.subject.as_str(), one.state)).collect();
        let expected = ["authn", "Lanyard services of hub-1", "Lanyard principals of hub-1"];
        assert_eq!(told[..3], expected.map(|subject| (subject, State::Good)));
        assert_eq!(shown[0].uris, ["lanyard://hub/hub-1/service/authn"]);
        assert_eq!(all(now + Duration::days(2))[0].state, State::Ended);
        assert_eq!(all(now - Duration::days(2))[0].state, State::NotBegun);
        assert!(files(scratch.path()).is_err() && files(&folder.join("none")).is_err());
        assert!(certificates(&folder.join("root.key"), now).is_err(), "a key is no certificate");
    }
}
