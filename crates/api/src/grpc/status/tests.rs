use proptest::prelude::*;

use super::*;

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,80}"
}

fn cow() -> impl Strategy<Value = Cow<'static, str>> {
    text().prop_map(Cow::Owned)
}

fn code() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["reserved_group", "lockout", "unavailable", "denied"])
}

fn duration() -> impl Strategy<Value = Duration> {
    (any::<u64>(), 0_u32..1_000_000_000).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos))
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        (cow(), cow()).prop_map(|(part, detail)| Fault::Unavailable { part, detail }),
        (cow(), prop::option::of(duration()))
            .prop_map(|(part, retry_after)| Fault::Throttled { part, retry_after }),
        (cow(), duration()).prop_map(|(part, limit)| Fault::TimedOut { part, limit }),
        (cow(), duration(), duration()).prop_map(|(part, age, limit)| Fault::Stale { part, age, limit }),
        Just(Fault::Internal),
    ]
}

fn call_error() -> impl Strategy<Value = CallError> {
    prop_oneof![
        (cow(), text()).prop_map(|(kind, name)| CallError::NotFound { kind, name }),
        (cow(), text()).prop_map(|(kind, name)| CallError::AlreadyExists { kind, name }),
        (cow(), code(), text()).prop_map(|(field, rule, message)| CallError::Invalid {
            field,
            rule,
            message
        }),
        (code(), text()).prop_map(|(rule, message)| CallError::Precondition { rule, message }),
        (cow(), any::<u64>()).prop_map(|(what, limit)| CallError::LimitExceeded { what, limit }),
        (code(), text()).prop_map(|(code, message)| CallError::Denied(Denial { code: code.into(), message })),
        Just(CallError::Replayed),
        fault().prop_map(CallError::Fault),
    ]
}

/// What a client gets of a status that went through headers.
fn over_the_wire(status: Status) -> Status {
    let mut headers = tonic::codegen::http::HeaderMap::new();
    status.add_header(&mut headers).unwrap();
    Status::from_header_map(&headers).unwrap()
}

proptest! {
    #[test]
    fn a_fault_reads_back_as_it_was(fault in fault()) {
        prop_assert_eq!(Fault::from(over_the_wire(fault.clone().into())), fault);
    }

    #[test]
    fn an_error_of_a_call_reads_back_as_it_was(error in call_error()) {
        prop_assert_eq!(CallError::from(over_the_wire(error.clone().into())), error);
    }
}

#[test]
fn a_status_of_any_length_fits_into_headers() {
    for text in ["x", "%", "é", "\u{1F574}"].map(|text| text.repeat(8000)) {
        let errors = [
            CallError::Invalid { field: text.clone().into(), rule: "lockout", message: text.clone() },
            CallError::NotFound { kind: text.clone().into(), name: text.clone() },
            CallError::Denied(Denial { code: text.clone().into(), message: text.clone() }),
            CallError::Precondition { rule: "lockout", message: text.clone() },
            CallError::LimitExceeded { what: text.clone().into(), limit: 1 },
            Fault::Unavailable { part: text.clone().into(), detail: text.into() }.into(),
        ];
        for error in errors {
            let mut headers = tonic::codegen::http::HeaderMap::new();
            Status::from(error).add_header(&mut headers).unwrap();
            let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
            assert!(bytes < 10 * 1024, "{bytes}");
        }
    }
}

