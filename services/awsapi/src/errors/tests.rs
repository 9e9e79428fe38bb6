use lanyard_api::aws_wire::{HttpCall, find};

use super::*;

fn found(path: &str) -> Found<'_> {
    find(Service::Eks, &HttpCall { method: "GET", path, query: "", body: b"" }).unwrap()
}

fn shown(error: &AwsError) -> (&str, u16, &str) {
    (&error.code, error.status, &error.message)
}

#[test]
fn who_is_not_proven_is_told_in_the_codes_of_the_service_that_was_signed_for() {
    let cases = [
        ("unsigned", "MissingAuthenticationTokenException", "MissingAuthenticationToken", 403),
        ("unknown_key", "UnrecognizedClientException", "InvalidClientTokenId", 403),
        ("inactive_key", "UnrecognizedClientException", "InvalidClientTokenId", 403),
        ("session_token_missing", "UnrecognizedClientException", "InvalidClientTokenId", 403),
        ("session_revoked", "UnrecognizedClientException", "InvalidClientTokenId", 403),
        ("session_expired", "ExpiredTokenException", "ExpiredToken", 403),
        ("signature_mismatch", "InvalidSignatureException", "SignatureDoesNotMatch", 403),
        ("signature_too_old", "InvalidSignatureException", "SignatureDoesNotMatch", 403),
        ("scope_region", "InvalidSignatureException", "SignatureDoesNotMatch", 403),
        ("header_encoding", "InvalidSignatureException", "SignatureDoesNotMatch", 403),
        ("unsigned_payload", "InvalidSignatureException", "SignatureDoesNotMatch", 403),
        ("malformed_credential", "IncompleteSignatureException", "IncompleteSignature", 400),
        ("date_missing", "IncompleteSignatureException", "IncompleteSignature", 400),
    ];
    for (code, rest, query, status) in cases {
        let denial = Denial { code: code.into(), message: "why".to_owned() };
        let eks = unauthenticated(Some(Service::Eks), &denial);
        let sts = unauthenticated(Some(Service::Sts), &denial);
        assert_eq!((&*eks.code, eks.status), (rest, status), "{code}");
        assert_eq!((&*sts.code, sts.status), (query, status), "{code}");
    }
    let stranger = Denial { code: "inactive_key".into(), message: "it is switched off".to_owned() };
    let told = unauthenticated(Some(Service::Eks), &stranger);
    assert_eq!(told.message, BAD_KEY, "a stranger hears nothing of the key's state");
}

#[test]
fn a_body_that_is_not_there_is_the_senders_fault_unless_there_is_no_room() {
    let too_long = BodyError::TooLong { bytes_max: 7 };
    let too_slow = BodyError::TooSlow { limit: std::time::Duration::from_secs(10) };
    let cases = [
        (too_long, "RequestEntityTooLargeException", "RequestEntityTooLarge", (413, 413)),
        (BodyError::Incomplete, "IncompleteBody", "IncompleteBody", (400, 400)),
        (too_slow, "RequestTimeoutException", "RequestTimeout", (408, 408)),
        (BodyError::NoRoom, "ThrottlingException", "Throttling", (429, 400)),
        (BodyError::Crowded, "ThrottlingException", "Throttling", (429, 400)),
    ];
    for (why, rest, query, (of_rest, of_query)) in cases {
        for (service, code, status) in [
            (None, rest, of_rest),
            (Some(Service::Eks), rest, of_rest),
            (Some(Service::Sts), query, of_query),
            (Some(Service::Iam), query, of_query),
        ] {
            let told = unread(service, &why);
            assert_eq!((&*told.code, told.status), (code, status), "{why:?}");
        }
    }
    assert_eq!(
        unread(None, &too_slow).message,
        "the body has not come whole within 10s; send the request again"
    );
    assert!(!unread(None, &BodyError::Crowded).message.contains("large"), "small ones are told it too");
}

