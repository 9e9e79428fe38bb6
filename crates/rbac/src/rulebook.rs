//! Rules and questions as numbers, and the one comparison between them that every answer here comes from.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::attributes::{Attributes, Target};
use crate::names::{NONE, Names, number_of};
use crate::object::PolicyRule;

/// Matches everything, in verbs, API groups, resources and paths.
const ALL: &str = "*";

/// Verbs that have a bit of their own; clusters use some twenty. Rarer ones are looked for in a list.
const VERB_BITS: u32 = 63;

/// The bit that only a rule for all verbs has.
const ANY_VERB: u64 = 1 << VERB_BITS;

/// All rules of an index, each distinct one once, with the vocabulary they are written in.
#[derive(Debug, Default)]
pub(crate) struct Rulebook {
    verbs: Names,
    groups: Names,
    resources: Names,
    rules: Vec<Rule>,
    texts: Vec<PolicyRule>,
}

/// A rule whose words are numbers of the rulebook's vocabulary.
#[derive(Debug, Default)]
pub(crate) struct Rule {
    /// A bit for each verb; all bits for `*`.
    verbs: u64,
    /// Verbs that have no bit.
    rare_verbs: Box<[u32]>,
    any_group: bool,
    groups: Box<[u32]>,
    any_resource: bool,
    /// `pods`, `pods/log`, `*/log`, each a word.
    resources: Box<[u32]>,
    /// Sorted; empty is any.
    names: Box<[Box<str>]>,
    paths: Box<[Path]>,
}

#[derive(Debug)]
enum Path {
    Exact(Box<str>),
    Prefix(Box<str>),
}

/// A question in the words of one rulebook.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a> {
    verb_bit: u64,
    rare_verb: u32,
    target: TargetQuery<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum TargetQuery<'a> {
    Resource(ResourceQuery<'a>),
    NonResource { path: &'a str },
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ResourceQuery<'a> {
    group: u32,
    /// The words that allow it: as asked (`pods/log`), and for all resources of the subresource (`*/log`).
    pub(crate) resources: [u32; 2],
    name: &'a str,
}

/// Where a rule and a question agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreement {
    pub(crate) verb: bool,
    pub(crate) group: bool,
    pub(crate) resource: bool,
    pub(crate) name: bool,
}

impl Rulebook {
    /// Compiles distinct rules; the answer holds, for each rule given, the number it has here.
    pub(crate) fn compile<'r>(rules: impl IntoIterator<Item = &'r PolicyRule>) -> (Self, Vec<u32>) {
        let mut book = Self::default();
        let mut known: HashMap<&PolicyRule, u32, RandomState> = HashMap::default();
        let numbers =
            rules.into_iter().map(|rule| *known.entry(rule).or_insert_with(|| book.add(rule))).collect();
        for names in [&mut book.verbs, &mut book.groups, &mut book.resources] {
            names.shrink();
        }
        (book, numbers)
    }

    fn add(&mut self, text: &PolicyRule) -> u32 {
        let number = number_of(self.rules.len());
        let (verbs, rare_verbs) = self.verbs(&text.verbs);
        let rule = Rule {
            verbs,
            rare_verbs,
            any_group: text.api_groups.iter().any(|group| group == ALL),
            groups: words(&mut self.groups, &text.api_groups),
            any_resource: text.resources.iter().any(|resource| resource == ALL),
            resources: words(&mut self.resources, &text.resources),
            names: sorted(&text.resource_names),
            paths: text.non_resource_urls.iter().map(|url| Path::new(url)).collect(),
        };
        self.rules.push(rule);
        self.texts.push(text.clone());
        number
    }

    fn verbs(&mut self, verbs: &[String]) -> (u64, Box<[u32]>) {
        if verbs.iter().any(|verb| verb == ALL) {
            return (u64::MAX, Box::default());
        }
        let numbers = words(&mut self.verbs, verbs);
        let bits = numbers.iter().filter(|&&verb| verb < VERB_BITS).fold(0, |bits, verb| bits | (1 << verb));
        (bits, numbers.iter().copied().filter(|&verb| verb >= VERB_BITS).collect())
    }

    /// Puts a question into this rulebook's words; a word it does not know becomes [`NONE`].
    pub(crate) fn query<'a>(&self, attributes: &Attributes<'a>) -> Query<'a> {
        let verb = self.verbs.find(attributes.verb.as_bytes()).unwrap_or(NONE);
        let (verb_bit, rare_verb) = if verb < VERB_BITS { (1 << verb, NONE) } else { (ANY_VERB, verb) };
        let target = match attributes.target {
            Target::NonResource(asked) => TargetQuery::NonResource { path: asked.path },
            Target::Resource(asked) => TargetQuery::Resource(ResourceQuery {
                group: self.groups.find(asked.api_group.as_bytes()).unwrap_or(NONE),
                resources: self.resource_words(asked.resource, asked.subresource),
                name: asked.name,
            }),
        };
        Query { verb_bit, rare_verb, target }
    }

    fn resource_words(&self, resource: &str, subresource: &str) -> [u32; 2] {
        if subresource.is_empty() {
            return [self.resources.find(resource.as_bytes()).unwrap_or(NONE), NONE];
        }
        let asked = self.resources.find_joined(resource, subresource).unwrap_or(NONE);
        [asked, self.resources.find_joined(ALL, subresource).unwrap_or(NONE)]
    }

    pub(crate) fn rule(&self, number: u32) -> Option<&Rule> {
        self.rules.get(number as usize)
    }

    /// The rule as it was written.
    pub(crate) fn text(&self, number: u32) -> Option<&PolicyRule> {
        self.texts.get(number as usize)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let names = self.verbs.memory_bytes() + self.groups.memory_bytes() + self.resources.memory_bytes();
        names
            + self.rules.iter().map(Rule::memory_bytes).sum::<usize>()
            + self.texts.iter().map(text_bytes).sum::<usize>()
    }
}

