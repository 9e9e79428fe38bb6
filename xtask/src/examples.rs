//! Examples in comments. rustdoc builds and runs them, and takes a second or two for each library, also for one that has none:
//! so a library without any says `doctest = false`, and one that has some may not.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::workspace::Metadata;

/// Each line names one library that says the wrong thing of its examples.
pub(crate) fn faults(metadata: &Metadata) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for package in metadata.members() {
        let is_library = |kinds: &[String]| kinds.iter().any(|kind| kind == "lib");
        let Some(library) = package.targets.iter().find(|target| is_library(&target.kind)) else { continue };
        let folder = library.src_path.parent().context("a library lies in no folder")?;
        let fault = match (any_example(folder)?, library.doctest) {
            (true, false) => "has examples in its comments that nothing runs; take `doctest = false` away",
            (false, true) => "has no example in its comments; say `doctest = false` under [lib]",
            (true, true) | (false, false) => continue,
        };
        faults.push(format!("{} {fault}", package.name));
    }
    Ok(faults)
}

fn any_example(folder: &Path) -> Result<bool> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let found = if path.is_dir() {
            any_example(&path)?
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            has_example(
                &fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?,
            )
        } else {
            false
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a block of code stands in a comment for rustdoc that it takes for Rust. A document that is taken in counts as one:
/// it may have some.
fn has_example(source: &str) -> bool {
    let mut inside = false;
    for line in source.lines().map(str::trim_start) {
        let Some(comment) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            inside = false;
            if line.starts_with("#") && line.contains("doc = include_str!") {
                return true;
            }
            continue;
        };
        let Some(words) = comment.trim_start().strip_prefix("```") else { continue };
        if !inside && is_rust(words) {
            return true;
        }
        inside = !inside;
    }
    false
}

/// What rustdoc makes of the words behind the first backticks of a block.
fn is_rust(words: &str) -> bool {
    const RUST: [&str; 4] = ["rust", "no_run", "should_panic", "compile_fail"];
    let mut words = words.split([',', ' ']).filter(|word| !word.is_empty());
    words.all(|word| RUST.contains(&word) || word.starts_with("edition"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_a_block_that_rustdoc_takes_for_rust() {
        let cases = [
            ("/// ```\n/// let x = 1;\n/// ```\n", true),
            ("    //! ```no_run\n    //! x();\n    //! ```", true),
            ("/// ```rust,should_panic\n/// ```", true),
            ("/// ```text\n/// words\n/// ```\nfn a() {}", false),
            ("/// ```sh\n/// ls\n/// ```\n/// ```\n/// x();\n/// ```", true),
            ("/// ```json\n/// {}\n/// ```\n/// and ``words``", false),
            ("// ```\n// no comment for rustdoc\n// ```", false),
            ("let text = \"```\";", false),
            ("#![doc = include_str!(\"../README.md\")]", true),
        ];
        for (source, expected) in cases {
            assert_eq!(has_example(source), expected, "{source}");
        }
    }

    #[test]
    fn every_library_says_whether_it_has_examples() {
        assert_eq!(faults(&Metadata::load().unwrap()).unwrap(), Vec::<String>::new());
    }
}