#[test]
fn the_texts_that_clients_match_on_are_eks_own() {
    let invalid = |rule: Rule| CallError::invalid("field", rule.code(), "ours");
    let state = |rule: Rule| CallError::precondition(rule.code(), "ours");
    use lanyard_api::mapping::Rule;
    let cases = [
        (
            CallError::not_found("cluster", "dev-7"),
            "ResourceNotFoundException",
            404,
            "No cluster found for name: dev.",
        ),
        (
            CallError::not_found("access entry", "x"),
            "ResourceNotFoundException",
            404,
            "The specified principalArn could not be found.",
        ),
        (
            CallError::exists("access entry", "x"),
            "ResourceInUseException",
            409,
            "The specified access entry resource is already in use on this cluster.",
        ),
        (
            CallError::exists("cluster", "dev"),
            "ResourceInUseException",
            409,
            "Cluster already exists with name: dev",
        ),
        (
            invalid(Rule::PrincipalInvalid),
            "InvalidParameterException",
            400,
            "The specified principalArn is invalid: invalid principal.",
        ),
        (
            CallError::not_found("access policy", "x"),
            "ResourceNotFoundException",
            404,
            "The specified policyArn could not be found.",
        ),
        (
            invalid(Rule::PolicyServiceLinked),
            "InvalidParameterException",
            400,
            "The specified policyArn can only be associated with service-linked roles",
        ),
        (
            state(Rule::NotStandard),
            "InvalidParameterException",
            400,
            "This operation can only be performed on Access Entries with a type of \"STANDARD\".",
        ),
        (
            CallError::invalid(
                "groups",
                Rule::GroupReserved.code(),
                "the kubernetes group name system:masters is invalid, it cannot start with system:",
            ),
            "InvalidParameterException",
            400,
            "The kubernetes group name system:masters is invalid, it cannot start with system:",
        ),
        (
            state(Rule::AuthenticationMode),
            "InvalidRequestException",
            400,
            "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.",
        ),
        (
            invalid(Rule::BootstrapRequired),
            "InvalidParameterException",
            400,
            "bootstrapClusterCreatorAdminPermissions must be true if cluster authentication mode is set to CONFIG_MAP",
        ),
        (
            CallError::precondition("lockout", "the lockout guard: nobody could log in"),
            "InvalidRequestException",
            400,
            "the lockout guard: nobody could log in (AssociateAccessPolicy of AmazonEKSClusterAdminPolicy, of the scope `cluster`, makes \
             one; TagResource of the cluster with `lanyard:allow-lockout` = `true` allows it)",
        ),
        (invalid(Rule::Tags), "InvalidParameterException", 400, "field: ours"),
        (
            CallError::invalid(
                "authentication_mode",
                Rule::ModeTransition.code(),
                "unsupported authentication mode update from API to CONFIG_MAP: it goes forward",
            ),
            "InvalidParameterException",
            400,
            "Unsupported authentication mode update from API to CONFIG_MAP",
        ),
        (
            CallError::exists("Pod Identity association", "a-0123456789abcdefg"),
            "ResourceInUseException",
            409,
            "Association already exists: a-0123456789abcdefg",
        ),
        (
            CallError::invalid("role_arn", "role_missing", "ours"),
            "InvalidParameterException",
            400,
            "Role provided in the request does not exist (roleArn: ours)",
        ),
        (
            CallError::invalid("role_arn", "role_trust", "ours"),
            "InvalidParameterException",
            400,
            "Trust policy of the role provided is invalid (roleArn: ours)",
        ),
        (
            CallError::invalid("role_arn", "aws_external_id_missing", "ours"),
            "InvalidParameterException",
            400,
            "Trust policy of the role provided is invalid (roleArn: ours)",
        ),
        (
            CallError::precondition("idempotent_parameter_mismatch", "another request"),
            "InvalidRequestException",
            400,
            "another request",
        ),
        (
            CallError::precondition("request_token_used_up", "told once"),
            "InvalidRequestException",
            400,
            "told once",
        ),
        (
            CallError::not_found("identity-provider configuration", "okta"),
            "ResourceNotFoundException",
            404,
            "identity-provider configuration `okta` does not exist",
        ),
    ];
    let found = found("/clusters/dev");
    for (error, code, status, text) in cases {
        let made = failed(&found, &error);
        let (made_code, made_status, message) = shown(&made);
        assert_eq!((made_code, made_status), (code, status), "{error}");
        assert!(message.starts_with(text), "{error}: {message}");
    }
}

#[test]
fn who_disassociates_what_is_not_associated_is_told_so_in_the_words_that_clients_look_for() {
    let path = "/clusters/dev/identity-provider-configs/disassociate";
    let found = find(Service::Eks, &HttpCall { method: "POST", path, query: "", body: b"" }).unwrap();
    let error = failed(&found, &CallError::not_found("identity-provider configuration", "okta"));
    let (code, status, message) = shown(&error);
    assert_eq!((code, status), ("InvalidRequestException", 400));
    assert!(message.starts_with("Identity provider config is not associated with cluster"), "{message}");
    assert_eq!(failed(&found, &CallError::not_found("cluster", "dev-7")).code, "ResourceNotFoundException");
}

