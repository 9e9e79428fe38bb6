//! Finds the three parts in whatever form the ConfigMap came.

use std::rc::Rc;

use super::{
    AwsAuthPart, Findings, shown,
    tree::{self, Node, Value},
};

const NAME: &str = "aws-auth";
const NAMESPACE: &str = "kube-system";

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
    let Some(data) = data(&root, findings) else { return Some(Vec::new()) };
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
            None => unknown.push((key.at, name)),
        }
    }
    let nothing_known = parts.is_empty();
    for (at, name) in unknown {
        let meant = AwsAuthPart::ALL.into_iter().find(|part| part.as_str().eq_ignore_ascii_case(name));
        let next = match meant {
            Some(part) => format!("write `{part}`, letter case counts"),
            None => String::from("aws-auth has mapRoles, mapUsers and mapAccounts"),
        };
        let message = format!("the key `{}` is not read: {next}", shown(name));
        if nothing_known {
            findings.fatal(Some(at), shown(name), message);
        } else {
            findings.kept(Some(at), shown(name), message);
        }
    }
    parts.sort_by_key(|(part, _)| *part);
    Some(parts)
}

/// The mapping that holds the parts; none where a ConfigMap has no data, or a fatal finding says why not.
fn data(root: &Rc<Node>, findings: &mut Findings) -> Option<Rc<Node>> {
    let kind = root.member("kind").and_then(|kind| kind.text());
    let config_map = match kind {
        Some("List" | "ConfigMapList") => listed(root, findings)?,
        Some("ConfigMap") => Rc::clone(root),
        None if root.member("data").is_some() => Rc::clone(root),
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
    match config_map.member("data") {
        Some(data) if !data.is_null() => Some(Rc::clone(data)),
        _ => None,
    }
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
