//! What a decision costs, and what it costs to be able to make it.
//!
//! Kubernetes' own authorizer goes through all ClusterRoleBindings, and all RoleBindings of the namespace asked about;
//! so each world here has all its bindings exactly there, each for another user. The asked user is drawn from all of
//! them (`spread`), as on a server with many users, or is one of a few (`few`), as in most of a server's minutes.

mod world;

use divan::{Bencher, black_box};
use lanyard_rbac::{Index, Object, RoleBinding, RoleRef, Subject, User, parse};
use world::{ROLES, SIZES, Shape, ask, role, user, world};

/// The users of the `few` benches; as many as fit the processor's nearest caches together with all else.
const FEW: usize = 10;

/// Shows allocations beside the times, where there are any: a decision must have none.
#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

/// Asks in turn for users strewn over all bindings; the names are made beforehand.
fn decide(bencher: Bencher<'_, '_>, shape: Shape, size: usize, users: usize, groups: &[String], verb: &str) {
    /// Asked one after the other in one measured run, so that reading the clock does not count.
    const BATCH: usize = 64;
    /// Prime, so that in any world the users come strewn.
    const STRIDE: usize = 7_919;
    let index = Index::compile(&world(shape, size));
    let users: Vec<String> = (0..users.min(size)).map(|number| user(number * STRIDE % size)).collect();
    let asked = ask(verb);
    let is_allowed = verb == "get";
    let mut next = 0;
    bencher.counter(divan::counter::ItemsCount::new(BATCH)).bench_local(|| {
        for _ in 0..BATCH {
            let name = users.get(next).map_or("", String::as_str);
            next = if next + 1 < users.len() { next + 1 } else { 0 };
            let grant = index.authorize(black_box(User { name, groups }), black_box(&asked));
            assert_eq!(grant.is_some(), is_allowed);
            black_box(grant);
        }
    });
}

macro_rules! decisions {
    ($($name:ident: $shape:ident, $users:expr, $groups:expr, $verb:literal;)*) => {$(
        #[divan::bench(args = SIZES, sample_count = 2_000)]
        fn $name(bencher: Bencher<'_, '_>, size: usize) {
            let groups: &[&str] = $groups;
            let groups: Vec<String> = groups.iter().map(|&group| group.to_owned()).collect();
            decide(bencher, Shape::$shape, size, $users, &groups, $verb);
        }
    )*};
}

const NONE: &[&str] = &["system:authenticated"];
const SOME: &[&str] = &["team-a-developers", "team-a-oncall", "everybody", "system:authenticated"];

decisions! {
    allowed_by_cluster_binding_few: Cluster, FEW, NONE, "get";
    allowed_by_cluster_binding_spread: Cluster, usize::MAX, NONE, "get";
    denied_with_cluster_bindings_few: Cluster, FEW, NONE, "delete";
    denied_with_cluster_bindings_spread: Cluster, usize::MAX, NONE, "delete";
    allowed_by_role_binding_few: Namespace, FEW, NONE, "get";
    allowed_by_role_binding_spread: Namespace, usize::MAX, NONE, "get";
    denied_with_role_bindings_few: Namespace, FEW, NONE, "delete";
    denied_with_role_bindings_spread: Namespace, usize::MAX, NONE, "delete";
    member_of_four_groups_few: Namespace, FEW, SOME, "delete";
    member_of_four_groups_spread: Namespace, usize::MAX, SOME, "delete";
}

/// One user with many bindings, of distinct roles, in the namespace asked about.
#[divan::bench(args = [1, 4, 5, 1_000])]
fn denied_with_many_bindings_of_ones_own(bencher: Bencher<'_, '_>, size: usize) {
    let mut objects = world(Shape::Namespace, 0);
    for number in 0..size {
        objects.push(role(ROLES + number));
        objects.push(Object::RoleBinding(RoleBinding {
            namespace: "team-a".to_owned(),
            name: format!("own-{number}"),
            subjects: vec![Subject::User("ana".to_owned())],
            role: RoleRef::ClusterRole(format!("role-{}", ROLES + number)),
        }));
    }
    let index = Index::compile(&objects);
    let (ana, asked) = (User { name: "ana", groups: &[] as &[&str] }, ask("delete"));
    bencher.bench(|| index.authorize(black_box(ana), black_box(&asked)).is_some());
}

#[divan::bench(args = SIZES, sample_count = 10, sample_size = 1)]
fn compile(bencher: Bencher<'_, '_>, size: usize) {
    let objects = world(Shape::Namespace, size);
    bencher.bench_local(|| Index::compile(black_box(&objects)));
}

#[divan::bench(args = [10, 1_000, 10_000], sample_count = 5, sample_size = 1)]
fn parse_yaml(bencher: Bencher<'_, '_>, size: usize) {
    let documents =
        world(Shape::Namespace, size).iter().map(serde_saphyr::to_string).collect::<Result<Vec<_>, _>>();
    let text = documents.unwrap_or_default().join("---\n");
    bencher.bench_local(|| parse(black_box(text.as_bytes())).is_ok());
}

#[divan::bench(args = [10, 1_000, 10_000], sample_count = 5, sample_size = 1)]
fn parse_json(bencher: Bencher<'_, '_>, size: usize) {
    let lines =
        world(Shape::Namespace, size).iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>();
    let text = lines.unwrap_or_default().join("\n");
    bencher.bench_local(|| parse(black_box(text.as_bytes())).is_ok());
}