#[test]
fn the_operations_on_tags_have_two_errors_of_their_own() {
    let found = found("/tags/arn%3Aaws%3Aeks%3Aeu-west-1%3A111122223333%3Acluster%2Fdev");
    for missing in [CallError::not_found("resource", "x"), CallError::not_found("cluster", "dev")] {
        let error = failed(&found, &missing);
        assert_eq!((&*error.code, error.status), ("NotFoundException", 404), "{missing}");
        assert!(error.message.contains("does not exist"), "{error}");
    }
    let broken = [
        CallError::invalid("tags", "tags", "a resource has at most 50 tags, these are 51"),
        CallError::precondition("idempotent_parameter_mismatch", "another request"),
    ];
    for broken in broken {
        let error = failed(&found, &broken);
        assert_eq!((&*error.code, error.status), ("BadRequestException", 400), "{broken}");
    }
    let denial = |code: &'static str| Denial { code: code.into(), message: "why".to_owned() };
    assert_eq!(shown(&forbidden(&found, &denial(UNKNOWN_CLUSTER))), ("NotFoundException", 404, "why"));
    assert_eq!(shown(&forbidden(&found, &denial(INVALID_REQUEST))), ("BadRequestException", 400, "why"));
    let unavailable = Fault::Unavailable { part: "the store".into(), detail: "away".into() };
    assert_eq!(failed(&found, &CallError::Fault(unavailable)).status, 503, "a fault is none of both");
    assert_eq!(failed(&found, &CallError::Replayed).status, 429);
}

#[test]
fn a_fault_is_no_refusal_and_says_that_trying_again_may_help() {
    let found = found("/clusters/dev");
    let fault = |fault: Fault| failed(&found, &CallError::Fault(fault));
    let unavailable = Fault::Unavailable { part: "the store".into(), detail: "away".into() };
    assert_eq!(shown(&fault(unavailable.clone())).1, 503);
    assert_eq!(shown(&fault(Fault::Throttled { part: "x".into(), retry_after: None })).1, 429);
    assert_eq!(shown(&fault(Fault::Internal)).1, 500);
    assert!(!fault(Fault::Internal).message.is_empty());
    let replayed = failed(&found, &CallError::Replayed);
    assert_eq!((&*replayed.code, replayed.status), ("ThrottlingException", 429));
    assert_eq!(no_answer(Some(Service::Sts), &unavailable).code, "ServiceUnavailable");
    assert_eq!(no_answer(Some(Service::Iam), &Fault::Internal).code, "InternalFailure");
    let throttled = no_answer(Some(Service::Sts), &Fault::Throttled { part: "x".into(), retry_after: None });
    assert_eq!((&*throttled.code, throttled.status), ("Throttling", 400));
}

#[test]
fn who_may_not_is_told_so_and_who_names_no_cluster_that() {
    let found = found("/clusters/dev/access-entries");
    let denial = |code: &'static str| Denial { code: code.into(), message: "why".to_owned() };
    let error = forbidden(&found, &denial("implicit_deny"));
    assert_eq!((&*error.code, error.status), ("AccessDeniedException", 403));
    assert!(error.message.contains("is not authorized to perform: eks:ListAccessEntries"), "{error}");
    let error = forbidden(&found, &denial(UNKNOWN_CLUSTER));
    assert_eq!(shown(&error), ("ResourceNotFoundException", 404, "No cluster found for name: dev."));
    assert_eq!(forbidden(&found, &denial(INVALID_REQUEST)).code, "InvalidParameterException");
}

#[test]
fn a_refusal_in_awss_words_stays_as_it_is() {
    let found = found("/clusters/dev/access-entries");
    let message = "User: arn:aws:iam::111122223333:user/ana is not authorized to perform: eks:ListAccessEntries on \
                   resource: arn:aws:eks:eu-west-1:111122223333:cluster/dev because no identity-based policy allows the \
                   eks:ListAccessEntries action";
    let denial = Denial { code: "implicit_deny".into(), message: message.to_owned() };
    assert_eq!(shown(&forbidden(&found, &denial)), ("AccessDeniedException", 403, message));
}

#[test]
fn a_limit_is_an_error_that_the_operations_model_has() {
    let limit = || CallError::LimitExceeded { what: "things of one cluster".into(), limit: 1 };
    let of = |method: &str, path: &str| {
        let call = HttpCall { method, path, query: "", body: b"" };
        let found = find(Service::Eks, &call).unwrap();
        let made = failed(&found, &limit());
        let (code, status, message) = shown(&made);
        assert_eq!((status, message), (400, "the limit for things of one cluster is 1"));
        code.to_owned()
    };
    assert_eq!(of("POST", "/clusters/dev/access-entries"), "ResourceLimitExceededException");
    assert_eq!(of("POST", "/clusters/dev/pod-identity-associations"), "ResourceLimitExceededException");
    assert_eq!(of("POST", "/clusters/dev/identity-provider-configs/associate"), "InvalidRequestException");
}

