use lanyard_api::{
    Extra, UserInfo, WrittenUser,
    proof::{CANONICAL_ARN_KEY, EXTRA_KEY},
};
use lanyard_gateway::kubernetes::{
    protobuf,
    wire::{
        ADMISSION, AUTHENTICATION, AUTHORIZATION, AccessReviewIn, AccessReviewOut, AccessReviewSpec,
        AccessReviewStatus, AdmissionResponse, AdmissionReviewIn, AdmissionReviewOut, ReviewVersion,
        SelfReviewIn, TokenReviewIn, TokenReviewOut, TokenReviewStatus, api_version, read_review,
    },
};
use serde_json::Value;

use super::promise;

/// A TokenReview's, a SubjectAccessReview's or an AdmissionReview's body, or one of the `Self*Review`s' in either of its forms.
pub fn review_bodies(input: &[u8]) -> bool {
    // Read a second time without the types; what nests too deep for that is read with them alone.
    let plain = serde_json::from_slice::<Value>(input).ok();
    token_review(input, plain.as_ref())
        | access_review(input, plain.as_ref())
        | admission_review(input, plain.as_ref())
        | self_review(input, plain.as_ref())
}

/// The member of an object, where there is an object with that member.
fn member<'a>(plain: Option<&'a Value>, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(plain?, |value, name| value.as_object()?.get(*name))
}

fn token_review(input: &[u8], plain: Option<&Value>) -> bool {
    let Ok(review) = serde_json::from_slice::<TokenReviewIn<'_>>(input) else { return false };
    let Some(version) =
        envelope(review.api_version.as_deref(), review.kind.as_deref(), AUTHENTICATION, "TokenReview")
    else {
        return false;
    };
    if let Some(token) = member(plain, &["spec", "token"]) {
        assert_eq!(token.as_str(), Some(&*review.spec.token), "another token than the body has");
    }
    if let Some(audiences) = member(plain, &["spec", "audiences"]) {
        assert_eq!(serde_json::to_value(&review.spec.audiences).ok().as_ref(), Some(audiences));
    }
    let groups = review.spec.audiences.clone().unwrap_or_default();
    let token = &*review.spec.token;
    let extra = Extra::from([(token.to_owned().into(), groups.clone())]);
    let user = UserInfo { username: token.to_owned(), uid: token.to_owned(), groups, extra };
    let user = WrittenUser::from(user);
    let answer = TokenReviewOut {
        api_version: api_version(AUTHENTICATION, version),
        kind: "TokenReview",
        status: TokenReviewStatus {
            authenticated: true,
            user: user.json(),
            audiences: review.spec.audiences.clone(),
            error: Some(token.to_owned()),
        },
    };
    let written =
        serde_json::to_vec(&answer).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    for path in [&["status", "user", "username"][..], &["status", "user", "uid"], &["status", "error"]] {
        assert_eq!(member(written.as_ref(), path).and_then(Value::as_str), Some(token), "{path:?}");
    }
    true
}

fn access_review(input: &[u8], plain: Option<&Value>) -> bool {
    let Ok(review) = serde_json::from_slice::<AccessReviewIn<'_>>(input) else { return false };
    let (api, kind) = (review.api_version.as_deref(), review.kind.as_deref());
    let Some(version) = envelope(api, kind, AUTHORIZATION, "SubjectAccessReview") else { return false };
    let spec = &review.spec;
    for (name, read) in [("user", &spec.user), ("uid", &spec.uid)] {
        if let Some(value) = member(plain, &["spec", name]) {
            assert_eq!(value.as_str(), Some(read.as_str()), "another {name} than the body has");
        }
    }
    // Both spellings at once are refused, so one of them is all there is.
    if let Some(groups) = member(plain, &["spec", "groups"]).or_else(|| member(plain, &["spec", "group"])) {
        assert_eq!(serde_json::to_value(&spec.groups).ok().as_ref(), Some(groups));
    }
    if let Some(extra) = member(plain, &["spec", "extra"]) {
        assert_eq!(serde_json::to_value(&spec.extra).ok(), Some(read_by_decisions(extra)));
    }
    for (name, is_there) in [
        ("resourceAttributes", spec.resource_attributes.is_some()),
        ("nonResourceAttributes", spec.non_resource_attributes.is_some()),
    ] {
        if let Some(value) = member(plain, &["spec", name]) {
            assert_eq!(!value.is_null(), is_there, "{name}");
        }
    }
    let status = AccessReviewStatus { denied: true, reason: &spec.user, ..AccessReviewStatus::default() };
    let answer = AccessReviewOut {
        api_version: api_version(AUTHORIZATION, version),
        kind: "SubjectAccessReview",
        status,
    };
    let written =
        serde_json::to_vec(&answer).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let reason = member(written.as_ref(), &["status", "reason"]).and_then(Value::as_str);
    assert_eq!(reason.unwrap_or_default(), spec.user);
    true
}

