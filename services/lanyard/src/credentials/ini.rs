//! AWS's shared files, read as botocore reads them (`configloader.py`, on Python's `configparser`).

use std::{collections::BTreeMap, fs, io, path::Path};

use super::{CredentialsError, words::words};

/// The keys of one section, lower case.
pub(super) type Section = BTreeMap<String, String>;
/// The same as they stand in the file.
type Written = BTreeMap<String, Value>;

/// The header whose settings count in every other section that lacks them (`configparser.DEFAULTSECT`). Nobody's profile is called so.
const OF_ALL: &str = "DEFAULT";
/// The one key whose value may go on in deeper lines here. That of any other has taken in settings that somebody indented, keys among
/// them, and stands in errors and answers.
const OF_SEVERAL_LINES: &str = "credential_process";

/// What a key has, and the line that the key stands in, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Value {
    text: String,
    line: usize,
}

/// A profile of a credentials file, whose headers are names; none if the file or the profile is not there.
pub(super) fn of_credentials(path: &Path, profile: &str) -> Result<Option<Section>, CredentialsError> {
    section(path, |header| header == profile)
}

/// A profile of a config file; none if the file or the profile is not there.
pub(super) fn of_config(path: &Path, profile: &str) -> Result<Option<Section>, CredentialsError> {
    section(path, |header| is_profile(header, profile))
}