#[test]
fn every_error_has_its_code_and_reason() {
    let text = |text: &'static str| Cow::Borrowed(text);
    let denial = |code| Denial { code: text(code), message: "no".to_owned() };
    let second = Duration::from_secs(1);
    let cases: [(Status, Code, &str); 17] = [
        (Fault::Unavailable { part: text("p"), detail: text("d") }.into(), Code::Unavailable, "unavailable"),
        (Fault::Stale { part: text("p"), age: second, limit: second }.into(), Code::Unavailable, "stale"),
        (
            Fault::Throttled { part: text("p"), retry_after: Some(second) }.into(),
            Code::ResourceExhausted,
            "throttled",
        ),
        (Fault::TimedOut { part: text("p"), limit: second }.into(), Code::DeadlineExceeded, "timed_out"),
        (Fault::Internal.into(), Code::Internal, "internal"),
        (CallError::not_found("cluster", "dev").into(), Code::NotFound, "not_found"),
        (CallError::exists("cluster", "dev").into(), Code::AlreadyExists, "already_exists"),
        (
            CallError::invalid("groups", "reserved_group", "no").into(),
            Code::InvalidArgument,
            "reserved_group",
        ),
        (CallError::precondition("lockout", "no").into(), Code::FailedPrecondition, "lockout"),
        (
            CallError::LimitExceeded { what: text("keys"), limit: 2 }.into(),
            Code::ResourceExhausted,
            "limit_exceeded",
        ),
        (CallError::Denied(denial("implicit_deny")).into(), Code::PermissionDenied, "implicit_deny"),
        (CallError::Replayed.into(), Code::Aborted, "replayed"),
        (unauthenticated(&denial("signature")), Code::Unauthenticated, "signature"),
        (forbidden(&denial("explicit_deny")), Code::PermissionDenied, "explicit_deny"),
        (forbidden(&denial(methods::INVALID_REQUEST)), Code::InvalidArgument, methods::INVALID_REQUEST),
        (unsupported(&denial("compressed")), Code::Unimplemented, "compressed"),
        (forbidden(&denial(methods::UNKNOWN_METHOD)), Code::Unimplemented, methods::UNKNOWN_METHOD),
    ];
    for (status, code, reason) in cases {
        let info = status.get_details_error_info().unwrap();
        assert_eq!((status.code(), &*info.reason, &*info.domain), (code, reason, ERROR_DOMAIN));
    }
}

#[test]
fn a_wrong_field_and_the_time_to_wait_stand_in_the_standard_details() {
    let status = Status::from(CallError::invalid("groups", "reserved_group", "`system:x` is reserved"));
    let violation = status.get_details_bad_request().unwrap().field_violations.remove(0);
    assert_eq!((&*violation.field, &*violation.description), ("groups", "`system:x` is reserved"));
    let wait = Duration::from_secs(3);
    let status = Status::from(Fault::Throttled { part: "STS".into(), retry_after: Some(wait) });
    assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(wait));
}

#[test]
fn a_state_in_the_way_and_a_limit_stand_in_the_standard_details() {
    let status = Status::from(CallError::precondition("lockout", "nobody could log in"));
    let violation = status.get_details_precondition_failure().unwrap().violations.remove(0);
    assert_eq!((&*violation.r#type, &*violation.description), ("lockout", "nobody could log in"));
    let status = Status::from(CallError::LimitExceeded { what: "keys of one user".into(), limit: 2 });
    let violation = status.get_details_quota_failure().unwrap().violations.remove(0);
    assert_eq!(
        (&*violation.subject, &*violation.description),
        ("keys of one user", "the limit for keys of one user is 2")
    );
}

#[test]
fn immunity_14_a_foreign_status_is_never_a_refusal_by_lanyard_nor_a_missing_object() {
    let codes = [
        (Code::Unavailable, "unavailable"),
        (Code::DeadlineExceeded, "unavailable"),
        (Code::ResourceExhausted, "throttled"),
        (Code::NotFound, "internal"),
        (Code::InvalidArgument, "internal"),
        (Code::Unknown, "internal"),
    ];
    for (code, fault) in codes {
        assert_eq!(Fault::from(Status::new(code, "from a proxy at 10.0.0.1")).code(), fault, "{code:?}");
    }
    // What the transport makes of a connection that broke in the middle of an answer.
    let broken = Status::from_error(Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
    assert_eq!((broken.code(), Fault::from(broken.clone()).code()), (Code::Unknown, "unavailable"));
    let denied = CallError::from(Status::permission_denied("RBAC: access denied by 10.0.0.1"));
    assert!(matches!(&denied, CallError::Denied(denial) if denial.code == "refused_on_the_way"), "{denied}");
    assert!(!denied.to_string().contains("10.0.0.1"));
}

#[test]
fn rules_from_the_wire_are_kept_within_bounds() {
    assert_eq!(rule("reserved_group"), "reserved_group");
    assert_eq!(rule(&"x".repeat(RULE_BYTES_MAX + 1)), "other");
}
