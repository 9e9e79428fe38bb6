use std::time::Duration;

use lanyard_api::{
    ClusterUid, Scope,
    kubeconfig::{KubeCredential, Kubeconfig},
    mapping::{
        AwsAuthSight, Cluster, ClusterDirectory, LendQuery, Lending, Loan, Resolve, SpokeCredentialKind,
        SpokeKubeconfig, SpokeWatch,
    },
};
use lanyard_store::{Place, Purpose};
use secrecy::{ExposeSecret as _, SecretString};

use crate::bench::*;

/// A kubeconfig with this token.
pub(crate) fn kubeconfig(token: &str) -> SecretString {
    let reduced = Kubeconfig {
        server: "https://10.0.0.1:6443".parse().unwrap(),
        certificate_authority: None,
        credential: KubeCredential::Token(token.into()),
    };
    reduced.to_document()
}

async fn put<C: Calls, R: Resolve>(bench: &Bench<C, R>, cluster: &Cluster, token: &str) -> SpokeKubeconfig {
    let put = bench.calls.put_spoke_kubeconfig(by(admin()), cluster.id.clone(), kubeconfig(token), None);
    put.await.unwrap().value
}

fn asked(cluster: ClusterUid, holder: &str) -> LendQuery {
    LendQuery { cluster, holder: holder.to_owned(), known_version: None, watch: None }
}

/// The loan of a kubeconfig. The trait asks for no actor here: over the wire only the spoke service's certificate gets in.
async fn lent<C: Calls, R: Resolve>(bench: &Bench<C, R>, query: LendQuery) -> Option<Loan> {
    match bench.calls.lend_spoke(query).await.unwrap() {
        Lending::Lent(loan) => Some(loan),
        Lending::Held(_) | Lending::Gone => None,
    }
}

pub(crate) async fn a_kubeconfig_is_kept_reduced_and_sealed_and_never_shown<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let first = put(&bench, &cluster, "hush-hush").await;
    assert_eq!((first.server.as_str(), first.credential_kind.as_str()), ("https://10.0.0.1:6443/", "token"));
    let status = bench.calls.get_spoke(admin(), cluster.id.clone()).await.unwrap();
    assert_eq!((status.kubeconfig.as_ref(), status.watch, status.lease_ends_at), (Some(&first), None, None));
    assert!(!format!("{first:?}{:?}", status.kubeconfig).contains("hush"));
    let mut directory = bench.calls.directory();
    let told = directory
        .wait_for(|now| now.clusters.iter().any(|entry| entry.kubeconfig_version == Some(first.version)));
    told.await.unwrap();

    // Nowhere in the clear, and the same one again is no change.
    let (revision, records) = bench.store.load::<SpokeKubeconfig>(Scope::Hub).await.unwrap();
    assert!(!format!("{records:?}").contains("hush"));
    let sealed = bench.store.secret(&Place::of(&first)).await.unwrap().unwrap();
    assert!(!sealed.as_bytes().windows(4).any(|part| part == b"hush"));
    assert_eq!(put(&bench, &cluster, "hush-hush").await, first);
    assert_eq!(bench.store.revision(Scope::Hub).await.unwrap(), revision);

    let second = put(&bench, &cluster, "another").await;
    assert!(second.version > first.version);
    let loan = lent(&bench, asked(cluster.uid, "a")).await.unwrap();
    assert_eq!((loan.version, loan.lifetime), (second.version, Duration::from_secs(15)));
    let opened = Kubeconfig::reduce(loan.kubeconfig.unwrap().expose_secret(), None).unwrap();
    assert_eq!(opened.credential, KubeCredential::Token("another".into()));
    let known = LendQuery { known_version: Some(second.version), ..asked(cluster.uid, "a") };
    assert!(lent(&bench, known).await.unwrap().kubeconfig.is_none(), "it is lent once");

    for refused in [
        code_of(bench.calls.get_spoke(spoke(cluster.uid), cluster.id.clone()).await),
        code_of(bench.calls.delete_spoke_kubeconfig(by(spoke(cluster.uid)), cluster.id.clone()).await),
    ] {
        assert_eq!(refused, "denied:spoke_call");
    }
    bench.calls.delete_spoke_kubeconfig(by(admin()), cluster.id.clone()).await.unwrap();
    assert_eq!(bench.store.secret(&Place::of(&second)).await.unwrap(), None);
    assert!(matches!(bench.calls.lend_spoke(asked(cluster.uid, "a")).await.unwrap(), Lending::Gone));
    // What comes after it is never taken for it.
    assert!(put(&bench, &cluster, "third").await.version > second.version);
}

