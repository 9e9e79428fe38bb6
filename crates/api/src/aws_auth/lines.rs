//! The lines of a part, each judged by itself.

use std::{collections::HashMap, rc::Rc};

use lanyard_iam::{
    AccountId, CanonicalArn, FoldedArn, PrincipalArn, PrincipalArnError, PrincipalKind, arn::ARN_BYTES_MAX,
};

use super::{
    AwsAuth, AwsAuthAccount, AwsAuthLine, AwsAuthPart, DeadLine, Findings, GROUPS_MAX, LINES_MAX,
    MAP_BYTES_MAX, NODE_USERNAME_PREFIX, NODES_GROUP, RESERVED_USERNAME_PREFIXES,
    budget::{self, Budget},
    merge::{self, Member},
    shown,
    tree::{self, Node, Places, Position, Value},
};
use crate::template::{Placeholder, Template};

/// Reads a part into the map.
pub(super) fn read(
    part: AwsAuthPart,
    node: &Rc<Node>,
    content: &str,
    auth: &mut AwsAuth,
    budget: &mut Budget,
    findings: &mut Findings,
) {
    let Some((list, places)) = list_of(part, node, content, findings) else { return };
    let Value::List(items) = &list.value else { return };
    if items.len() > LINES_MAX {
        let message = format!("{part} has {} lines, at most {LINES_MAX} are read", items.len());
        findings.fatal(Some(node.at), part.as_str(), message);
        return;
    }
    let mut reader = Reader { part, places: &places, auth, budget, findings, seen: HashMap::new() };
    for (index, item) in items.iter().enumerate() {
        match part {
            AwsAuthPart::MapAccounts => reader.account(index, item),
            AwsAuthPart::MapRoles | AwsAuthPart::MapUsers => reader.line(index, item),
        }
    }
    reader.drop_overridden();
}

/// The list of a part, which is mostly a document of its own inside a text.
fn list_of(
    part: AwsAuthPart,
    node: &Rc<Node>,
    content: &str,
    findings: &mut Findings,
) -> Option<(Rc<Node>, Places)> {
    let (list, places) = match &node.value {
        _ if node.is_null() => return None,
        Value::Scalar(scalar) => {
            if matches!(scalar.text.trim(), "" | "\"\"" | "''") {
                return None;
            }
            let places = Places::of(node, scalar, content);
            match tree::read(&scalar.text) {
                Ok(None) => return None,
                Ok(Some(list)) => (list, places),
                Err(error) => {
                    findings.fatal(Some(places.outside(error.at)), part.as_str(), error.message);
                    return None;
                }
            }
        }
        Value::List(_) | Value::Map(_) => (Rc::clone(node), Places::same()),
    };
    if matches!(list.value, Value::List(_)) {
        return Some((list, places));
    }
    let message = format!("{part} has to be a list: begin each of its entries with `- `");
    findings.fatal(Some(places.outside(list.at)), part.as_str(), message);
    None
}

/// The place of a line that is not in the list, for it is beyond the budget.
const BEYOND: usize = usize::MAX;

struct Reader<'a> {
    part: AwsAuthPart,
    places: &'a Places,
    auth: &'a mut AwsAuth,
    budget: &'a mut Budget,
    findings: &'a mut Findings,
    /// Where each principal of this part stands last, in the list of all lines, or [`BEYOND`] it.
    seen: HashMap<FoldedArn, usize>,
}

/// The members of a line, by their names in lower case.
#[derive(Default)]
struct Members<'a> {
    arn: Option<&'a Node>,
    username: Option<&'a Node>,
    groups: Option<&'a Node>,
    sso: Option<&'a Node>,
    other_arn: Option<&'a Node>,
}

impl Members<'_> {
    /// What a line of these costs to hold, in bytes of memory, reckoned before anything is made of it.
    fn cost(&self) -> usize {
        let groups: &[Rc<Node>] = match self.groups.map(|node| &node.value) {
            Some(Value::List(items)) if items.len() <= GROUPS_MAX => items,
            _ => &[],
        };
        let names = [self.arn, self.username].into_iter().flatten();
        names.chain(groups.iter().map(|group| &**group)).map(budget::cost).sum()
    }
}

