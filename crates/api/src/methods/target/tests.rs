use lanyard_iam::EntryPrincipal;
use lanyard_proto::{
    authn::v1 as authn, authz::v1 as authz, call::v1 as call, credentials::v1 as credentials,
};
use lanyard_proto::{gateway::v1 as gateway, mapping::v1 as mapping};
use uuid::Uuid;

use super::*;
use crate::{EntryId, HubId, IdentityProviderConfigId, TrustedAccount, mapping::Cluster};

const OWN: &str = "111122223333";
const OTHER: &str = "444455556666";
const ROLE: &str = "arn:aws:iam::444455556666:role/team/Dev";
const PERMISSION_SET: &str = "arn:aws:sso::444455556666:permission-set/Dev";

fn cluster() -> Cluster {
    Cluster {
        uid: ClusterUid(Uuid::from_u128(1)),
        id: "dev-7".parse().unwrap(),
        name: "dev".to_owned(),
        partition: "aws".parse().unwrap(),
        account: OWN.parse().unwrap(),
        region: "us-west-2".to_owned(),
        endpoint: None,
        certificate_authority: None,
        authentication_mode: crate::mapping::AuthenticationMode::Api,
        authorizer_mode: crate::mapping::AuthorizerMode::Full,
        trusted_accounts: Vec::<TrustedAccount>::new(),
        audiences: Vec::new(),
        token_cache_seconds: 10,
        created_by: String::new(),
        tags: Default::default(),
        created_at: time::OffsetDateTime::UNIX_EPOCH,
    }
}

fn text(value: &str) -> String {
    value.to_owned()
}

fn arn(request: &(impl Targeted + ?Sized), cluster: Option<&Cluster>) -> String {
    arn_with(request, cluster, ROLE)
}

/// Where the entry that the request names is one of this principal.
fn arn_with(request: &(impl Targeted + ?Sized), cluster: Option<&Cluster>, entry: &str) -> String {
    let principal = EntryPrincipal::parse(entry).unwrap();
    let place = Place {
        partition: "aws".parse().unwrap(),
        account: OWN.parse().unwrap(),
        region: "eu-central-1",
        hub: HubId(Uuid::from_u128(2)),
        cluster,
        stored: None,
        entry: Some((EntryId(Uuid::from_u128(3)), &principal)),
        identity_provider: Some(IdentityProviderConfigId(Uuid::from_u128(4))),
    };
    request.target().unwrap().arn(&place)
}