fn section(path: &Path, is_meant: impl Fn(&str) -> bool) -> Result<Option<Section>, CredentialsError> {
    match fs::read_to_string(path) {
        Ok(text) => match sections(&text) {
            Ok(sections) => {
                last(sections, is_meant).map(|section| on_lines_of_their_own(section, path)).transpose()
            }
            Err(line) => Err(CredentialsError::Line { path: path.to_owned(), line }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(reason) => Err(CredentialsError::File { path: path.to_owned(), reason }),
    }
}

/// The values alone. Which of them has deeper lines is told without its text: a secret may stand there.
fn on_lines_of_their_own(section: Written, path: &Path) -> Result<Section, CredentialsError> {
    let value =
        |(key, Value { text, line }): (String, Value)| match text.contains('\n') && key != OF_SEVERAL_LINES {
            true => Err(CredentialsError::Deeper { path: path.to_owned(), line, key }),
            false => Ok((key, text)),
        };
    section.into_iter().map(value).collect()
}

/// `[default]`, or `[profile NAME]` in a shell's words, which `[profile default]` is too (`configloader.build_profile_map`).
fn is_profile(header: &str, profile: &str) -> bool {
    let in_words =
        || words(header).is_some_and(|words| matches!(words.as_slice(), [_, name] if name == profile));
    (header == "default" && profile == "default") || (header.starts_with("profile") && in_words())
}

/// The last that is meant, where a profile is written in two ways. What stands below the very same header, given again, goes together,
/// though botocore takes no such file. It lies over the settings of all.
fn last(sections: Vec<(String, Written)>, is_meant: impl Fn(&str) -> bool) -> Option<Written> {
    let is_profiles = |header: &&String| *header != OF_ALL && is_meant(header);
    let header = sections.iter().rev().map(|(header, _)| header).find(is_profiles)?.clone();
    let (of_all, others): (Vec<_>, Vec<_>) = sections.into_iter().partition(|(of, _)| of == OF_ALL);
    let own = others.into_iter().filter(|(of, _)| *of == header);
    Some(of_all.into_iter().chain(own).flat_map(|(_, section)| section).collect())
}

/// Each section with its header, in order. Where a line is wrong, its number.
fn sections(text: &str) -> Result<Vec<(String, Written)>, usize> {
    let mut sections: Vec<(String, Written)> = Vec::new();
    // The key whose value deeper lines go on with, and how deep that stands itself.
    let (mut open, mut depth) = (None::<String>, 0);
    for (at, whole) in text.lines().enumerate() {
        let line = whole.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        let begun = match &open {
            Some(key) => sections.last_mut().and_then(|(_, section)| Some(&mut section.get_mut(key)?.text)),
            None => None,
        };
        if line.is_empty() {
            if let Some(value) = begun
                && !value.is_empty()
            {
                value.push('\n');
            }
            continue;
        }
        let indent = whole.len() - whole.trim_start().len();
        if indent > depth
            && let Some(value) = begun
        {
            // Below a bare `key =` stand settings of its own, for which nobody here asks.
            if !value.is_empty() {
                value.push('\n');
                value.push_str(line);
            } else if !line.contains('=') {
                return Err(at + 1);
            }
            continue;
        }
        depth = indent;
        let header = line.strip_prefix('[').and_then(|rest| rest.rsplit_once(']'));
        if let Some((header, _)) = header.filter(|(header, _)| !header.is_empty()) {
            sections.push((header.trim().to_owned(), Written::new()));
            open = None;
            continue;
        }
        let (key, value) = line.split_once(['=', ':']).filter(|(key, _)| !key.is_empty()).ok_or(at + 1)?;
        // What stands before the first header is nobody's.
        if let Some((_, section)) = sections.last_mut() {
            let key = key.trim_end().to_ascii_lowercase();
            section.insert(key.clone(), Value { text: value.trim().to_owned(), line: at + 1 });
            open = Some(key);
        }
    }
    // Blank lines count between the lines of a value alone.
    for (_, section) in &mut sections {
        section.values_mut().for_each(|Value { text, .. }| text.truncate(text.trim_end().len()));
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The settings of a profile, `key=value` joined by `;`.
    fn read(text: &str, is_meant: impl Fn(&str) -> bool) -> Result<Option<String>, usize> {
        let section = last(sections(text)?, is_meant);
        Ok(section.map(|section| {
            section.iter().map(|(key, value)| format!("{key}={}", value.text)).collect::<Vec<_>>().join(";")
        }))
    }

    /// With what `botocore.configloader.load_config` answers, but for the settings below a bare key: there they are a map.
    #[test]
    fn a_config_file_is_read_as_botocore_reads_it() {
        let cases = [
            ("[default]\nregion = a\n", "default", Some("region=a")),
            ("[profile default]\nregion = a\n", "default", Some("region=a")),
            ("[default]\nregion = a\n[profile default]\noutput = b\n", "default", Some("output=b")),
            ("[profile default]\noutput = b\n[default]\nregion = a\n", "default", Some("region=a")),
            ("[default]\nregion = a\n", "ana", None),
            ("[profile 'my dev']\nregion = a\n", "my dev", Some("region=a")),
            ("[profile \"my dev\"]\nregion = a\n", "my dev", Some("region=a")),
            ("[profile my\\ dev]\nregion = a\n", "my dev", Some("region=a")),
            ("[profile my dev]\nregion = a\n", "my dev", None),
            ("[profile 'my dev]\nregion = a\n", "my dev", None),
            ("[my dev]\nregion = a\n", "my dev", None),
            ("[profile\tana]\nregion = a\n", "ana", Some("region=a")),
            ("  [profile  ana]\nregion = a\n", "ana", Some("region=a")),
            ("[profile ana]\noutput = b\n[profile 'ana']\nregion = a\n", "ana", Some("region=a")),
            ("[profile ana] ; mine\nregion: a\n", "ana", Some("region=a")),
            ("[profile ana] [x]\nregion = a\n", "ana", None),
            (
                "[profile ana]\nREGION=a\nurl: https://x=y:1\nsecret = a:b=c\n",
                "ana",
                Some("region=a;secret=a:b=c;url=https://x=y:1"),
            ),
            (
                "[profile ana]\nprocess = /opt/x\n    --flag\n  # no\n\n    --more=1\nregion = a\n",
                "ana",
                Some("process=/opt/x\n--flag\n\n--more=1;region=a"),
            ),
            (
                "[profile ana]\nregion = a\ns3 =\n    region = b\n  c = d\n\n  ; no\n  e = f\noutput = b\n",
                "ana",
                Some("output=b;region=a;s3="),
            ),
            ("[profile ana]\n  region = a\n    b\n  output = c\n", "ana", Some("output=c;region=a\nb")),
            (
                "[profile ana]\nregion = a\n  [profile bob]\noutput = b\n",
                "ana",
                Some("output=b;region=a\n[profile bob]"),
            ),
            ("[profile ana]\nregion =\n\noutput = b\n\n\n", "ana", Some("output=b;region=")),
            ("[profile ana]\r\nregion = a\r\n  b\r\n", "ana", Some("region=a\nb")),
            ("# c\n\n[profile ana]\nregion = a ; no comment\n", "ana", Some("region=a ; no comment")),
            (
                "[DEFAULT]\nregion = a\noutput = b\n[profile ana]\noutput = c\n[DEFAULT]\nx = d\n",
                "ana",
                Some("output=c;region=a;x=d"),
            ),
            ("[profile ana]\nregion = a\n[default]\noutput = b\n", "ana", Some("region=a")),
            ("[DEFAULT]\nregion = a\n", "default", None),
            ("[DEFAULT]\nregion = a\n[profile DEFAULT]\noutput = b\n", "DEFAULT", Some("output=b;region=a")),
        ];
        for (text, profile, expected) in cases {
            let answer = read(text, |header| is_profile(header, profile)).unwrap();
            assert_eq!(answer.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_value_of_deeper_lines_is_told_by_file_line_and_key_and_not_by_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let secret = "wJalrXUtnFEMIsecretsecret";
        for key in ["region", "endpoint_url", "client_certificate", "aws_session_token", "output"] {
            let text = format!(
                "[default]\n{key} = a\n  aws_access_key_id = AKIA\n\n  aws_secret_access_key = {secret}\n[profile b]\n{key} = b\n"
            );
            fs::write(&path, text).unwrap();
            let told = of_config(&path, "default").unwrap_err().to_string();
            let place = format!("`{}` line 2: the value of `{key}` goes on in deeper lines", path.display());
            assert!(told.starts_with(&place) && !told.contains(secret) && !told.contains("AKIA"), "{told}");
            let other = of_config(&path, "b").unwrap().unwrap();
            assert_eq!(other.get(key).map(String::as_str), Some("b"), "another profile's lines are its own");
        }
        fs::write(&path, "[default]\ncredential_process = /opt/x\n  --flag\n").unwrap();
        let command = of_config(&path, "default").unwrap().unwrap();
        assert_eq!(command.get(OF_SEVERAL_LINES).map(String::as_str), Some("/opt/x\n--flag"));
    }

    #[test]
    fn a_credentials_file_has_names_for_headers_and_what_stands_below_one_given_again_goes_together() {
        let text = "region = nobody's\n[DEFAULT]\nd = 6\n[my  dev]\na = 1\n[b]\na = 2\n[ my  dev ]\nA = 3\nc = 4\n\
                    [profile b]\na = 5\n";
        let of = |name: &str| read(text, |header| header == name).unwrap();
        assert_eq!(of("my  dev").as_deref(), Some("a=3;c=4;d=6"));
        assert_eq!(of("b").as_deref(), Some("a=2;d=6"));
        assert_eq!(of("my dev"), None);
        assert_eq!(of("DEFAULT"), None);
    }

    /// Of each of these botocore takes no file either (`ConfigParseError`).
    #[test]
    fn a_wrong_line_is_named() {
        for (text, line) in [
            ("[a]\nwhat\n", 2),
            ("[a\n", 1),
            ("[]\n", 1),
            ("[a]\n\n= b\n", 3),
            ("[a]\ns3 =\n  b = c\n  nothing\n", 4),
        ] {
            assert_eq!(sections(text), Err(line), "{text}");
        }
    }
}
