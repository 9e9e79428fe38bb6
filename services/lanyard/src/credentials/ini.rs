//! The subset of INI that AWS's shared files use.

use std::{collections::BTreeMap, fs, io, path::Path};

use super::CredentialsError;

/// The keys of one section, lower case.
pub(super) type Section = BTreeMap<String, String>;

/// One section of a file; none if the file or the section is not there.
pub(super) fn section(path: &Path, name: &str) -> Result<Option<Section>, CredentialsError> {
    match fs::read_to_string(path) {
        Ok(text) => parse(&text, name).map_err(|line| CredentialsError::Line { path: path.to_owned(), line }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(reason) => Err(CredentialsError::File { path: path.to_owned(), reason }),
    }
}

/// Where a line is wrong, its number.
fn parse(text: &str, name: &str) -> Result<Option<Section>, usize> {
    let mut found: Option<Section> = None;
    let mut inside = false;
    for (at, line) in text.lines().enumerate() {
        let nested = line.starts_with([' ', '\t']);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            let header = header.split_once(']').ok_or(at + 1)?.0;
            inside = header.split_whitespace().eq(name.split_whitespace());
            if inside {
                found.get_or_insert_default();
            }
            continue;
        }
        let (key, value) = line.split_once('=').ok_or(at + 1)?;
        if inside
            && !nested
            && let Some(section) = &mut found
        {
            section.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_told_apart_and_nested_settings_are_not_the_sections() {
        let text = "[profile a]\nregion = x\ns3 =\n  region = y\n[b]\nregion=z\n[profile  a]\nOutput = json ; no comment\n";
        let a = parse(text, "profile a").unwrap().unwrap();
        assert_eq!(a["region"], "x");
        assert_eq!(a["output"], "json ; no comment");
        assert_eq!(parse(text, "b").unwrap().unwrap()["region"], "z");
        assert_eq!(parse(text, "c").unwrap(), None);
    }

    #[test]
    fn a_wrong_line_is_named() {
        assert_eq!(parse("[a]\nwhat\n", "a"), Err(2));
        assert_eq!(parse("[a\n", "a"), Err(1));
    }
}
