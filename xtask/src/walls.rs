//! The walls between the rooms: which package may use which, and what nobody may use.
//!
//! The table under "Rooms" in docs/architecture.md says it for people and is read here; deny.toml says the bans for
//! cargo-deny, and a test keeps [`BANNED`] equal to it, so that the bans hold where cargo-deny is not installed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::examples;
use crate::workspace::{Metadata, cargo, root};

/// What nobody may build: a second crypto library, which rustls would refuse to choose between, and C libraries of the
/// system.
const BANNED: &[&str] = &["ring", "openssl-sys", "native-tls"];
/// What only one package may use directly, for all SQL is in one place, and so is what Redis holds.
const WRAPPED: &[(&str, &str)] = &[("sqlx", "lanyard-store"), ("redis", "lanyard-authn")];

/// A package and the workspace's packages that it uses, or may.
type Edges = BTreeMap<String, BTreeSet<String>>;

/// Compares what is with what may be; each line names one edge that may not be, one room that is not written down, or one
/// library that says the wrong thing of its examples.
pub(crate) fn faults() -> Result<Vec<String>> {
    let architecture = fs::read_to_string(root()?.join("docs/architecture.md"))
        .context("cannot read docs/architecture.md")?;
    let metadata = Metadata::load()?;
    let mut faults = compare(&allowed(&architecture)?, &edges(&metadata));
    faults.extend(bans(&metadata)?);
    faults.extend(examples::faults(&metadata)?);
    Ok(faults)
}

fn compare(allowed: &Edges, edges: &Edges) -> Vec<String> {
    let mut faults = Vec::new();
    for (package, used) in edges {
        let Some(may) = allowed.get(package) else {
            faults.push(format!("{package} is not in the table of rooms; write down what it may depend on"));
            continue;
        };
        let not_allowed = used.difference(may).filter(|_| !may.contains(ALL));
        faults.extend(not_allowed.map(|other| {
            format!("{package} may not depend on {other}; the table of rooms has no such edge, and a new one is rare")
        }));
    }
    let known = |name: &&String| name.as_str() != ALL && !edges.contains_key(*name);
    let named: BTreeSet<&String> = allowed.keys().chain(allowed.values().flatten()).collect();
    faults.extend(
        named
            .into_iter()
            .filter(known)
            .map(|name| format!("the table of rooms names {name}, which does not exist")),
    );
    faults
}

/// Stands for every package.
const ALL: &str = "all";

/// The table: `| room | package | may depend on |`, packages without the prefix `lanyard-` as people say them.
fn allowed(architecture: &str) -> Result<Edges> {
    let (_, section) =
        architecture.split_once("\n## Rooms\n").context("docs/architecture.md has no section `## Rooms`")?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut edges = Edges::new();
    for row in section.lines().filter(|line| line.starts_with('|')).skip(2) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [_, package, may] = cells.as_slice() else {
            bail!("a row of the table of rooms has not three columns: {row}");
        };
        let names = may
            .split(',')
            .map(|name| name.trim().trim_matches('`'))
            .filter(|name| !matches!(*name, "" | "nothing"));
        let full = |name: &str| if name == ALL { name.to_owned() } else { full_name(name) };
        let package = package.trim_matches('`').to_owned();
        ensure!(
            edges.insert(package.clone(), names.map(full).collect()).is_none(),
            "the table of rooms has {package} twice"
        );
    }
    ensure!(!edges.is_empty(), "the table of rooms has no rows");
    Ok(edges)
}

fn full_name(name: &str) -> String {
    if name.starts_with("lanyard") { name.to_owned() } else { format!("lanyard-{name}") }
}

/// What is: normal and build dependencies within the workspace. What only tests use stands behind no wall.
fn edges(metadata: &Metadata) -> Edges {
    let members: BTreeSet<&str> = metadata.members().map(|package| package.name.as_str()).collect();
    let of = |package: &crate::workspace::Package| {
        let used = package.dependencies.iter().filter(|used| used.kind.as_deref() != Some("dev"));
        used.filter(|used| members.contains(used.name.as_str())).map(|used| used.name.clone()).collect()
    };
    metadata.members().map(|package| (package.name.clone(), of(package))).collect()
}

