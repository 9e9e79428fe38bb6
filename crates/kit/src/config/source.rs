//! The three places, and their union.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};
use serde::de::DeserializeOwned;

use super::error::ConfigError;
use super::nearest::nearest;
use super::wrong::{self, one_line};

/// What configuration variables begin with.
pub const ENVIRONMENT_PREFIX: &str = "LANYARD_";

/// Variables with that prefix that are no configuration: where the file is, who calls, and what tests are told. A name
/// that ends in `_` stands for all that begin with it.
pub const NOT_CONFIGURATION: &[&str] = &[
    "LANYARD_CONFIG",
    "LANYARD_HUB",
    "LANYARD_CA",
    "LANYARD_CLIENT_CERT",
    "LANYARD_CLIENT_KEY",
    "LANYARD_PROFILE",
    "LANYARD_BIN",
    "LANYARD_TEST_",
];

/// Variables that the command line knows too. Who calls a hub from the shell in which they start a service has them set, so they are
/// left alone where the configuration has no such key, and where they are empty, which says nothing there.
const ALSO_OF_THE_COMMAND_LINE: &[&str] = &["LANYARD_READY_FILE", "LANYARD_STORE"];

/// What is between the parts of a key in a variable's name.
pub(super) const SEPARATOR: &str = "__";

/// Variables by name, as the process was given them.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The environment of this process. Names or values that are not Unicode cannot be ours, and are left out.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// Without these variables: a program's own, which say nothing about its configuration.
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        self.0.retain(|name, _| !names.contains(&name.as_str()));
        self
    }

    /// The variables that are configuration, by the key they set.
    fn keys(&self) -> impl Iterator<Item = (Vec<String>, &str, &str)> {
        let ours = |name: &str| {
            !NOT_CONFIGURATION
                .iter()
                .any(|other| name == *other || other.ends_with('_') && name.starts_with(other))
        };
        let says_nothing = |name: &str, value: &str| {
            is_service_link(name, value) || value.is_empty() && ALSO_OF_THE_COMMAND_LINE.contains(&name)
        };
        let told = move |name: &str, value: &str| ours(name) && !says_nothing(name, value);
        self.0.iter().filter(move |(name, value)| told(name, value)).filter_map(|(name, value)| {
            let key = name.strip_prefix(ENVIRONMENT_PREFIX)?.to_ascii_lowercase();
            Some((key.split(SEPARATOR).map(str::to_owned).collect(), name.as_str(), value.as_str()))
        })
    }
}

/// Whether Kubernetes set this variable, for a Service whose name begins with `lanyard`: its pods find one set for each Service of their
/// namespace ("Service", Environment variables: `{SVCNAME}_SERVICE_HOST`, and Docker's container links). Nobody has configured anything
/// by it.
fn is_service_link(name: &str, value: &str) -> bool {
    let protocol = |text: &str| matches!(text, "TCP" | "UDP" | "SCTP");
    let ends_with_a_link = |start: &str| {
        // Such as `8443_TCP_ADDR`, behind `LANYARD_PORT_`.
        let mut parts = name.rsplit_once(start).map(|(_, rest)| rest.split('_')).into_iter().flatten();
        let port = parts.next().is_some_and(|part| part.parse::<u16>().is_ok());
        port && parts.next().is_some_and(protocol)
            && matches!(parts.next(), None | Some("PORT" | "PROTO" | "ADDR"))
    };
    let is_address = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || ends_with_a_link("_PORT_")
        || (name.ends_with("_PORT") && is_address)
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        // One after the other: what is collected is sorted first, by code for this type alone, of which each program would hold some.
        let mut all = BTreeMap::new();
        for (name, value) in variables {
            all.insert(name, value);
        }
        Self(all)
    }
}

/// Where a configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    file: Option<PathBuf>,
    environment: Environment,
    flags: Option<serde_json::Value>,
}

impl Sources {
    /// No source: the defaults alone.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// With this TOML file, which must exist.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// With these variables.
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// With these flags: an object in the shape of the configuration, `null` where a flag was not given.
    #[must_use]
    pub fn flags(mut self, flags: serde_json::Value) -> Self {
        self.flags = Some(flags);
        self
    }
}

pub(super) fn extract<T: DeserializeOwned>(sources: &Sources) -> Result<T, ConfigError> {
    let nameless = sources.environment.keys().find(|(key, ..)| key.iter().any(String::is_empty));
    if let Some((_, variable, _)) = nameless {
        return Err(ConfigError::NoKey { variable: variable.to_owned() });
    }
    let mut figment = Figment::new();
    if let Some(path) = &sources.file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::File { path: path.clone(), reason: error.to_string() })?;
        figment = figment.merge(FileText { path, text: &text });
    }
    // A value that was to be a string although it reads like a number (an account, say) is taken as it was written.
    // The type alone knows, so it is asked; each round settles one variable, or ends.
    let mut as_written = BTreeSet::new();
    let mut left_alone = BTreeSet::new();
    loop {
        let mut figment = figment.clone();
        let variables = sources.environment.keys().filter(|(_, name, _)| !left_alone.contains(*name));
        for (key, name, value) in variables {
            figment = figment.merge(Variable { name, value, as_written: as_written.contains(name), key });
        }
        if let Some(flags) = without_nulls(sources.flags.clone()) {
            figment = figment.merge(Flags(flags));
        }
        let value = figment.find_value("").map_err(|error| described(&error, None))?;
        // By the plain values: figment's own way knows by itself where a value stands, and is three times as much code for each type.
        let mut error: figment::Error = match <T as serde::Deserialize<'_>>::deserialize(&value) {
            Ok(config) => return Ok(config),
            Err(error) => error,
        };
        error.metadata = metadata_of(&figment, &value, &error);
        let variable = error
            .metadata
            .as_ref()
            .and_then(|metadata| metadata.source.as_ref()?.custom().map(str::to_owned));
        match (&error.kind, variable) {
            (Kind::InvalidType(_, expected), Some(name))
                if expected.contains("string") && as_written.insert(name.clone()) => {}
            (Kind::UnknownField(..), Some(name))
                if ALSO_OF_THE_COMMAND_LINE.contains(&name.as_str()) && left_alone.insert(name.clone()) => {}
            _ => return Err(described(&error, value_at(&value, &error.path))),
        }
    }
}

