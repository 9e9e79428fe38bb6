//! Decisions of the RBAC authorizer of Kubernetes 1.35.4, world by world.

use lanyard_rbac::{
    Attributes, Index, Requirement, ResourceAttributes, SelectorKind, Selectors, User, parse,
};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::{Asker, Model};

const WORLDS: &str = include_str!("../vectors/rbac-worlds.jsonl");

#[derive(Deserialize)]
struct World<'t> {
    seed: u64,
    #[serde(borrow)]
    objects: &'t RawValue,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    spec: Spec,
    allowed: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    #[serde(default)]
    user: String,
    #[serde(default)]
    groups: Vec<String>,
    resource_attributes: Option<Resource>,
    non_resource_attributes: Option<NonResource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Resource {
    verb: String,
    group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
    field_selector: Selector,
    label_selector: Selector,
}

#[derive(Debug, Default, Deserialize)]
struct Selector {
    requirements: Vec<Raw>,
}

#[derive(Debug, Deserialize)]
struct Raw {
    key: String,
    operator: String,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct NonResource {
    verb: String,
    path: String,
}

impl Selector {
    fn parse(&self, kind: SelectorKind) -> Vec<Requirement> {
        let raw = self.requirements.iter();
        let raw = raw.map(|raw| (raw.key.as_str(), raw.operator.as_str(), raw.values.as_slice()));
        Requirement::parse_all(kind, raw).unwrap()
    }
}

impl Spec {
    /// Asks with this spec's attributes.
    fn ask<T>(&self, answer: impl FnOnce(&Attributes<'_>) -> T) -> T {
        if let Some(asked) = &self.non_resource_attributes {
            return answer(&Attributes::non_resource(&asked.verb, &asked.path));
        }
        let asked = self.resource_attributes.as_ref().unwrap();
        let field = asked.field_selector.parse(SelectorKind::Field);
        let label = asked.label_selector.parse(SelectorKind::Label);
        let resource = ResourceAttributes {
            api_group: &asked.group,
            resource: &asked.resource,
            subresource: &asked.subresource,
            namespace: &asked.namespace,
            name: &asked.name,
            selectors: Selectors { field: &field, label: &label },
        };
        answer(&Attributes::resource(&asked.verb, resource))
    }
}

#[test]
fn index_and_model_decide_as_kubernetes_does() {
    let (mut cases, mut allowed) = (0, 0);
    for line in WORLDS.lines() {
        let world: World<'_> = serde_json::from_str(line).unwrap();
        let list = format!(r#"{{"apiVersion":"v1","kind":"List","items":{}}}"#, world.objects.get());
        let parsed = parse(list.as_bytes()).unwrap_or_else(|error| panic!("world {}: {error}", world.seed));
        assert_eq!(parsed.skipped, []);
        let index = Index::compile(&parsed.objects);
        let model = Model::of(&parsed.objects);
        for Case { spec, allowed: expected } in &world.cases {
            let user = User { name: &spec.user, groups: &spec.groups };
            let grant = spec.ask(|asked| index.authorize(user, asked));
            assert_eq!(grant.is_some(), *expected, "world {}: {spec:?}: {grant:?}", world.seed);
            let asker = Asker { name: spec.user.clone(), groups: spec.groups.clone() };
            assert_eq!(
                spec.ask(|asked| model.allows(&asker, asked)),
                *expected,
                "world {}: {spec:?}",
                world.seed
            );
            cases += 1;
            allowed += usize::from(*expected);
        }
    }
    println!("{cases} decisions agree, {allowed} of them allowed");
    assert_eq!(cases, 5_400, "some worlds were not read");
    assert!(allowed > 2_000, "worlds that allow next to nothing prove nothing");
}

#[test]
fn the_worlds_read_the_same_as_yaml() {
    for line in WORLDS.lines().take(5) {
        let world: World<'_> = serde_json::from_str(line).unwrap();
        let list = format!(r#"{{"apiVersion":"v1","kind":"List","items":{}}}"#, world.objects.get());
        let value: serde_json::Value = serde_json::from_str(&list).unwrap();
        let from_json = parse(list.as_bytes()).unwrap();
        let yaml = serde_saphyr::to_string(&value).unwrap();
        assert!(yaml.contains('\n') && !yaml.starts_with('{'), "this is not block YAML");
        assert_eq!(parse(yaml.as_bytes()), Ok(from_json));
    }
}