pub(crate) async fn immunity_34_a_kubeconfig_that_would_make_the_hub_do_something_is_refused_by_name<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let folder = tempfile::tempdir().unwrap();
    let touched = folder.path().join("touched");
    let bad = format!(
        r#"{{"kind":"Config","current-context":"a","contexts":[{{"name":"a","context":{{"cluster":"c","user":"u"}}}}],
        "clusters":[{{"name":"c","cluster":{{"server":"https://127.0.0.1:1"}}}}],
        "users":[{{"name":"u","user":{{"exec":{{"command":"touch","args":["{}"]}}}}}}]}}"#,
        touched.display()
    );
    let refused = bench.calls.put_spoke_kubeconfig(by(admin()), cluster.id.clone(), bad.into(), None).await;
    let refused = refused.unwrap_err();
    assert_eq!(code(&refused), "kubeconfig_refused");
    assert!(refused.to_string().contains("users[u].user.exec"), "{refused}");
    assert!(!touched.exists());
    let status = bench.calls.get_spoke(admin(), cluster.id.clone()).await.unwrap();
    assert_eq!(status.kubeconfig, None, "nothing of it is kept");
}

pub(crate) async fn one_replica_has_a_cluster_and_another_takes_over<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    put(&bench, &cluster, "t").await;
    let first = lent(&bench, asked(cluster.uid, "a")).await.unwrap().term;
    assert!(matches!(bench.calls.lend_spoke(asked(cluster.uid, "b")).await.unwrap(), Lending::Held(_)));
    bench.clock.advance(time::Duration::seconds(10));
    let watch = SpokeWatch {
        holder: "somebody".to_owned(),
        reported_at: bench.now(),
        listed_at: Some(bench.now()),
        pushed_at: None,
        objects: 7,
        aws_auth: AwsAuthSight::Missing,
        aws_auth_missing_since: Some(bench.now()),
        service_accounts: 9,
        issuer_url: Some("https://issuer.example".to_owned()),
        issuer_read_at: Some(bench.now()),
        reviews_pods: Some(true),
        refused: vec!["y".repeat(5_000); 50],
        fault: Some("x".repeat(5_000)),
        fault_since: Some(bench.now()),
    };
    let told = LendQuery { watch: Some(watch.clone()), ..asked(cluster.uid, "a") };
    assert!(lent(&bench, told).await.is_some(), "renewed");
    let status = bench.calls.get_spoke(admin(), cluster.id.clone()).await.unwrap();
    let seen = status.watch.unwrap();
    assert_eq!((seen.holder.as_str(), seen.objects, seen.aws_auth), ("a", 7, AwsAuthSight::Missing));
    assert_eq!(seen.fault.map(|fault| fault.len()), Some(1_000), "bounded");
    assert_eq!((seen.refused.len(), seen.refused[0].len(), seen.service_accounts), (21, 1_000, 9), "bounded");
    assert_eq!(status.lease_ends_at, Some(bench.now() + time::Duration::seconds(15)));

    // Whoever does not hold it says nothing, and gives nothing back.
    let other = LendQuery { watch: Some(SpokeWatch { objects: 8, ..watch }), ..asked(cluster.uid, "b") };
    assert!(lent(&bench, other).await.is_none());
    bench.calls.return_spoke(cluster.uid, "b".to_owned()).await.unwrap();
    let status = bench.calls.get_spoke(admin(), cluster.id.clone()).await.unwrap();
    assert_eq!(status.watch.map(|watch| watch.objects), Some(7));
    assert!(lent(&bench, asked(cluster.uid, "b")).await.is_none());
    bench.clock.advance(time::Duration::seconds(15));
    let second = lent(&bench, asked(cluster.uid, "b")).await.unwrap().term;
    // Who has held it, and was paused, pushes nothing any more: what the next holder saw stays.
    let push = async |term: u64, content: &str| {
        let by = lanyard_api::Mutation { lease_term: Some(term), ..by(spoke(cluster.uid)) };
        code_of(bench.calls.push_aws_auth(by, cluster.id.clone(), content.to_owned()).await)
    };
    assert_eq!(push(second, "data: {mapRoles: '[]'}").await, "ok");
    assert_eq!(push(first, "data: {}").await, "lease_lost");
    let versions = bench.calls.get_aws_auth(admin(), cluster.id.clone()).await.unwrap();
    assert_eq!(versions.last().map(|version| version.content.as_str()), Some("data: {mapRoles: '[]'}"));
    assert!(lent(&bench, asked(cluster.uid, "a")).await.is_none());
    bench.calls.return_spoke(cluster.uid, "b".to_owned()).await.unwrap();
    assert!(lent(&bench, asked(cluster.uid, "a")).await.is_some(), "given back");
}