/// Where the value stands that an error is about, or else the nearest one around it.
fn metadata_of(figment: &Figment, root: &Value, error: &figment::Error) -> Option<Metadata> {
    let unknown = match &error.kind {
        Kind::UnknownField(field, _) if error.path.last() != Some(field) => Some(field),
        _ => None,
    };
    let (mut value, mut nearest) = (root, figment.get_metadata(root.tag()));
    // Part by part, and not by figment's own paths: a key may have dots in it.
    for part in error.path.iter().chain(unknown) {
        let Some(inner) = part_of(value, part) else { break };
        value = inner;
        nearest = figment.get_metadata(value.tag()).or(nearest);
    }
    nearest.cloned()
}

/// The value at a path.
fn value_at<'a>(root: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(root, |value, part| part_of(value, part))
}

fn part_of<'a>(value: &'a Value, part: &str) -> Option<&'a Value> {
    match value {
        Value::Dict(_, members) => members.get(part),
        Value::Array(_, items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
        _ => None,
    }
}

/// An error in our words, with the value that it is about.
fn described(error: &figment::Error, value: Option<&Value>) -> ConfigError {
    let place = place(error.metadata.as_ref());
    let key = |last: &str| {
        let parts = error
            .path
            .iter()
            .map(String::as_str)
            .chain(std::iter::once(last).filter(|last| !last.is_empty()));
        parts.collect::<Vec<_>>().join(".")
    };
    match &error.kind {
        // figment's path of an unknown field ends with its parent.
        Kind::UnknownField(field, known) => {
            let full = if error.path.last() == Some(field) { key("") } else { key(field) };
            let sibling = |name: &str| match full.rsplit_once('.') {
                Some((parent, _)) => format!("{parent}.{name}"),
                None => name.to_owned(),
            };
            let nearest = nearest(field, known.iter().copied()).map(sibling);
            ConfigError::UnknownKey {
                place,
                nearest,
                known: known.iter().map(|name| sibling(name)).collect(),
                key: full,
            }
        }
        Kind::Message(reason) if error.path.is_empty() => {
            ConfigError::Syntax { place, reason: one_line(reason) }
        }
        kind => {
            let key = key("");
            ConfigError::Value { place, reason: wrong::reason(kind, &key, value), key }
        }
    }
}

fn place(metadata: Option<&Metadata>) -> String {
    match metadata.and_then(|metadata| Some((metadata.name.as_ref(), metadata.source.as_ref()?))) {
        Some((_, Source::File(path))) => format!("the configuration file `{}`", path.display()),
        Some((_, Source::Custom(variable))) => format!("the environment variable `{variable}`"),
        Some((name, _)) => name.to_owned(),
        None => metadata.map_or_else(|| "the configuration".to_owned(), |metadata| metadata.name.to_string()),
    }
}

fn without_nulls(flags: Option<serde_json::Value>) -> Option<serde_json::Value> {
    use serde_json::Value as Json;
    match flags? {
        Json::Null => None,
        Json::Object(members) => {
            // As with the environment's variables.
            let mut given = serde_json::Map::new();
            for (name, value) in members {
                if let Some(value) = without_nulls(Some(value)) {
                    given.insert(name, value);
                }
            }
            Some(Json::Object(given))
        }
        other => Some(other),
    }
}

struct FileText<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Provider for FileText<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::from("the configuration file", Source::File(self.path.to_owned()))
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        let read = <Toml as Format>::from_str::<Dict>(self.text);
        let table = read.map_err(|error| syntax(self.text, error.message(), error.span()))?;
        Ok(Map::from([(Profile::Default, table)]))
    }
}

/// Where a file is no TOML, and why: without the line itself, on which a secret may stand.
fn syntax(text: &str, reason: &str, span: Option<Range<usize>>) -> String {
    let Some(before) = span.and_then(|span| text.get(..span.start)) else { return reason.to_owned() };
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
    format!("line {line}, column {column}: {reason}")
}

struct Variable<'a> {
    name: &'a str,
    value: &'a str,
    key: Vec<String>,
    as_written: bool,
}

impl Provider for Variable<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::from("the environment", Source::Custom(self.name.to_owned()))
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        let value = match self.value.parse::<Value>() {
            Ok(value) if !self.as_written => value,
            _ => Value::from(self.value),
        };
        let nested =
            self.key.iter().rev().fold(value, |value, part| Value::from(Dict::from([(part.clone(), value)])));
        Ok(Map::from([(Profile::Default, nested.into_dict().unwrap_or_default())]))
    }
}

struct Flags(serde_json::Value);

impl Provider for Flags {
    fn metadata(&self) -> Metadata {
        Metadata::named("the command line")
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Serialized::defaults(&self.0).data()
    }
}