#[test]
fn each_request_is_about_the_resource_that_aws_names() {
    let dev = cluster();
    let uid = dev.uid.to_string();
    let known = Some(&dev);
    let entry_id = Uuid::from_u128(3);
    let in_dev = |request: &dyn Fn(String) -> Box<dyn Targeted>| arn(&*request(text("dev-7")), known);
    let cases = [
        (
            arn(&authn::CreateAccountRequest::default(), None),
            format!("arn:aws:lanyard::{OWN}:hub/{}", Uuid::from_u128(2)),
        ),
        (arn(&authn::ListAccountsRequest::default(), None), format!("arn:aws:lanyard::{OWN}:account/{OWN}")),
        (arn(&authn::ListUsersRequest::default(), None), format!("arn:aws:iam::{OWN}:user/")),
        (arn(&authn::ListRolesRequest::default(), None), format!("arn:aws:iam::{OWN}:role/")),
        (
            arn(
                &authn::CreateUserRequest { path: text("/team/"), name: text("ana"), ..Default::default() },
                None,
            ),
            format!("arn:aws:iam::{OWN}:user/team/ana"),
        ),
        (
            arn(&authn::ListInstanceProfilesRequest::default(), None),
            format!("arn:aws:iam::{OWN}:instance-profile/"),
        ),
        (
            arn(&authn::TagInstanceProfileRequest { name: text("node"), ..Default::default() }, None),
            format!("arn:aws:iam::{OWN}:instance-profile/node"),
        ),
        (
            arn(&authn::ListInstanceProfilesForRoleRequest { role: text("Dev"), ..Default::default() }, None),
            format!("arn:aws:iam::{OWN}:role/Dev"),
        ),
        (
            arn(&authn::CreateRoleRequest { name: text("Dev"), ..Default::default() }, None),
            format!("arn:aws:iam::{OWN}:role/Dev"),
        ),
        (
            arn(&authn::UpdateAccessKeyRequest { user: text("ana"), ..Default::default() }, None),
            format!("arn:aws:iam::{OWN}:user/ana"),
        ),
        (
            arn(&credentials::AssumeRoleRequest { role_arn: text(ROLE), ..Default::default() }, None),
            format!("arn:aws:iam::{OWN}:role/team/Dev"),
        ),
        (
            arn(&mapping::ListClustersRequest::default(), None),
            format!("arn:aws:eks:eu-central-1:{OWN}:cluster/*"),
        ),
        (
            arn(
                &mapping::CreateClusterRequest {
                    name: text("new"),
                    region: text("us-east-1"),
                    ..Default::default()
                },
                None,
            ),
            format!("arn:aws:eks:us-east-1:{OWN}:cluster/new"),
        ),
        (
            in_dev(&|cluster| Box::new(mapping::DescribeClusterRequest { cluster })),
            format!("arn:aws:eks:us-west-2:{OWN}:cluster/dev"),
        ),
        (
            arn(&mapping::DescribeClusterRequest { cluster: text("gone") }, None),
            format!("arn:aws:eks:eu-central-1:{OWN}:cluster/gone"),
        ),
        (
            in_dev(&|cluster| Box::new(mapping::CreateAccessEntryRequest { cluster, ..Default::default() })),
            format!("arn:aws:eks:us-west-2:{OWN}:cluster/dev"),
        ),
        (
            in_dev(&|cluster| {
                Box::new(mapping::CreateAccessEntryRequest {
                    cluster,
                    principal_arn: text("arn:aws:iam::444455556666:role/*"),
                    ..Default::default()
                })
            }),
            format!("arn:aws:eks:us-west-2:{OWN}:cluster/dev"),
        ),
        (
            arn_with(
                &mapping::DeleteAccessEntryRequest {
                    cluster: text("dev-7"),
                    principal_arn: text(PERMISSION_SET),
                    ..Default::default()
                },
                known,
                PERMISSION_SET,
            ),
            format!("arn:aws:eks:us-west-2:{OWN}:access-entry/dev/permission-set/{OTHER}/Dev/{entry_id}"),
        ),
        (
            in_dev(&|cluster| {
                Box::new(mapping::DescribeAccessEntryRequest { cluster, principal_arn: text(ROLE) })
            }),
            format!("arn:aws:eks:us-west-2:{OWN}:access-entry/dev/role/{OTHER}/Dev/{entry_id}"),
        ),
        (
            in_dev(&|cluster| {
                Box::new(mapping::DescribeAccessEntryRequest { cluster, principal_arn: ROLE.to_uppercase() })
            }),
            format!("arn:aws:eks:us-west-2:{OWN}:access-entry/dev/role/{OTHER}/Dev/{entry_id}"),
        ),
        (
            in_dev(&|cluster| {
                let settings = Some(mapping::IdentityProviderSettings::default());
                Box::new(mapping::AssociateIdentityProviderConfigRequest {
                    cluster,
                    settings,
                    mutation: None,
                })
            }),
            format!("arn:aws:eks:us-west-2:{OWN}:cluster/dev"),
        ),
        (
            in_dev(&|cluster| {
                Box::new(mapping::DescribeIdentityProviderConfigRequest { cluster, name: text("okta") })
            }),
            format!(
                "arn:aws:eks:us-west-2:{OWN}:identityproviderconfig/dev/oidc/okta/{}",
                Uuid::from_u128(4)
            ),
        ),
        (
            in_dev(&|cluster| {
                Box::new(credentials::CreatePodIdentityAssociationRequest { cluster, ..Default::default() })
            }),
            format!("arn:aws:eks:us-west-2:{OWN}:cluster/dev"),
        ),
        (
            in_dev(&|cluster| {
                let association_id = text("a-0123456789abcdefg");
                Box::new(credentials::DescribePodIdentityAssociationRequest { cluster, association_id })
            }),
            format!("arn:aws:eks:us-west-2:{OWN}:podidentityassociation/dev/a-0123456789abcdefg"),
        ),
        (
            arn(
                &mapping::TagResourceRequest {
                    resource_arn: format!("arn:aws:eks:us-west-2:{OTHER}:cluster/theirs"),
                    ..Default::default()
                },
                None,
            ),
            format!("arn:aws:eks:us-west-2:{OTHER}:cluster/theirs"),
        ),
        (
            in_dev(&|cluster| Box::new(gateway::ExplainRequest { cluster, ..Default::default() })),
            format!("arn:aws:eks:us-west-2:{OWN}:cluster/dev"),
        ),
        (
            arn(&authz::WhoCanRequest { cluster_uid: uid.clone(), attributes: None }, known),
            format!("arn:aws:eks:us-west-2:{OWN}:cluster/dev"),
        ),
        (
            arn(&authz::FindDecisionRequest { id: Uuid::nil().to_string() }, None),
            format!("arn:aws:lanyard::{OWN}:decision/{}", Uuid::nil()),
        ),
        (
            arn(&mapping::ListBlocksRequest { scope: format!("cluster/{uid}"), page: None }, known),
            format!("arn:aws:eks:us-west-2:{OWN}:cluster/dev"),
        ),
        (
            arn(&mapping::ListBlocksRequest { scope: text("hub"), page: None }, None),
            format!("arn:aws:lanyard::{OWN}:hub/{}", Uuid::from_u128(2)),
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
}

#[test]
fn a_principal_that_exists_is_judged_as_it_is_stored_not_as_it_was_spelled() {
    let target = authn::GetUserRequest { account: None, name: text("ANA") }.target().unwrap();
    let place = Place {
        partition: "aws".parse().unwrap(),
        account: OWN.parse().unwrap(),
        region: "eu-central-1",
        hub: HubId(Uuid::nil()),
        cluster: None,
        stored: Some(("/team/", "ana")),
        entry: None,
        identity_provider: None,
    };
    assert_eq!(target.arn(&place), format!("arn:aws:iam::{OWN}:user/team/ana"));
}

#[test]
fn an_entry_that_does_not_exist_is_any_entry_of_its_principal() {
    let request = |principal_arn: &str| mapping::DeleteAccessEntryRequest {
        cluster: text("dev"),
        principal_arn: text(principal_arn),
        ..Default::default()
    };
    let place = Place {
        partition: "aws".parse().unwrap(),
        account: OWN.parse().unwrap(),
        region: "eu-central-1",
        hub: HubId(Uuid::nil()),
        cluster: None,
        stored: None,
        entry: None,
        identity_provider: None,
    };
    for (principal_arn, part) in [(ROLE, format!("role/{OTHER}/Dev")), ("x", text("none"))] {
        let expected = format!("arn:aws:eks:eu-central-1:{OWN}:access-entry/dev/{part}/*");
        assert_eq!(request(principal_arn).target().unwrap().arn(&place), expected);
    }
}

#[test]
fn an_account_that_is_named_is_that_account() {
    let named = |account: Option<&str>| {
        authn::GetUserRequest { account: account.map(text), name: text("ana") }
            .target()
            .map(|target| target.account)
    };
    assert_eq!(named(None), Ok(AccountRef::Own));
    assert_eq!(named(Some(OTHER)), Ok(AccountRef::Named(OTHER.parse().unwrap())));
    assert!(named(Some("1")).is_err());
    let role = credentials::AssumeRoleRequest { role_arn: text(ROLE), ..Default::default() };
    assert_eq!(role.target().unwrap().account, AccountRef::Named(OTHER.parse().unwrap()));
    let block = mapping::ListBlocksRequest { scope: format!("account/{OTHER}"), page: None };
    assert_eq!(block.target().unwrap().account, AccountRef::Named(OTHER.parse().unwrap()));
}

fn keys(request: &impl Targeted) -> String {
    let keys = request.target().unwrap().keys;
    keys.iter().map(|(name, values)| format!("{name}={}", values.join(","))).collect::<Vec<_>>().join(" ")
}

#[test]
fn requests_give_the_condition_keys_of_aws() {
    let tags = || [(text("team"), text("a")), (text("cost"), text("b"))].into();
    let create_entry = mapping::CreateAccessEntryRequest {
        cluster: text("dev"),
        principal_arn: text(ROLE),
        entry_type: mapping::EntryType::Ec2Linux.into(),
        username: Some(text("ana")),
        groups: vec![text("devs"), text("ops")],
        tags: tags(),
        ..Default::default()
    };
    let update_entry = mapping::UpdateAccessEntryRequest {
        cluster: text("dev"),
        principal_arn: text(ROLE),
        groups: Some(call::Strings { values: vec![text("devs")] }),
        ..Default::default()
    };
    let associate = |scope| mapping::AssociateAccessPolicyRequest {
        cluster: text("dev"),
        principal_arn: text("p"),
        policy_arn: text("view"),
        scope: Some(mapping::AccessScope { scope: Some(scope) }),
        ..Default::default()
    };
    let namespaces = mapping::access_scope::Namespaces { names: vec![text("a"), text("b-*")] };
    let create_cluster = mapping::CreateClusterRequest {
        name: text("dev"),
        authentication_mode: mapping::AuthenticationMode::ApiAndConfigMap.into(),
        ..Default::default()
    };
    let assume_role = credentials::AssumeRoleRequest {
        role_arn: text(ROLE),
        session_name: text("ana"),
        external_id: Some(text("x")),
        transitive_tag_keys: vec![text("team")],
        ..Default::default()
    };
    let cases = [
        (
            keys(&create_entry),
            format!(
                "aws:RequestTag/cost=b aws:RequestTag/team=a aws:TagKeys=cost,team eks:principalArn={ROLE} \
                 eks:kubernetesGroups=devs,ops eks:username=ana eks:accessEntryType=EC2_LINUX"
            ),
        ),
        (
            keys(&mapping::CreateAccessEntryRequest { cluster: text("dev"), ..Default::default() }),
            text("eks:principalArn= eks:accessEntryType=STANDARD"),
        ),
        (keys(&update_entry), format!("eks:principalArn={ROLE} eks:kubernetesGroups=devs")),
        (
            keys(&associate(mapping::access_scope::Scope::Namespaces(namespaces))),
            text("eks:principalArn=p eks:policyArn=view eks:accessScope=namespace eks:namespaces=a,b-*"),
        ),
        (
            keys(&associate(mapping::access_scope::Scope::Cluster(()))),
            text("eks:principalArn=p eks:policyArn=view eks:accessScope=cluster"),
        ),
        (
            keys(&mapping::CreateAccessEntryRequest {
                cluster: text("dev"),
                principal_arn: text("arn:aws:iam::444455556666:role/dev-*"),
                ..Default::default()
            }),
            text("lanyard:principals=arn:aws:iam::444455556666:role/dev-* eks:accessEntryType=STANDARD"),
        ),
        (
            keys(&create_cluster),
            text(
                "eks:bootstrapClusterCreatorAdminPermissions=true eks:authenticationMode=API_AND_CONFIG_MAP",
            ),
        ),
        (keys(&assume_role), text("sts:RoleSessionName=ana sts:TransitiveTagKeys=team sts:ExternalId=x")),
        (
            keys(&credentials::UntagResourceRequest {
                resource_arn: text("arn:aws:eks:us-west-2:111122223333:cluster/dev"),
                tag_keys: vec![text("team"), text("cost")],
                ..Default::default()
            }),
            text("aws:TagKeys=team,cost"),
        ),
        (
            keys(&authn::CreateUserRequest { tags: tags(), ..Default::default() }),
            text("aws:RequestTag/cost=b aws:RequestTag/team=a aws:TagKeys=cost,team"),
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
}

#[test]
fn what_is_made_with_tags_needs_what_tags_it_beside() {
    macro_rules! beside {
        ($request:expr) => {{
            let (mut tagged, bare) = ($request, $request);
            tagged.tags = [(text("team"), text("a"))].into();
            assert_eq!(bare.target().unwrap().beside, Vec::<&str>::new());
            tagged.target().unwrap().beside
        }};
    }
    let dev = || text("dev");
    assert_eq!(beside!(authn::CreateUserRequest::default()), ["iam:TagUser"]);
    assert_eq!(beside!(authn::CreateRoleRequest::default()), ["iam:TagRole"]);
    assert_eq!(beside!(authn::CreateInstanceProfileRequest::default()), ["iam:TagInstanceProfile"]);
    assert_eq!(beside!(authn::CreateOidcProviderRequest::default()), ["iam:TagOpenIDConnectProvider"]);
    assert_eq!(beside!(mapping::CreateClusterRequest::default()), ["eks:TagResource"]);
    assert_eq!(
        beside!(mapping::CreateAccessEntryRequest { cluster: dev(), ..Default::default() }),
        ["eks:TagResource"]
    );
    assert_eq!(
        beside!(credentials::CreatePodIdentityAssociationRequest { cluster: dev(), ..Default::default() }),
        ["eks:TagResource"]
    );
    let tags = || [(text("team"), text("a"))].into();
    let settings = mapping::IdentityProviderSettings { tags: tags(), ..Default::default() };
    let associate = mapping::AssociateIdentityProviderConfigRequest {
        cluster: dev(),
        settings: Some(settings),
        ..Default::default()
    };
    assert_eq!(associate.target().unwrap().beside, ["eks:TagResource"]);
    // A cluster's tags are changed as a whole over gRPC: what is not among them goes.
    let update = |tags: Option<call::Tags>| {
        let update = mapping::UpdateClusterConfigRequest { cluster: dev(), tags, ..Default::default() };
        update.target().unwrap().beside
    };
    assert_eq!(update(None), Vec::<&str>::new());
    assert_eq!(update(Some(call::Tags { tags: tags() })), ["eks:TagResource", "eks:UntagResource"]);
    assert_eq!(update(Some(call::Tags::default())), ["eks:UntagResource"]);
}

#[test]
fn a_part_of_a_cluster_gets_its_tags_by_its_own_arn_without_a_number() {
    let dev = cluster();
    let (id, principal) = (EntryId(Uuid::from_u128(3)), EntryPrincipal::parse(ROLE).unwrap());
    let place = Place {
        partition: "aws".parse().unwrap(),
        account: OWN.parse().unwrap(),
        region: "eu-central-1",
        hub: HubId(Uuid::from_u128(2)),
        cluster: Some(&dev),
        stored: None,
        entry: Some((id, &principal)),
        identity_provider: Some(IdentityProviderConfigId(Uuid::from_u128(4))),
    };
    let made = |request: &dyn Targeted| request.target().unwrap().made_arn(&place);
    let entry = |principal_arn: &str| mapping::CreateAccessEntryRequest {
        cluster: text("dev-7"),
        principal_arn: text(principal_arn),
        ..Default::default()
    };
    let settings = mapping::IdentityProviderSettings { name: text("okta"), ..Default::default() };
    let associate = mapping::AssociateIdentityProviderConfigRequest {
        cluster: text("dev-7"),
        settings: Some(settings),
        ..Default::default()
    };
    let association =
        credentials::CreatePodIdentityAssociationRequest { cluster: text("dev-7"), ..Default::default() };
    let part = |rest: &str| Some(format!("arn:aws:eks:us-west-2:{OWN}:{rest}"));
    assert_eq!(made(&entry(ROLE)), part(&format!("access-entry/dev/role/{OTHER}/Dev/*")));
    assert_eq!(made(&entry(PERMISSION_SET)), part(&format!("access-entry/dev/permission-set/{OTHER}/Dev/*")));
    assert_eq!(made(&associate), part("identityproviderconfig/dev/oidc/okta/*"));
    assert_eq!(made(&association), part("podidentityassociation/dev/*"));
    assert_eq!(made(&mapping::CreateClusterRequest::default()), None);
}

#[test]
fn a_role_that_is_handed_on_is_told_with_the_service_that_gets_it() {
    let passed = |request: &dyn Targeted| request.target().unwrap().passes;
    let (cluster, id) = (|| text("dev"), || text("a-0123456789abcdefg"));
    let create = credentials::CreatePodIdentityAssociationRequest {
        cluster: cluster(),
        role_arn: text(ROLE),
        ..Default::default()
    };
    let update = |role_arn: Option<&str>| credentials::UpdatePodIdentityAssociationRequest {
        cluster: cluster(),
        association_id: id(),
        role_arn: role_arn.map(text),
        ..Default::default()
    };
    let entry = |kind: mapping::EntryType| mapping::CreateAccessEntryRequest {
        cluster: cluster(),
        principal_arn: text(ROLE),
        entry_type: kind.into(),
        ..Default::default()
    };
    let to = |service| Some(PassedRole { role: PassedRoleName::Arn(text(ROLE)), service });
    let pods = to(Some("pods.eks.amazonaws.com"));
    assert_eq!(
        (passed(&create), passed(&update(Some(ROLE))), passed(&update(None))),
        (pods.clone(), pods, None)
    );
    assert_eq!(passed(&entry(mapping::EntryType::Ec2Linux)), to(None));
    assert_eq!(passed(&entry(mapping::EntryType::Ec2Windows)), to(None));
    assert_eq!(passed(&entry(mapping::EntryType::Standard)), None);
    let profile = authn::AddRoleToInstanceProfileRequest { role: text("node"), ..Default::default() };
    let node =
        PassedRole { role: PassedRoleName::OfAccount(text("node")), service: Some("ec2.amazonaws.com") };
    assert_eq!(passed(&profile), Some(node));
}

#[test]
fn a_request_that_does_not_say_what_it_is_about_is_refused_by_field() {
    let field = |request: &dyn Targeted| match request.target() {
        Err(CallError::Invalid { field, .. }) => field.into_owned(),
        other => panic!("{other:?}"),
    };
    let review = |uid: &str| authz::Review { cluster_uid: text(uid), ..Default::default() };
    let reviews = [review("a"), review("b")].into_iter().collect();
    let two_clusters = authz::AuthorizeBatchRequest { reviews, user: None };
    let user = credentials::AssumeRoleRequest {
        role_arn: format!("arn:aws:iam::{OWN}:user/a"),
        ..Default::default()
    };
    let wrong_type =
        mapping::CreateAccessEntryRequest { cluster: text("dev"), entry_type: 99, ..Default::default() };
    let bad_id = credentials::DeletePodIdentityAssociationRequest {
        cluster: text("dev"),
        association_id: text("a-1"),
        ..Default::default()
    };
    let cases: [(&dyn Targeted, &str); 10] = [
        (&bad_id, "association_id"),
        (&mapping::DescribeClusterRequest { cluster: text("a/b") }, "cluster"),
        (&mapping::PreviewRequest::default(), "cluster_uid"),
        (&mapping::ListBlocksRequest::default(), "scope"),
        (&mapping::AssociateAccessPolicyRequest { cluster: text("dev"), ..Default::default() }, "scope"),
        (&wrong_type, "entry_type"),
        (&authz::AuthorizeBatchRequest::default(), "reviews"),
        (&two_clusters, "reviews"),
        (&user, "role_arn"),
        (&gateway::ExplainDecisionRequest::default(), "id"),
    ];
    for (request, expected) in cases {
        assert_eq!(field(request), expected);
    }
}
