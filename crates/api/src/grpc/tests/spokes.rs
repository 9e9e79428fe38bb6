use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::{samples::*, *};
use crate::{
    CallError, ClusterId, ClusterUid, Fault,
    mapping::{
        AwsAuthSight, LendQuery, Lending, Loan, SpokeCredential, SpokeKubeconfig, SpokeStatus, SpokeWatch,
        Spokes,
    },
};

fn kubeconfig() -> SpokeKubeconfig {
    SpokeKubeconfig {
        cluster: uid(1),
        version: 3,
        server: text("https://10.0.0.1:6443/"),
        credential_kind: text("token"),
        put_by: SESSION.to_owned(),
        put_at: moment(4),
    }
}

fn watch() -> SpokeWatch {
    SpokeWatch {
        holder: text("replica-1"),
        reported_at: moment(5),
        listed_at: Some(moment(6)),
        pushed_at: None,
        objects: 7,
        service_accounts: 8,
        aws_auth: AwsAuthSight::Missing,
        aws_auth_missing_since: Some(moment(8)),
        issuer_url: Some(text("https://issuer.example")),
        issuer_read_at: Some(moment(10)),
        refused: vec![text("Role/a/b: too long")],
        fault: Some(text("no route")),
        fault_since: Some(moment(9)),
        reviews_pods: Some(false),
    }
}

fake! { Spokes {
    change delete_spoke_kubeconfig(id: ClusterId) -> Mutated<SpokeKubeconfig>, CallError = mutated(kubeconfig());
    change register_spoke_certificate(id: ClusterId, sha256: String) -> Mutated<SpokeCredential>, CallError
        = mutated(spoke_credential());
    ask get_spoke(id: ClusterId) -> SpokeStatus, CallError = SpokeStatus {
        kubeconfig: Some(kubeconfig()),
        watch: Some(watch()),
        lease_ends_at: Some(moment(10)),
        silent_since: Some(moment(12)),
    };
    ask report_spoke(id: ClusterId, watch: SpokeWatch) -> (), CallError = ();
    plain return_spoke(cluster: ClusterUid, holder: String) -> (), Fault = ();
}
    async fn put_spoke_kubeconfig(
        &self, by: Mutation, id: ClusterId, kubeconfig: SecretString, context: Option<String>,
    ) -> Result<Mutated<SpokeKubeconfig>, CallError> {
        self.note(format!("{:?} {id} {} {context:?}", by.actor.value.kind, kubeconfig.expose_secret()));
        Ok(mutated(self::kubeconfig()))
    }

    async fn lend_spoke(&self, query: LendQuery) -> Result<Lending, Fault> {
        self.note(format!("{query:?}"));
        let kubeconfig = query.known_version.is_none().then(|| "hush".into());
        Ok(match query.holder.as_str() {
            "a" => Lending::Lent(Loan { version: 3, kubeconfig, lifetime: Duration::from_secs(15), term: 2 }),
            "b" => Lending::Held(moment(11)),
            _ => Lending::Gone,
        })
    }
}

async fn spoke_calls<T: Spokes>(to: &T) -> Vec<String> {
    let dev = || -> ClusterId { "dev-1".parse().unwrap() };
    let lend = |holder: &str, known_version, watch| {
        to.lend_spoke(LendQuery { cluster: uid(1), holder: text(holder), known_version, watch })
    };
    answers![
        to.put_spoke_kubeconfig(change(), dev(), "hush".into(), None),
        to.put_spoke_kubeconfig(silent_change(), dev(), "hush".into(), Some(text("a"))),
        to.delete_spoke_kubeconfig(change(), dev()),
        to.register_spoke_certificate(change(), dev(), "ab".repeat(32)),
        to.get_spoke(actor(), dev()),
        to.report_spoke(actor(), dev(), watch()),
        lend("a", None, None),
        lend("a", Some(3), Some(watch())),
        lend("b", None, Some(SpokeWatch { fault: None, listed_at: None, ..watch() })),
        lend("c", None, None),
        to.return_spoke(uid(1), text("a")),
    ]
}

#[tokio::test]
async fn the_ways_to_spokes_are_the_same_over_grpc() {
    same_over_grpc!(spoke_calls);
}
