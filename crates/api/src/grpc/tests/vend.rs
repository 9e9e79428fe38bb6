use super::{samples::*, *};
use crate::{
    CallError,
    credentials::{
        AssumeRoleForPodIdentity, PodCredentials, ServiceAccountName, SessionCredentials, Vend,
        VendedAssociation, VendedUser,
    },
};

fn credentials(unconfirmed: Option<String>) -> PodCredentials {
    PodCredentials {
        subject: ServiceAccountName { namespace: text("team-a"), name: text("bot") },
        audience: text("pods.eks.amazonaws.com"),
        association: VendedAssociation {
            arn: text("arn:aws:eks:eu-central-1:111122223333:podidentityassociation/dev/a-0123456789abcdefg"),
            id: "a-0123456789abcdefg".parse().unwrap(),
            revision: Revision(17),
        },
        user: VendedUser { arn: text(SESSION), id: text("AROAX:ana") },
        credentials: SessionCredentials {
            access_key_id: "LSIAABCDEFGHIJKLMNOP".parse().unwrap(),
            secret_access_key: text("secret").into(),
            session_token: text("token").into(),
            expires_at: moment(5),
        },
        account: ACCOUNT.parse().unwrap(),
        unconfirmed,
    }
}

fake! { Vend {
    ask assume_role_for_pod_identity(request: AssumeRoleForPodIdentity) -> PodCredentials, CallError
        = credentials(request.node_name.clone());
} }

fn node() -> Vouched<Actor> {
    let kind = ActorKind::Node { cluster: uid(1), name: text("node-1") };
    Vouched::in_process(Actor { kind, ..Actor::system("test") })
}

async fn vend_calls<T: Vend>(to: &T) -> Vec<String> {
    let request = |node_name: Option<String>| AssumeRoleForPodIdentity {
        cluster: "dev-1".parse().unwrap(),
        token: text("a.b.c").into(),
        node_name,
    };
    answers![
        to.assume_role_for_pod_identity(node(), request(Some(text("node-1")))),
        to.assume_role_for_pod_identity(actor(), request(None)),
    ]
}

#[tokio::test]
async fn vending_is_the_same_over_grpc() {
    same_over_grpc!(vend_calls);
}