pub(crate) async fn immunity_38_a_sealed_kubeconfig_that_was_moved_does_not_open<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let log = log();
    let (cluster, other) = (bench.cluster().await, bench.empty_cluster().await);
    let (mine, theirs) = (put(&bench, &cluster, "mine").await, put(&bench, &other, "theirs").await);
    let moved = bench.store.secret(&Place::of(&theirs)).await.unwrap().unwrap();
    let mut tx =
        bench.store.begin("test", &lanyard_api::Mutation::system("test"), &[Scope::Hub]).await.unwrap();
    tx.put_secret(&Place::of(&mine), &moved).await.unwrap();
    tx.commit_unrecorded().await.unwrap();
    let opened = bench.store.keyring().open(Purpose::SpokeKubeconfig, &Place::of(&mine), &moved);
    assert!(opened.is_err());
    let fault = bench.calls.lend_spoke(asked(cluster.uid, "a")).await.unwrap_err();
    assert_eq!(fault.code(), "internal", "a fault, and nobody's kubeconfig");
    let said = log.said();
    let of_it =
        |line: &&str| line.contains("cannot be sealed or opened") && line.contains(&cluster.uid.to_string());
    assert!(said.lines().any(|line| of_it(&line)), "the cluster is not named: {said}");
    // The owner puts it anew, and all is well.
    put(&bench, &cluster, "mine").await;
    assert!(lent(&bench, asked(cluster.uid, "a")).await.is_some());
}

pub(crate) async fn immunity_39_a_spokes_certificate_counts_until_it_is_deleted<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let register = async |sha256: &str| {
        bench.calls.register_spoke_certificate(by(admin()), cluster.id.clone(), sha256.to_owned()).await
    };
    for bad in ["", "ab", &"AB".repeat(32), &"zz".repeat(32)] {
        assert_eq!(code_of(register(bad).await), "malformed", "{bad}");
    }
    let sha256 = "ab".repeat(32);
    let known = register(&sha256).await.unwrap().value;
    assert_eq!((known.kind, known.id.as_str()), (SpokeCredentialKind::Certificate, "abababababab"));
    assert_eq!(register(&sha256).await.unwrap().value, known, "the same again");
    // The tokens of its API server have room of their own.
    for _ in 0..5 {
        bench.clock.advance(time::Duration::SECOND);
        bench.calls.create_spoke_credential(by(admin()), cluster.id.clone()).await.unwrap();
    }
    let certificates = |now: &ClusterDirectory| -> Vec<String> {
        let all = now.clusters.iter().flat_map(|entry| entry.credentials.clone());
        let kind = SpokeCredentialKind::Certificate;
        all.filter(|one| one.kind == kind).map(|one| one.token_sha256).collect()
    };
    let mut directory = bench.calls.directory();
    let revision = bench.store.revision(Scope::Hub).await.unwrap();
    let now = directory.wait_for(|now| now.revision >= revision).await.unwrap().clone();
    assert_eq!(certificates(&now), [sha256]);
    let gone = bench.calls.delete_spoke_credential(by(admin()), cluster.id.clone(), known.id).await.unwrap();
    let now = directory.wait_for(|now| now.revision >= gone.revision).await.unwrap().clone();
    assert!(certificates(&now).is_empty());
}

