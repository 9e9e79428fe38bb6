//! What commands read: files, standard input, and values of flags.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    str::FromStr,
};

use lanyard_api::mapping::BREAK_GLASS_PREFIX;
use lanyard_iam::token::TOKEN_PREFIX;
use lanyard_kit::config::nearest;
use lanyard_oidc::looks_like_jwt;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::failure::Failure;

/// Most bytes of one file that a command reads; a cluster's whole RBAC is far below.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// A file, or standard input where it is `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `-`
    Stdin,
    /// A path.
    File(PathBuf),
}

impl FromStr for Source {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "-" { Self::Stdin } else { Self::File(text.into()) })
    }
}

impl Source {
    /// Reads it whole, without the byte order mark that some editors put in front.
    ///
    /// # Errors
    /// [`Failure::Usage`] names what cannot be read and why.
    pub fn read(&self) -> Result<String, Failure> {
        self.read_within(FILE_BYTES_MAX, "give it in parts")
    }

    /// The same with a limit of its own, and what to do where it is longer.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_within(&self, bytes_max: u64, next: &str) -> Result<String, Failure> {
        match self {
            Self::Stdin => bounded(io::stdin().lock(), "standard input", bytes_max, next),
            Self::File(path) => {
                let file = File::open(path).map_err(|error| {
                    in_place_of_a_file(path).unwrap_or_else(|| unreadable(&shown(path), &error))
                })?;
                bounded(file, &shown(path), bytes_max, next)
            }
        }
    }

    /// How messages name it.
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => shown(path),
        }
    }
}

fn shown(path: &Path) -> String {
    format!("`{}`", path.display())
}

/// What whoever gave the document or the token itself is told, where there is no file of that name. It is not repeated, for it may
/// be a secret.
fn in_place_of_a_file(path: &Path) -> Option<Failure> {
    let text = path.to_str()?.trim_start();
    if text.starts_with(['{', '[']) {
        return Some(Failure::usage(
            "that is a document itself, where a file with it is wanted: give the file's name, or `-` and the document on standard \
             input",
        ));
    }
    let is_token = [TOKEN_PREFIX, BREAK_GLASS_PREFIX].iter().any(|prefix| text.starts_with(prefix));
    (is_token || looks_like_jwt(text)).then(|| {
        Failure::usage(
            "that is a token itself, and everybody on this machine can read command lines: give a file with it, or `-` and the \
             token on standard input",
        )
    })
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    let next = match error.kind() {
        io::ErrorKind::NotFound => ": give the path of a file that is there",
        io::ErrorKind::PermissionDenied => ": let this user read it, and enter its folders",
        io::ErrorKind::IsADirectory => ": give a file in it",
        _ => "",
    };
    Failure::usage(format!("{name} cannot be read: {error}{next}"))
}

fn bounded(from: impl Read, name: &str, bytes_max: u64, next: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let within = bytes_max.saturating_add(1);
    from.take(within).read_to_end(&mut bytes).map_err(|error| unreadable(name, &error))?;
    if bytes.len() as u64 > bytes_max {
        return Err(Failure::usage(format!("{name} is longer than {bytes_max} bytes: {next}")));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::usage(format!("{name} is not UTF-8: save it as UTF-8")))?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// `KEY=VALUE`, where the value may hold `=`.
///
/// # Errors
/// Where there is no `=`, or nothing before it.
pub fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

/// A moment, as RFC 3339 writes it.
///
/// # Errors
/// Anything else.
pub fn moment(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|error| format!("{error}: write it as RFC 3339 has it, such as 2030-01-31T17:00:00Z"))
}

/// What somebody may have meant by a name that is not known, where one that is comes near; to be put behind the name.
pub fn meant<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map(|nearest| format!(" (did you mean `{nearest}`?)")).unwrap_or_default()
}

/// How a moment is shown.
pub fn moment_text(moment: OffsetDateTime) -> String {
    moment.format(&Rfc3339).unwrap_or_else(|_| moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_what_separates_it_from_its_key() {
        assert_eq!(key_value("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(key_value("a="), Ok(("a".to_owned(), String::new())));
        for bad in ["", "a", "=b"] {
            assert!(key_value(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_moment_reads_back_what_it_writes_and_nothing_looser() {
        for text in ["2030-01-31T17:00:00Z", "2030-01-31T17:00:00.5+02:00"] {
            assert_eq!(moment_text(moment(text).unwrap()), text);
        }
        for bad in ["", "2030-01-31", "tomorrow", "2030-01-31 17:00:00"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_too_long_or_no_text_is_refused_by_name() {
        let long = bounded(io::repeat(b'a'), "x", 5, "cut it").unwrap_err().to_string();
        assert_eq!(long, "x is longer than 5 bytes: cut it");
        let bytes = bounded(&[0xff_u8][..], "x", 5, "cut it").unwrap_err().to_string();
        assert!(bytes.contains("UTF-8"), "{bytes}");
        assert_eq!("-".parse(), Ok(Source::Stdin));
        let missing = Source::File("/nonexistent/file".into()).read().unwrap_err().to_string();
        assert!(missing.contains("`/nonexistent/file`") && missing.contains("that is there"), "{missing}");
        let folder = tempfile::tempdir().unwrap();
        let is_folder = Source::File(folder.path().to_owned()).read().unwrap_err().to_string();
        assert!(is_folder.ends_with("give a file in it"), "{is_folder}");
    }

    #[test]
    fn one_byte_order_mark_in_front_is_no_part_of_a_text() {
        for (bytes, text) in [
            ("\u{feff}a\u{feff}", "a\u{feff}"),
            ("\u{feff}\u{feff}a", "\u{feff}a"),
            ("\u{feff}", ""),
            ("a", "a"),
        ] {
            assert_eq!(bounded(bytes.as_bytes(), "x", 9, "cut it").unwrap(), text, "{bytes:?}");
        }
    }

    #[test]
    fn who_gives_a_document_or_a_token_in_place_of_a_file_is_told_so_without_repeating_it() {
        let said = |text: &str| text.parse::<Source>().unwrap().read().unwrap_err().to_string();
        for document in [r#"{"Version":"2012-10-17"}"#, "\n  {\n}", "[secret]"] {
            let message = said(document);
            assert!(message.contains("a document itself") && message.contains("`-`"), "{message}");
            assert!(!message.contains(document), "{message}");
        }
        for token in
            ["k8s-aws-v1.aHR0cHM6Ly9zdHM", "lbg_c2VjcmV0", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"]
        {
            let message = said(token);
            assert!(message.contains("a token itself") && message.contains("`-`"), "{message}");
            assert!(!message.contains(token), "{message}");
        }
        // Names that only begin alike are of files.
        for path in ["eyes.txt", "/nonexistent/{a}", "k8s-aws-v1"] {
            assert!(said(path).contains("cannot be read"), "{path}");
        }
    }
}
