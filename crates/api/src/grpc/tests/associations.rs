use super::{samples::*, *};
use crate::{
    CallError, ClusterId,
    credentials::{
        Associations, AwsRoad, CreatePodIdentityAssociation, PodIdentityAssociation,
        PodIdentityAssociationDetail, PodIdentityAssociationFilter, PodIdentityAssociationRef, ProposeTrust,
        TrustProposal, UpdatePodIdentityAssociation,
    },
};

const ROLE: &str = "arn:aws:iam::111122223333:role/team/app";

fn detail(target: Option<&str>) -> PodIdentityAssociationDetail {
    let association = PodIdentityAssociation {
        id: "a-0123456789abcdefg".parse().unwrap(),
        cluster: uid(1),
        namespace: text("team-a"),
        service_account: text("bot"),
        role_arn: ROLE.parse().unwrap(),
        target_role_arn: target.map(|arn| arn.parse().unwrap()),
        disable_session_tags: target.is_some(),
        policy: target.map(|_| text("{}")),
        aws_road: target.map(|_| AwsRoad::Issuer),
        unprobed: target.is_some(),
        tags: tags(&["team"]),
        created_at: moment(1),
        modified_at: moment(2),
    };
    PodIdentityAssociationDetail { association, arn: text("arn"), external_id: target.map(|_| text("x/y")) }
}

fake! { Associations {
    change create_pod_identity_association(asked: CreatePodIdentityAssociation)
        -> Mutated<PodIdentityAssociationDetail>, CallError = mutated(detail(None));
    ask get_pod_identity_association(named: PodIdentityAssociationRef) -> PodIdentityAssociationDetail, CallError
        = detail(Some(ROLE));
    ask list_pod_identity_associations(cluster: ClusterId, filter: PodIdentityAssociationFilter, query: PageQuery)
        -> Page<PodIdentityAssociationDetail>, CallError = page(vec![detail(None), detail(Some(ROLE))]);
    change update_pod_identity_association(named: PodIdentityAssociationRef, change: UpdatePodIdentityAssociation)
        -> Mutated<PodIdentityAssociationDetail>, CallError = mutated(detail(Some(ROLE)));
    change delete_pod_identity_association(named: PodIdentityAssociationRef)
        -> Mutated<PodIdentityAssociationDetail>, CallError = mutated(detail(None));
    ask propose_trust(asked: ProposeTrust) -> TrustProposal, CallError = proposal(asked.aws_road);
} }

fn proposal(aws_road: Option<AwsRoad>) -> TrustProposal {
    TrustProposal {
        aws_road: aws_road.unwrap_or(AwsRoad::HubPrincipal),
        role_arn: text(ROLE),
        principal: text("arn"),
        external_id: aws_road.is_none().then(|| text("id")),
        issuer_url: aws_road.map(|_| text("https://hub/id/1")),
        trust_policy: text("{}"),
        notices: vec![text("first"), text("second")],
    }
}

async fn association_calls<T: Associations>(to: &T) -> Vec<String> {
    let dev = || -> ClusterId { "dev-1".parse().unwrap() };
    let named = || PodIdentityAssociationRef { cluster: dev(), id: "a-0123456789abcdefg".parse().unwrap() };
    let bare = CreatePodIdentityAssociation {
        cluster: dev(),
        namespace: text("team-a"),
        service_account: text("bot"),
        role_arn: text(ROLE),
        target_role_arn: None,
        disable_session_tags: None,
        policy: None,
        tags: tags(&[]),
        allow_any_cluster: false,
        aws_road: None,
        unprobed: false,
    };
    let whole = CreatePodIdentityAssociation {
        target_role_arn: Some(text(ROLE)),
        disable_session_tags: Some(false),
        policy: Some(text("{}")),
        tags: tags(&["team"]),
        allow_any_cluster: true,
        aws_road: Some(AwsRoad::HubPrincipal),
        unprobed: true,
        ..bare.clone()
    };
    let filter =
        PodIdentityAssociationFilter { namespace: Some(text("team-a")), service_account: Some(text("bot")) };
    let change = UpdatePodIdentityAssociation {
        role_arn: Some(text(ROLE)),
        target_role_arn: Some(String::new()),
        disable_session_tags: Some(true),
        policy: Some(text("{}")),
        allow_any_cluster: true,
        aws_road: Some(AwsRoad::Issuer),
        unprobed: true,
    };
    let trust = ProposeTrust {
        cluster: dev(),
        namespace: text("team-a"),
        service_account: text("bot"),
        role_arn: text(ROLE),
        aws_road: None,
    };
    answers![
        to.create_pod_identity_association(super::change(), bare),
        to.create_pod_identity_association(silent_change(), whole),
        to.get_pod_identity_association(actor(), named()),
        to.list_pod_identity_associations(actor(), dev(), filter, some_page()),
        to.list_pod_identity_associations(actor(), dev(), Default::default(), PageQuery::default()),
        to.update_pod_identity_association(super::change(), named(), change),
        to.update_pod_identity_association(super::change(), named(), Default::default()),
        to.delete_pod_identity_association(super::change(), named()),
        to.propose_trust(actor(), trust.clone()),
        to.propose_trust(actor(), ProposeTrust { aws_road: Some(AwsRoad::Issuer), ..trust }),
    ]
}

#[tokio::test]
async fn associations_are_the_same_over_grpc() {
    same_over_grpc!(association_calls);
}