#[test]
fn a_member_is_named_as_the_client_wrote_it() {
    let cases = [
        ("POST", "/clusters/dev/pod-identity-associations", "service_account", "serviceAccount"),
        ("POST", "/clusters/dev/pod-identity-associations", "target_role_arn", "targetRoleArn"),
        ("POST", "/clusters/dev/access-entries", "groups", "kubernetesGroups"),
        ("POST", "/clusters/dev/access-entries", "entry_type", "type"),
        (
            "POST",
            "/clusters/dev/identity-provider-configs/associate",
            "name",
            "oidc.identityProviderConfigName",
        ),
        (
            "POST",
            "/clusters/dev/identity-provider-configs/associate",
            "required_claims",
            "oidc.requiredClaims",
        ),
        ("POST", "/clusters/dev/identity-provider-configs/associate", "tags", "tags"),
        ("POST", "/clusters/dev/update-config", "authentication_mode", "accessConfig.authenticationMode"),
        ("GET", "/clusters/dev/pod-identity-associations/a-1", "association_id", "associationId"),
    ];
    for (method, path, field, name) in cases {
        let found = find(Service::Eks, &HttpCall { method, path, query: "", body: b"" }).unwrap();
        let error = failed(&found, &CallError::invalid(field, "any", "it does not do: see there"));
        assert_eq!(error.message, format!("{name}: it does not do: see there"), "{path}");
        let denial = Denial { code: INVALID_REQUEST.into(), message: format!("{field}: `x` does not do") };
        assert_eq!(forbidden(&found, &denial).message, format!("{name}: `x` does not do"), "{path}");
    }
}

#[test]
fn a_parameter_is_named_as_the_client_wrote_it() {
    for (service, operation, field, name) in [
        (Service::Sts, "AssumeRole", "session_name", "RoleSessionName"),
        (Service::Sts, "AssumeRole", "duration_seconds", "DurationSeconds"),
        (Service::Sts, "AssumeRole", "session_policy", "Policy"),
        (Service::Iam, "CreateRole", "trust_policy", "AssumeRolePolicyDocument"),
        (Service::Iam, "UpdateAssumeRolePolicy", "trust_policy", "PolicyDocument"),
        (Service::Iam, "CreateRole", "session_seconds_max", "MaxSessionDuration"),
        (Service::Iam, "CreateUser", "path", "Path"),
        (Service::Iam, "CreateUser", "name", "UserName"),
        (Service::Iam, "CreateRole", "name", "RoleName"),
        (Service::Iam, "PutRolePolicy", "name", "PolicyName"),
        (Service::Iam, "CreateInstanceProfile", "name", "InstanceProfileName"),
    ] {
        let error = query_failed(service, operation, &CallError::invalid(field, "any", "it does not do"));
        assert_eq!((&*error.code, error.status), ("ValidationError", 400), "{field}");
        assert_eq!(error.message, format!("{name}: it does not do"));
    }
}

#[test]
fn what_is_in_the_way_has_the_error_that_the_operations_model_has() {
    let cases = [
        ("DeleteUser", "DeleteConflict", 409),
        ("DeleteRole", "DeleteConflict", 409),
        ("DeleteInstanceProfile", "DeleteConflict", 409),
        ("PutRolePolicy", "UnmodifiableEntity", 400),
        ("DeleteRolePolicy", "UnmodifiableEntity", 400),
        ("UpdateAssumeRolePolicy", "UnmodifiableEntity", 400),
        ("UpdateAccessKey", "ValidationError", 400),
        ("PutUserPolicy", "ValidationError", 400),
    ];
    for (operation, code, status) in cases {
        let lockout = CallError::precondition("lockout", "nobody could log in");
        let error = query_failed(Service::Iam, operation, &lockout);
        assert_eq!((&*error.code, error.status), (code, status), "{operation}");
    }
    for operation in ["CreateOpenIDConnectProvider", "AddClientIDToOpenIDConnectProvider"] {
        let taken = CallError::precondition("audience_taken", "people log in by it");
        let error = query_failed(Service::Iam, operation, &taken);
        assert_eq!((&*error.code, error.status), ("InvalidInput", 400), "{operation}");
    }
}

#[test]
fn who_would_lock_a_cluster_out_by_iam_is_told_of_its_tag_too() {
    let call = HttpCall {
        method: "POST",
        path: "/",
        query: "",
        body: b"Action=DeleteRolePolicy&Version=2010-05-08&RoleName=r&PolicyName=p",
    };
    let found = find(Service::Iam, &call).unwrap();
    let error = failed(&found, &CallError::precondition("lockout", "nobody could log in"));
    assert_eq!(&*error.code, "UnmodifiableEntity");
    assert!(error.message.starts_with("nobody could log in ("), "{error}");
    assert!(error.message.contains("`lanyard:allow-lockout` = `true`"), "{error}");
    let other = failed(&found, &CallError::precondition("in_use", "it is in use"));
    assert_eq!(other.message, "it is in use");
}