fn bans(metadata: &Metadata) -> Result<Vec<String>> {
    let built = built_anywhere()?;
    let banned = BANNED.iter().filter(|name| built.contains(**name));
    let mut faults: Vec<String> = banned
        .map(|name| {
            format!("{name} is banned, and something brings it in: cargo tree --target all -i {name}")
        })
        .collect();
    for package in metadata.members() {
        let wrapped = |(name, wrapper): &&(&str, &str)| {
            package.name != *wrapper && package.dependencies.iter().any(|used| used.name == *name)
        };
        let misused = WRAPPED.iter().filter(wrapped);
        faults.extend(
            misused.map(|(name, wrapper)| format!("{} uses {name}, which only {wrapper} may", package.name)),
        );
    }
    Ok(faults)
}

/// The names of all packages that are built for any platform. `cargo metadata` also lists optional ones that no
/// feature turns on, so `cargo tree` is asked.
fn built_anywhere() -> Result<BTreeSet<String>> {
    let arguments =
        ["tree", "--workspace", "--edges", "all", "--target", "all", "--prefix", "none", "--format", "{p}"];
    let output = Command::new(cargo())
        .args(arguments)
        .current_dir(root()?)
        .output()
        .context("cannot run cargo tree")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr).trim());
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges_of(pairs: &[(&str, &[&str])]) -> Edges {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        pairs.iter().map(|(package, names)| ((*package).to_owned(), set(names))).collect()
    }

    #[test]
    fn the_walls_between_the_rooms_stand() {
        assert_eq!(faults().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn the_table_is_read_as_it_is_written_for_people() {
        let text = "# Architecture\n\n## Rooms\n\nWords.\n\n| room | package | may depend on |\n|---|---|---|\n\
            | the rules | `lanyard-iam` | nothing |\n| calls | `lanyard-aws` | iam, `kit` |\n| all of it | `lanyard` | all |\n\n\
            ## Next\n\n| a | b | c |\n|---|---|---|\n| x | y | z |\n";
        let expected = edges_of(&[
            ("lanyard-iam", &[]),
            ("lanyard-aws", &["lanyard-iam", "lanyard-kit"]),
            ("lanyard", &["all"]),
        ]);
        assert_eq!(allowed(text).unwrap(), expected);
        assert!(allowed("# Architecture\n").is_err());
        assert!(allowed("\n## Rooms\n| a | b |\n|---|---|\n| a | b |\n").is_err());
    }

    #[test]
    fn an_edge_that_is_not_in_the_table_is_named() {
        let allowed = edges_of(&[("a", &["b"]), ("b", &[]), ("c", &[ALL])]);
        type Case<'a> = (&'a [(&'a str, &'a [&'a str])], &'a [&'a str]);
        let cases: [Case<'_>; 4] = [
            (&[("a", &["b"]), ("b", &[]), ("c", &["a", "b"])], &[]),
            (&[("a", &[]), ("b", &[]), ("c", &[])], &[]),
            (&[("a", &["b"]), ("b", &["a"]), ("c", &[])], &["b may not depend on a"]),
            (
                &[("a", &[]), ("b", &[]), ("d", &[])],
                &["d is not in the table", "names c, which does not exist"],
            ),
        ];
        for (edges, expected) in cases {
            let found = compare(&allowed, &edges_of(edges));
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (fault, part) in found.iter().zip(expected) {
                assert!(fault.contains(part), "{fault}");
            }
        }
    }

    #[test]
    fn what_is_built_is_found_by_name() {
        let built = built_anywhere().unwrap();
        for name in ["xtask", "rustls", "aws-lc-sys"] {
            assert!(built.contains(name), "{name}");
        }
    }

    #[test]
    fn the_bans_are_those_of_deny_toml() {
        let deny = fs::read_to_string(root().unwrap().join("deny.toml")).unwrap();
        let bans = deny.split("[bans]").nth(1).unwrap().split("\n[").next().unwrap();
        let named = |line: &str| Some(line.split_once("name = \"")?.1.split('"').next()?.to_owned());
        let in_file: BTreeSet<String> = bans.lines().filter_map(named).collect();
        let here = BANNED.iter().copied().chain(WRAPPED.iter().map(|(name, _)| *name));
        assert_eq!(in_file, here.map(str::to_owned).collect());
        for (name, wrapper) in WRAPPED {
            let line = bans.lines().find(|line| line.contains(&format!("name = \"{name}\""))).unwrap();
            assert!(line.contains(&format!("wrappers = [\"{wrapper}\"]")), "{line}");
        }
    }
}