impl Rule {
    /// Whether the rule allows what is asked. Where it is asked is for the caller to have settled.
    pub(crate) fn allows(&self, query: &Query<'_>) -> bool {
        self.has_verb(query)
            && match query.target {
                TargetQuery::Resource(asked) => {
                    self.has_group(&asked) && self.has_resource(&asked) && self.has_name(&asked)
                }
                TargetQuery::NonResource { path } => self.has_path(path),
            }
    }

    /// Where rule and question agree; a path counts as resource, group and name.
    pub(crate) fn agreement(&self, query: &Query<'_>) -> Agreement {
        let verb = self.has_verb(query);
        match query.target {
            TargetQuery::Resource(asked) => Agreement {
                verb,
                group: self.has_group(&asked),
                resource: self.has_resource(&asked),
                name: self.has_name(&asked),
            },
            TargetQuery::NonResource { path } => {
                let path = self.has_path(path);
                Agreement { verb, group: path, resource: path, name: path }
            }
        }
    }

    /// The bits that tell most rules apart from a question without looking further.
    pub(crate) const fn verb_bits(&self) -> u64 {
        // A rule with rare verbs has to be looked at for any of them.
        if self.rare_verbs.is_empty() { self.verbs } else { self.verbs | ANY_VERB }
    }

    /// The words it names resources by; empty for one that names all.
    pub(crate) fn resource_words(&self) -> &[u32] {
        if self.any_resource { &[] } else { &self.resources }
    }

    pub(crate) const fn is_for_any_resource(&self) -> bool {
        self.any_resource
    }

    pub(crate) const fn is_for_paths(&self) -> bool {
        !self.paths.is_empty()
    }

    fn has_verb(&self, query: &Query<'_>) -> bool {
        self.verbs & query.verb_bit != 0 || self.rare_verbs.contains(&query.rare_verb)
    }

    fn has_group(&self, asked: &ResourceQuery<'_>) -> bool {
        self.any_group || self.groups.contains(&asked.group)
    }

    fn has_resource(&self, asked: &ResourceQuery<'_>) -> bool {
        self.any_resource || asked.resources.iter().any(|word| self.resources.contains(word))
    }

    fn has_name(&self, asked: &ResourceQuery<'_>) -> bool {
        self.names.is_empty() || self.names.binary_search_by(|name| (**name).cmp(asked.name)).is_ok()
    }

    fn has_path(&self, asked: &str) -> bool {
        self.paths.iter().any(|path| match path {
            Path::Exact(path) => **path == *asked,
            Path::Prefix(prefix) => asked.starts_with(&**prefix),
        })
    }

    fn memory_bytes(&self) -> usize {
        let words = self.rare_verbs.len() + self.groups.len() + self.resources.len();
        let names: usize = self.names.iter().map(|name| size_of::<Box<str>>() + name.len()).sum();
        let paths: usize = self.paths.iter().map(|path| size_of::<Path>() + path.text().len()).sum();
        size_of::<Self>() + words * size_of::<u32>() + names + paths
    }
}

impl Query<'_> {
    pub(crate) const fn verb_bit(&self) -> u64 {
        self.verb_bit
    }

    pub(crate) const fn is_for_resource(&self) -> bool {
        matches!(self.target, TargetQuery::Resource(_))
    }

    pub(crate) const fn target(&self) -> &TargetQuery<'_> {
        &self.target
    }
}

impl Path {
    /// All stars at the end are one star, and a star further inside is a letter like any other.
    fn new(url: &str) -> Self {
        match url.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.trim_end_matches('*').into()),
            None => Self::Exact(url.into()),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Prefix(text) => text,
        }
    }
}

impl Agreement {
    /// How many of the four do not agree.
    pub(crate) fn misses(self) -> usize {
        [self.verb, self.group, self.resource, self.name].into_iter().filter(|agrees| !agrees).count()
    }
}

fn words(names: &mut Names, texts: &[String]) -> Box<[u32]> {
    let mut words: Vec<u32> =
        texts.iter().map(|text| names.intern(text)).filter(|&word| word != NONE).collect();
    words.sort_unstable();
    words.dedup();
    words.into_boxed_slice()
}

fn sorted(texts: &[String]) -> Box<[Box<str>]> {
    let mut names: Vec<Box<str>> = texts.iter().map(|text| text.as_str().into()).collect();
    names.sort_unstable();
    names.dedup();
    names.into_boxed_slice()
}

fn text_bytes(text: &PolicyRule) -> usize {
    let lists =
        [&text.verbs, &text.api_groups, &text.resources, &text.resource_names, &text.non_resource_urls];
    let strings = lists.into_iter().flatten().map(|text| size_of::<String>() + text.len());
    size_of::<PolicyRule>() + strings.sum::<usize>()
}
