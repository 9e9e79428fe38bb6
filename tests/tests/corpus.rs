//! Every input that is kept for the fuzz targets goes through its target on every run.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a fault of a helper is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

use lanyard_tests::fuzz::TARGETS;

/// Longest kept input: a corpus is for reading, too.
const INPUT_BYTES_MAX: u64 = 16 * 1024;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("fuzz").join(name)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn every_target_has_a_program_and_a_corpus_and_nothing_else_has() {
    let targets: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    let programs = names(&folder("fuzz_targets"));
    let programs: Vec<&str> = programs.iter().map(|name| name.strip_suffix(".rs").unwrap()).collect();
    assert_eq!(targets, programs);
    assert_eq!(targets, names(&folder("corpus")));
    let manifest = fs::read_to_string(folder("Cargo.toml")).unwrap();
    for (target, program) in TARGETS.iter().zip(names(&folder("fuzz_targets"))) {
        let call = format!("lanyard_tests::fuzz::{}(", target.name);
        assert!(
            fs::read_to_string(folder("fuzz_targets").join(&program)).unwrap().contains(&call),
            "{program}"
        );
        assert!(manifest.contains(&format!("name = \"{}\"", target.name)), "{}", target.name);
    }
}

#[test]
fn every_kept_input_is_read_without_a_fault_and_accepted_as_its_name_says() {
    let mut wrong = Vec::new();
    for target in TARGETS {
        let folder = folder("corpus").join(target.name);
        let (mut accepted, mut refused) = (0, 0);
        for name in names(&folder) {
            let path = folder.join(&name);
            assert!(fs::metadata(&path).unwrap().len() <= INPUT_BYTES_MAX, "{} is too long", path.display());
            // Tells which input it was, should the target panic.
            println!("{}/{name}", target.name);
            let answer = (target.run)(&fs::read(&path).unwrap());
            match (name.split('-').next().unwrap_or_default(), answer) {
                ("good", true) => accepted += 1,
                ("bad", false) => refused += 1,
                ("found", _) => {}
                ("good" | "bad", _) => wrong.push(format!("{}/{name}: accepted is {answer}", target.name)),
                _ => wrong.push(format!("{}/{name} has to begin with good-, bad- or found-", target.name)),
            }
        }
        assert!(accepted >= 2 && refused >= 2, "{}: {accepted} accepted, {refused} refused", target.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn any_cut_and_any_changed_byte_of_a_kept_input_is_read_without_a_fault() {
    for target in TARGETS {
        let folder = folder("corpus").join(target.name);
        for name in names(&folder) {
            let input = fs::read(folder.join(&name)).unwrap();
            println!("{}/{name}", target.name);
            // Few enough to be quick, spread over the whole input.
            let step = input.len() / 16 + 1;
            for at in (0..input.len()).step_by(step) {
                (target.run)(&input[..at]);
                for byte in [0, b'"', b'%', b'\n', 0xff, input[at] ^ 0x20] {
                    let mut changed = input.clone();
                    changed[at] = byte;
                    (target.run)(&changed);
                }
            }
        }
    }
}