fn admission_review(input: &[u8], plain: Option<&Value>) -> bool {
    let Ok(review) = serde_json::from_slice::<AdmissionReviewIn<'_>>(input) else { return false };
    let (api, kind) = (review.api_version.as_deref(), review.kind.as_deref());
    let Some(version) = envelope(api, kind, ADMISSION, "AdmissionReview") else { return false };
    let Some(request) = &review.request else { return true };
    for (name, read) in [
        ("uid", &request.uid),
        ("subResource", &request.sub_resource),
        ("namespace", &request.namespace),
        ("operation", &request.operation),
    ] {
        if let Some(value) = member(plain, &["request", name]) {
            assert_eq!(value.as_str(), Some(&**read), "another {name} than the body has");
        }
    }
    for (name, read) in [("object", request.object), ("oldObject", request.old_object)] {
        if let Some(value) = member(plain, &["request", name]).filter(|value| !value.is_null()) {
            let read = read.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
            assert_eq!(read.as_ref(), Some(value), "another {name} than the body has");
        }
    }
    let response = AdmissionResponse { uid: &request.uid, allowed: true, ..AdmissionResponse::default() };
    let answer = AdmissionReviewOut {
        api_version: api_version(ADMISSION, version),
        kind: "AdmissionReview",
        response,
    };
    let written =
        serde_json::to_vec(&answer).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let uid = member(written.as_ref(), &["response", "uid"]).and_then(Value::as_str);
    assert_eq!(uid, Some(&*request.uid));
    true
}

/// In JSON, or in Kubernetes' protobuf form, which is read into JSON.
fn self_review(input: &[u8], plain: Option<&Value>) -> bool {
    let review = match input.starts_with(protobuf::MAGIC) {
        true => self_review_of_protobuf(input),
        false => read_review::<SelfReviewIn>(input).ok(),
    };
    let Some(review) = review else { return false };
    if let Some(spec) = member(plain, &["spec"]) {
        assert_eq!(&review.spec, spec, "another spec than the body has");
    }
    // The door goes by its path, and takes a body without a kind; here is no path.
    let (group, kind) = match review.kind.as_deref() {
        Some("SelfSubjectAccessReview") => (AUTHORIZATION, "SelfSubjectAccessReview"),
        Some("SelfSubjectRulesReview") => (AUTHORIZATION, "SelfSubjectRulesReview"),
        _ => (AUTHENTICATION, "SelfSubjectReview"),
    };
    if review.kind.is_none()
        || envelope(review.api_version.as_deref(), review.kind.as_deref(), group, kind).is_none()
    {
        return false;
    }
    if kind != "SelfSubjectAccessReview" {
        return true;
    }
    // Read from the value at its door, and from bytes at that of the API servers.
    let by_value = serde_json::from_value::<AccessReviewSpec>(review.spec.clone()).ok();
    let by_bytes = serde_json::to_vec(&review.spec)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<AccessReviewSpec>(&bytes).ok());
    let told = |spec: &AccessReviewSpec| {
        let kinds = (spec.resource_attributes.is_some(), spec.non_resource_attributes.is_some());
        (spec.user.clone(), spec.uid.clone(), spec.groups.clone(), spec.extra.clone(), kinds)
    };
    assert_eq!(by_value.as_ref().map(told), by_bytes.as_ref().map(told), "two roads to one review");
    by_value.is_some()
}

fn self_review_of_protobuf(input: &[u8]) -> Option<SelfReviewIn> {
    let value = match protobuf::to_json(input) {
        Ok(value) => value,
        Err(error) => {
            promise::is_one_bounded_line(&error.to_string());
            return None;
        }
    };
    let written = value.to_string();
    let (Ok(review), Ok(again)) =
        (serde_json::from_value::<SelfReviewIn>(value), read_review::<SelfReviewIn>(written.as_bytes()))
    else {
        panic!("a form of JSON that is no review: {written}")
    };
    assert_eq!(
        (&review.api_version, &review.kind, &review.spec),
        (&again.api_version, &again.kind, &again.spec),
        "another review in JSON"
    );
    if review.kind.as_deref() == Some("SelfSubjectAccessReview") {
        let spec = serde_json::from_value::<AccessReviewSpec>(review.spec.clone());
        assert!(spec.is_ok(), "attributes that no door reads: {written}");
    }
    Some(review)
}

/// What is kept of the extra. Go writes an empty map or list as null too; both are read as empty.
fn read_by_decisions(extra: &Value) -> Value {
    let is_read = |key: &str| key == CANONICAL_ARN_KEY || key.eq_ignore_ascii_case(EXTRA_KEY);
    let values = extra.as_object().into_iter().flatten().filter(|(key, _)| is_read(key));
    let filled = values.map(|(key, value)| match value {
        Value::Null => (key.clone(), Value::Array(Vec::new())),
        value => (key.clone(), value.clone()),
    });
    Value::Object(filled.collect())
}

fn envelope(
    api_version: Option<&str>,
    kind: Option<&str>,
    group: &'static str,
    expected: &'static str,
) -> Option<ReviewVersion> {
    match ReviewVersion::read(api_version, kind, group, expected) {
        Ok(version) => Some(version),
        Err(error) => {
            promise::is_one_bounded_line(&error.to_string());
            None
        }
    }
}