impl Reader<'_> {
    fn minor(&mut self, at: Position, path: String, message: impl Into<String>) {
        self.findings.minor(Some(self.places.outside(at)), path, message);
    }

    fn fatal(&mut self, at: Position, path: String, message: impl Into<String>) {
        self.findings.fatal(Some(self.places.outside(at)), path, message);
    }

    fn kept(&mut self, at: Position, path: String, message: impl Into<String>) {
        self.findings.kept(Some(self.places.outside(at)), path, message);
    }

    fn account(&mut self, index: usize, item: &Node) {
        let path = format!("{}[{index}]", self.part);
        let text = item.text().unwrap_or_default();
        match AccountId::parse(text) {
            Ok(account) if self.auth.accounts.iter().any(|known| known.account == account) => {
                self.kept(item.at, path, format!("the account `{account}` stands here twice"));
            }
            Ok(account) => {
                let line = self.places.outside(item.at).line;
                self.auth.accounts.push(AwsAuthAccount { index, line, account });
            }
            Err(_) => {
                let digits = !text.is_empty() && text.len() < 12 && text.bytes().all(|b| b.is_ascii_digit());
                let next = if digits { ": quote it, so that leading zeros stay" } else { "" };
                let message =
                    format!("`{}` is not an account of twelve digits{next}; it is left out", shown(text));
                self.minor(item.at, path, message);
            }
        }
    }

    fn line(&mut self, index: usize, item: &Node) {
        let path = format!("{}[{index}]", self.part);
        let Some(members) = self.members(&path, item) else { return };
        let is_held = self.is_within_budget(&path, item, &members);
        let Some(arn) = self.arn(&path, item, &members) else { return };
        if !is_held {
            // It overrides an earlier line all the same: what that one gives may have been taken away here.
            self.seen.insert(arn.folded(), BEYOND);
            return;
        }
        let Some(groups) = self.groups(&path, members.groups) else { return };
        let Some(username) = self.username(&path, members.username, &arn, &groups, item.at) else { return };
        let at = self.places.outside(item.at);
        let line = AwsAuthLine { part: self.part, index, line: at.line, arn, username, groups };
        self.unfillable(&path, &members, item, &line);
        let key = line.key();
        if let Some(earlier) = self.seen.get(&key).and_then(|&at| self.auth.lines.get(at)) {
            let message = format!("`{}` stands in {} too: the last one counts", line.arn, earlier.path());
            self.minor(item.at, path, message);
        }
        self.seen.insert(key, self.auth.lines.len());
        self.auth.lines.push(line);
    }

    /// Whether what is made of a line may be held. The first of which it may not is fatal to the document.
    fn is_within_budget(&mut self, path: &str, item: &Node, members: &Members<'_>) -> bool {
        if self.budget.is_spent() {
            return false;
        }
        if self.budget.take(members.cost()) {
            return true;
        }
        let message = format!(
            "with this entry the document's ARNs, usernames and groups take more than {MAP_BYTES_MAX} bytes of memory, the most \
             that it may: give fewer groups to each entry, for those of a list that an alias repeats count each time, or make \
             access entries of some"
        );
        self.findings.fatal(Some(self.places.outside(item.at)), path, message);
        false
    }

    /// Says of a line that it never maps anybody. It stays: its principal is not to be let in as one of its account instead.
    fn unfillable(&mut self, path: &str, members: &Members<'_>, item: &Node, line: &AwsAuthLine) {
        let Some((template, placeholder)) = line.lacks() else { return };
        let (key, node) = if *template == line.username {
            ("username", members.username)
        } else {
            ("groups", members.groups)
        };
        let message = format!(
            "`{}` holds {{{{{}}}}}, which `{}` never has: the entry maps nobody; take the placeholder out",
            shown(template.as_str()),
            placeholder.name(),
            line.arn
        );
        self.kept(node.map_or(item.at, |node| node.at), format!("{path}.{key}"), message);
    }

    fn members<'n>(&mut self, path: &str, item: &'n Node) -> Option<Members<'n>> {
        let Value::Map(pairs) = &item.value else {
            self.minor(item.at, path.to_owned(), "this entry is no mapping; it is left out");
            return None;
        };
        let (own, other) = match self.part {
            AwsAuthPart::MapUsers => ("userarn", "rolearn"),
            AwsAuthPart::MapRoles | AwsAuthPart::MapAccounts => ("rolearn", "userarn"),
        };
        let pairs = match merge::members(pairs) {
            Ok(pairs) => pairs,
            Err(fault) => {
                self.minor(fault.at, path.to_owned(), format!("{}; the entry is left out", fault.message));
                return None;
            }
        };
        let mut members = Members::default();
        for Member { key, value, is_own } in pairs {
            let written = key.text().unwrap_or_default();
            // A key of any length may be that of many lines, by an alias.
            let folded = (written.len() <= merge::NAME_BYTES_MAX).then(|| written.to_ascii_lowercase());
            let name = folded.as_deref().unwrap_or(written);
            let slot = match name {
                name if name == own => &mut members.arn,
                name if name == other => &mut members.other_arn,
                "username" => &mut members.username,
                "groups" => &mut members.groups,
                "sso" => &mut members.sso,
                "userid" => {
                    let message = "userid is not used: a ConfigMap's lines match by ARN; use an access entry to bind an id";
                    self.kept(key.at, format!("{path}.userid"), message);
                    continue;
                }
                _ => {
                    let message = format!("the key `{}` is not read here", shown(name));
                    self.kept(key.at, format!("{path}.{}", shown(name)), message);
                    continue;
                }
            };
            if !is_own && slot.is_some() {
                continue;
            }
            if slot.replace(value).is_some() {
                let message = format!(
                    "the key `{name}` stands here twice, in other letter case; the entry is left out"
                );
                self.minor(key.at, path.to_owned(), message);
                return None;
            }
        }
        Some(members)
    }

    fn arn(&mut self, path: &str, item: &Node, members: &Members<'_>) -> Option<CanonicalArn> {
        let key = if self.part == AwsAuthPart::MapUsers { "userarn" } else { "rolearn" };
        let Some((node, text)) = members.arn.and_then(|node| node.text().map(|text| (node, text))) else {
            if let Some((node, fault)) = members.arn.and_then(|node| Some((node, no_text(node)?))) {
                self.fatal(node.at, format!("{path}.{key}"), fault);
                return None;
            }
            let message = if members.sso.is_some() {
                String::from(
                    "sso is not read: write the role's ARN as rolearn, without its path; the entry is left out",
                )
            } else if members.other_arn.is_some() {
                format!("{} takes {key}; the entry is left out", self.part)
            } else {
                format!("the entry has no {key}; it is left out")
            };
            self.minor(item.at, path.to_owned(), message);
            return None;
        };
        let at = format!("{path}.{key}");
        let principal = match principal(text) {
            Ok(principal) => principal,
            Err(error) => {
                self.minor(node.at, at, format!("{}; the entry is left out", shown(&error.to_string())));
                return None;
            }
        };
        let path_less = match &principal.kind {
            PrincipalKind::Role { .. } => principal.without_path().canonical(),
            _ => principal.canonical(),
        };
        let fault = match &principal.kind {
            PrincipalKind::Role { path, .. } if path != "/" => "the ARN has a path, which STS leaves out",
            PrincipalKind::AssumedRole { .. } => "this is the ARN of a session",
            _ => return Some(path_less),
        };
        self.minor(node.at, at, format!("{fault}: it never matches; write `{path_less}`"));
        self.auth.dead.push(DeadLine {
            path: path.to_owned(),
            written: text.to_owned(),
            canonical: path_less,
        });
        None
    }

    /// None where the entry cannot be kept.
    fn groups(&mut self, path: &str, node: Option<&Node>) -> Option<Vec<Template>> {
        let Some(node) = node.filter(|node| !node.is_null()) else { return Some(Vec::new()) };
        let path = format!("{path}.groups");
        let Value::List(items) = &node.value else {
            self.minor(node.at, path, "groups has to be a list: the entry counts without groups");
            return Some(Vec::new());
        };
        if items.len() > GROUPS_MAX {
            let message = format!(
                "an entry has at most {GROUPS_MAX} groups, this one has {}; it is left out",
                items.len()
            );
            self.minor(node.at, path, message);
            return None;
        }
        let mut groups: Vec<Template> = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            if let Some(group) = self.group(format!("{path}[{index}]"), item)
                && !groups.contains(&group)
            {
                groups.push(group);
            }
        }
        Some(groups)
    }

    fn group(&mut self, path: String, item: &Node) -> Option<Template> {
        if let Some(fault) = no_text(item) {
            self.fatal(item.at, path, fault);
            return None;
        }
        let text = item.text().unwrap_or_default();
        let fault = match Template::parse(text) {
            Err(error) => error.to_string(),
            Ok(_) if text.starts_with("lanyard:") => {
                String::from("groups that begin with `lanyard:` are Lanyard's own")
            }
            Ok(group) if group.placeholders().any(Placeholder::is_caller_chosen) => {
                String::from("a session's name is chosen by the caller, who would choose their groups")
            }
            Ok(group) if !group.is_literal() && is_reserved(&group) => {
                String::from("a group made of placeholders needs a beginning that is not reserved")
            }
            Ok(group) => {
                if text.contains(" - ") {
                    let message = format!("`{}` is one group: put each on a line of its own", shown(text));
                    self.kept(item.at, path, message);
                }
                return Some(group);
            }
        };
        self.minor(item.at, path, format!("{fault}; the group is left out"));
        None
    }

    fn username(
        &mut self,
        path: &str,
        node: Option<&Node>,
        arn: &CanonicalArn,
        groups: &[Template],
        entry: Position,
    ) -> Option<Template> {
        let path = format!("{path}.username");
        let at = node.map_or(entry, |node| node.at);
        let written = node.and_then(|node| node.text()).unwrap_or_default();
        let text = if written.is_empty() {
            match node.and_then(no_text) {
                Some(fault) => self.fatal(at, path.clone(), fault),
                None => self.kept(at, path.clone(), format!("the entry has no username: `{arn}` is used")),
            }
            arn.as_str()
        } else {
            written
        };
        let fault = match Template::parse(text) {
            Err(error) => error.to_string(),
            Ok(username) => match reserved(&username, groups) {
                None => return Some(username),
                Some(fault) => fault,
            },
        };
        self.minor(at, path, format!("{fault}; the entry is left out"));
        None
    }

    /// Upstream keeps the last of a principal's lines; here the earlier ones go, and were reported.
    fn drop_overridden(&mut self) {
        let (part, seen) = (self.part, &self.seen);
        let mut at = 0;
        self.auth.lines.retain(|line| {
            let last = line.part != part || seen.get(&line.key()) == Some(&at);
            at += 1;
            last
        });
    }
}

