//! Finds the three parts in whatever form the ConfigMap came.

use std::rc::Rc;

use super::{
    AwsAuthPart, Findings, merge, shown, spelling,
    tree::{self, Node, Value},
};

const NAME: &str = "aws-auth";
const NAMESPACE: &str = "kube-system";
const DATA: &str = "data";

/// What a ConfigMap has, beside what a server may add one day.
const OF_CONFIG_MAPS: [&str; 6] = ["apiVersion", "kind", "metadata", DATA, "binaryData", "immutable"];

/// What a server alone writes into a ConfigMap's metadata.
const WRITTEN_BY_SERVERS: [&str; 2] = ["uid", "resourceVersion"];

/// The parts that are there; none where a finding says why there are none.
pub(super) fn parts(content: &str, findings: &mut Findings) -> Option<Vec<(AwsAuthPart, Rc<Node>)>> {
    let root = match tree::read(content) {
        Ok(Some(root)) => root,
        Ok(None) => {
            findings.fatal(None, "", "the document is empty: to take every mapping away, push `data: {}`");
            return None;
        }
        Err(error) => {
            findings.fatal(Some(error.at), "", error.message);
            return None;
        }
    };
    let data = data(&root, findings)?;
    let Value::Map(pairs) = &data.value else {
        let message = "this is no ConfigMap: give it as `kubectl get -o yaml` prints it, or its data alone, a mapping with \
                       mapRoles, mapUsers or mapAccounts";
        findings.fatal(Some(data.at), "", message);
        return None;
    };
    let mut parts = Vec::new();
    let mut unknown = Vec::new();
    for (key, value) in pairs {
        let name = key.text().unwrap_or_default();
        match AwsAuthPart::ALL.into_iter().find(|part| part.as_str() == name) {
            Some(part) => parts.push((part, Rc::clone(value))),
            None => unknown.push((key, value)),
        }
    }
    let nothing_known = parts.is_empty();
    for (key, value) in unknown {
        let name = key.text().unwrap_or_default();
        // A ConfigMap may hold a text under any name, such as `date`.
        let meant = meant(name).filter(|meant| *meant != name && (*meant != DATA || value.text().is_none()));
        let next = match meant {
            Some(meant) => right_spelling(name, meant),
            None if merge::is_key(key) => String::from(WRITE_OUT),
            None => String::from("aws-auth has mapRoles, mapUsers and mapAccounts"),
        };
        let message = format!("the key `{}` is not read: {next}", shown(name));
        if nothing_known || meant.is_some() || merge::is_key(key) {
            findings.fatal(Some(key.at), shown(name), message);
        } else {
            findings.kept(Some(key.at), shown(name), message);
        }
    }
    parts.sort_by_key(|(part, _)| *part);
    Some(parts)
}

const WRITE_OUT: &str = "write out what it merges, for only an entry may have `<<`";

/// Which of the names that lead to a mapping somebody meant by a key that is none of them where it stands.
fn meant(name: &str) -> Option<&'static str> {
    spelling::nearest(name, AwsAuthPart::ALL.into_iter().map(AwsAuthPart::as_str).chain([DATA]))
}

fn right_spelling(name: &str, meant: &'static str) -> String {
    let case = if name.eq_ignore_ascii_case(meant) { ", letter case counts" } else { "" };
    format!("write `{meant}`{case}")
}

/// The mapping that holds the parts; none where there is none, which a finding says.
fn data(root: &Rc<Node>, findings: &mut Findings) -> Option<Rc<Node>> {
    let kind = root.member("kind").and_then(|kind| kind.text());
    let config_map = match kind {
        Some("List" | "ConfigMapList") => listed(root, findings)?,
        Some("ConfigMap") => Rc::clone(root),
        None if root.member(DATA).is_some() => Rc::clone(root),
        None => return Some(Rc::clone(root)),
        Some(other) => {
            let message = format!("this is a {}, not a ConfigMap", shown(other));
            findings.fatal(Some(root.at), "kind", message);
            return None;
        }
    };
    if !is_aws_auth(&config_map, findings) {
        return None;
    }
    let is_explained = misplaced(&config_map, findings);
    match config_map.member(DATA) {
        Some(data) if !data.is_null() => Some(Rc::clone(data)),
        data => {
            if !is_explained {
                no_data(&config_map, data.is_some(), findings);
            }
            None
        }
    }
}

/// Whether something beside a ConfigMap's data was meant to be data, which is fatal: unread, it would take away whom it maps.
fn misplaced(config_map: &Node, findings: &mut Findings) -> bool {
    let Value::Map(pairs) = &config_map.value else { return false };
    let mut is_any = false;
    for (key, _) in pairs {
        let name = key.text().unwrap_or_default();
        if OF_CONFIG_MAPS.contains(&name) {
            continue;
        }
        let next = match meant(name) {
            Some(part) if part == name => String::from("indent it below `data`"),
            Some(DATA) => right_spelling(name, DATA),
            Some(part) => format!("{}, and indent it below `data`", right_spelling(name, part)),
            None if merge::is_key(key) => String::from(WRITE_OUT),
            None => {
                let message = format!("the key `{}` is not read: no ConfigMap has one", shown(name));
                findings.kept(Some(key.at), shown(name), message);
                continue;
            }
        };
        is_any = true;
        let message = format!("the key `{}` is not read here: {next}", shown(name));
        findings.fatal(Some(key.at), shown(name), message);
    }
    is_any
}

/// A server leaves `data` out where it is empty. Whoever writes a file and takes everything away says so, for without its end a
/// file looks the same.
fn no_data(config_map: &Node, is_written: bool, findings: &mut Findings) {
    let is_of_a_server =
        WRITTEN_BY_SERVERS.into_iter().any(|key| metadata(config_map, key).is_some()) && !is_written;
    if is_of_a_server {
        findings.kept(Some(config_map.at), DATA, "the ConfigMap has no data, so it maps nobody");
        return;
    }
    let fault = if is_written { "nothing stands below `data`" } else { "the ConfigMap has no `data`" };
    let message =
        format!("{fault}: write its parts there, indented, or `data: {{}}` to take every mapping away");
    let key = match &config_map.value {
        Value::Map(pairs) => pairs.iter().map(|(key, _)| key).find(|key| key.text() == Some(DATA)),
        Value::Scalar(_) | Value::List(_) => None,
    };
    findings.fatal(Some(key.map_or(config_map.at, |key| key.at)), DATA, message);
}

fn listed(root: &Node, findings: &mut Findings) -> Option<Rc<Node>> {
    let items = root.member("items").map(|items| &items.value);
    let found = match items {
        Some(Value::List(items)) => items.iter().find(|item| metadata(item, "name") == Some(NAME)),
        _ => None,
    };
    if found.is_none() {
        findings.fatal(Some(root.at), "items", "the list holds no ConfigMap with the name aws-auth");
    }
    found.map(Rc::clone)
}

/// Another ConfigMap pushed by mistake must not become everyone's mapping.
fn is_aws_auth(config_map: &Node, findings: &mut Findings) -> bool {
    for (key, wanted) in [("name", NAME), ("namespace", NAMESPACE)] {
        match metadata(config_map, key) {
            Some(other) if other != wanted => {
                let message =
                    format!("this is another ConfigMap: its {key} is `{}`, not `{wanted}`", shown(other));
                findings.fatal(Some(config_map.at), format!("metadata.{key}"), message);
                return false;
            }
            _ => {}
        }
    }
    true
}

fn metadata<'a>(object: &'a Node, key: &str) -> Option<&'a str> {
    object.member("metadata").and_then(|metadata| metadata.member(key)).and_then(|node| node.text())
}