pub(crate) async fn immunity_37_a_cluster_that_is_gone_is_lent_to_nobody<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    put(&bench, &cluster, "t").await;
    assert!(lent(&bench, asked(cluster.uid, "a")).await.is_some());
    bench.calls.delete_cluster(by(admin()), cluster.id.clone()).await.unwrap();
    let anew = bench.cluster().await;
    for uid in [cluster.uid, anew.uid] {
        assert!(matches!(bench.calls.lend_spoke(asked(uid, "a")).await.unwrap(), Lending::Gone));
    }
    assert_eq!(bench.calls.get_spoke(admin(), anew.id).await.unwrap().kubeconfig, None);
}

/// What a watcher says.
pub(crate) fn watch() -> SpokeWatch {
    SpokeWatch {
        holder: "spoke-of-the-service".to_owned(),
        reported_at: time::OffsetDateTime::UNIX_EPOCH,
        listed_at: None,
        pushed_at: None,
        objects: 7,
        service_accounts: 9,
        aws_auth: AwsAuthSight::Missing,
        aws_auth_missing_since: None,
        issuer_url: None,
        issuer_read_at: None,
        reviews_pods: None,
        refused: vec!["y".repeat(5_000); 50],
        fault: Some("x".repeat(5_000)),
        fault_since: None,
    }
}

pub(crate) async fn a_watcher_inside_of_a_cluster_says_how_it_goes_and_its_silence_shows<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let (cluster, other) = (bench.cluster().await, bench.empty_cluster().await);
    let report = async |actor, cluster: &Cluster| {
        code_of(bench.calls.report_spoke(actor, cluster.id.clone(), watch()).await)
    };
    let status = async || bench.calls.get_spoke(admin(), cluster.id.clone()).await.unwrap();
    assert_eq!(report(spoke(cluster.uid), &other).await, "not_found");
    assert_eq!(report(admin(), &cluster).await, "denied:spoke_alone");
    assert_eq!(status().await.watch, None);
    let revision = bench.store.revision(Scope::Cluster(cluster.uid)).await.unwrap();
    assert_eq!(report(spoke(cluster.uid), &cluster).await, "ok");
    assert_eq!(bench.store.revision(Scope::Cluster(cluster.uid)).await.unwrap(), revision, "it is no change");

    // It is known by its certificate, and the hub knows by itself when that was.
    let said = status().await;
    let seen = said.watch.unwrap();
    assert_eq!((seen.holder, seen.reported_at), (format!("spoke:{}", cluster.uid), bench.now()));
    assert_eq!((seen.objects, seen.aws_auth), (7, AwsAuthSight::Missing));
    assert_eq!((seen.fault.map(|fault| fault.len()), seen.refused.len()), (Some(1_000), 21), "bounded");
    assert_eq!(said.silent_since, None);
    bench.clock.advance(time::Duration::seconds(16));
    assert_eq!(status().await.silent_since, Some(seen.reported_at));
    assert_eq!(report(spoke(cluster.uid), &cluster).await, "ok");
    assert_eq!(status().await.silent_since, None);

    // While the hub watches the cluster, what it sees stays.
    put(&bench, &cluster, "hush").await;
    lent(&bench, asked(cluster.uid, "a")).await.unwrap();
    let own = SpokeWatch { objects: 8, ..watch() };
    lent(&bench, LendQuery { watch: Some(own), ..asked(cluster.uid, "a") }).await.unwrap();
    assert_eq!(report(spoke(cluster.uid), &cluster).await, "ok");
    let seen = status().await.watch.unwrap();
    assert_eq!((seen.holder.as_str(), seen.objects), ("a", 8));
}