/// What stands where a text has to, if it is none. Whoever forgets quotes writes a mapping or a list, and means a text: without it somebody
/// would lose a name or a group that they have, so that it is fatal, as is what is not YAML.
fn no_text(node: &Node) -> Option<&'static str> {
    match &node.value {
        Value::Scalar(_) => None,
        Value::Map(_) => Some(
            "a mapping stands here, and no text: what begins with `{` is one unless you put it in quotes, as in \
             \"{{SessionName}}\"",
        ),
        Value::List(_) => {
            Some("a list stands here, and no text: what begins with `[` is one unless you put it in quotes")
        }
    }
}

/// Whether a username is exactly one that nodes have.
pub(super) fn is_node_username(username: &Template) -> bool {
    let name = username.as_str().strip_prefix(NODE_USERNAME_PREFIX);
    matches!(name, Some("{{EC2PrivateDNSName}}" | "{{SessionName}}"))
}

fn reserved(username: &Template, groups: &[Template]) -> Option<String> {
    let text = username.as_str();
    let prefix = RESERVED_USERNAME_PREFIXES.into_iter().find(|prefix| text.starts_with(prefix))?;
    if is_node_username(username) {
        let by_session = text.ends_with("{{SessionName}}");
        let is_node = !by_session || groups.iter().any(|group| group.as_str() == NODES_GROUP);
        return (!is_node)
            .then(|| format!("`{text}` is for nodes: the entry needs the group `{NODES_GROUP}`"));
    }
    Some(format!(
        "`{}` begins with `{prefix}`, which is reserved; nodes have `system:node:{{{{EC2PrivateDNSName}}}}`",
        shown(text)
    ))
}

/// Whether every expansion begins with a reserved prefix; whether one does, is asked when it is expanded.
fn is_reserved(group: &Template) -> bool {
    RESERVED_USERNAME_PREFIXES.into_iter().any(|prefix| group.literal_prefix().starts_with(prefix))
}

/// Upstream compares whole ARNs ignoring case. A text that is too long for one is not copied: by an alias many lines may have it.
fn principal(text: &str) -> Result<PrincipalArn, PrincipalArnError> {
    PrincipalArn::parse(text).or_else(|error| match text.len() {
        0..=ARN_BYTES_MAX => PrincipalArn::parse(&head_folded(text)).map_err(|_| error),
        _ => Err(error),
    })
}

/// Names keep the case they are written in.
fn head_folded(text: &str) -> String {
    match text.split_once('/') {
        Some((head, name)) => format!("{}/{name}", head.to_ascii_lowercase()),
        None => text.to_ascii_lowercase(),
    }
}
