//! STS (2011-06-15).

use std::ops::RangeInclusive;

use lanyard_proto::{authn::v1 as authn, credentials::v1 as pb};

use super::{
    AwsError,
    input::{Asked, Input},
    operation::{HttpCall, Operation, Service},
    parameters::Parameters,
};

/// Why a request with managed policies is refused.
const NO_MANAGED_POLICIES: &str = "there are no managed policies here: give a policy document as Policy";
/// Why one with an MFA device is.
const NO_MFA: &str = "no MFA devices are kept here: leave it out";

/// What a session token is to be filled up to.
const TOKEN_SIZE: &str = "MinimumSessionTokenSize";
/// Why one that is to be filled up is refused.
const NO_FILLING: &str = "a session token is as long as what is in it here: leave it out, or give 0";

/// How long a role's session may be asked to last, in seconds (STS's model). The role's own maximum may be less.
const ROLE_SECONDS: RangeInclusive<u32> = 900..=43_200;
/// The same of a user's own session.
const USER_SECONDS: RangeInclusive<u32> = 900..=129_600;
/// How large a session token may be asked to be at least, in bytes (STS's model).
const TOKEN_BYTES: RangeInclusive<u32> = 0..=4_096;
/// Most tags of a session, and most keys of them that go on to others (STS's model).
const TAGS_MAX: usize = 50;
/// How long a web identity's token is, in characters (STS's model).
const WEB_IDENTITY_TOKEN_CHARS: RangeInclusive<usize> = 4..=20_000;

/// How long a session policy is, in characters: of a web identity by STS's model, and of a role by the same words beside it.
const SESSION_POLICY_CHARS: RangeInclusive<usize> = 1..=2_048;

/// Its operations.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::action(Service::Sts, "GetCallerIdentity", get_caller_identity).presigned(),
    Operation::action(Service::Sts, "AssumeRole", assume_role),
    Operation::action(Service::Sts, "GetSessionToken", get_session_token),
    Operation::action(Service::Sts, "GetAccessKeyInfo", get_access_key_info),
    // Lanyard's own (`OWN_OPERATIONS`): at STS, for the relay of a node's agent passes calls to that alone.
    Operation::action(Service::Sts, "GetCallerPolicies", get_caller_policies),
];

/// Refuses to fill up a session token; STS's model has 0 for one that stays as it is.
fn refuse_filling(bytes: Option<u32>) -> Result<(), AwsError> {
    match bytes {
        None | Some(0) => Ok(()),
        Some(_) => Err(AwsError::invalid_parameter(Service::Sts, format!("{TOKEN_SIZE}: {NO_FILLING}"))),
    }
}

/// The session policy as it came, where its length and characters are those of STS's model; what it says is judged by the service.
fn session_policy(given: Option<&str>) -> Result<Option<String>, AwsError> {
    let Some(policy) = given else { return Ok(None) };
    let allows = |char: char| matches!(char, '\t' | '\n' | '\r' | ' '..='\u{ff}');
    let chars = policy.chars().count();
    if !SESSION_POLICY_CHARS.contains(&chars) {
        let message =
            format!("Policy: it has {chars} characters, and has to have 1 to 2048, blanks included");
        return Err(AwsError::invalid_parameter(Service::Sts, message));
    }
    if !policy.chars().all(allows) {
        let rule = "Policy: it has to be of the characters from U+0020 to U+00FF, tabs and ends of lines: \
                    write others as escapes of JSON";
        return Err(AwsError::invalid_parameter(Service::Sts, rule));
    }
    Ok(Some(policy.to_owned()))
}

/// Refuses a list of tags or of their keys that is longer than STS's model has it.
fn few(input: &Input<'_>, list: &str, items: &str, count: usize) -> Result<(), AwsError> {
    match count <= TAGS_MAX {
        true => Ok(()),
        false => Err(input.invalid(list, &format!("at most {TAGS_MAX} {items}, not {count}"))),
    }
}

fn get_caller_identity(input: &Input<'_>) -> Result<Asked, AwsError> {
    Ok(input.asks(&pb::GetCallerIdentityRequest {}))
}

fn assume_role(input: &Input<'_>) -> Result<Asked, AwsError> {
    input.refuse_items("PolicyArns", NO_MANAGED_POLICIES)?;
    input.refuse(&["SerialNumber", "TokenCode"], NO_MFA)?;
    input.refuse_items("ProvidedContexts", "contexts of IAM Identity Center are not taken here")?;
    refuse_filling(input.number(TOKEN_SIZE, TOKEN_BYTES)?)?;
    let (tags, transitive_tag_keys) = (input.tags()?, input.texts("TransitiveTagKeys")?);
    few(input, "Tags", "tags", tags.len())?;
    few(input, "TransitiveTagKeys", "keys", transitive_tag_keys.len())?;
    Ok(input.asks(&pb::AssumeRoleRequest {
        role_arn: input.text("RoleArn")?,
        session_name: input.text("RoleSessionName")?,
        duration_seconds: input.number("DurationSeconds", ROLE_SECONDS)?.unwrap_or_default(),
        tags,
        transitive_tag_keys,
        external_id: input.optional_text("ExternalId")?,
        source_identity: input.optional_text("SourceIdentity")?,
        session_policy: session_policy(input.parameter("Policy")?)?,
    }))
}

fn get_session_token(input: &Input<'_>) -> Result<Asked, AwsError> {
    input.refuse(&["SerialNumber", "TokenCode"], NO_MFA)?;
    refuse_filling(input.number(TOKEN_SIZE, TOKEN_BYTES)?)?;
    let duration_seconds = input.number("DurationSeconds", USER_SECONDS)?.unwrap_or_default();
    Ok(input.asks(&pb::GetSessionTokenRequest { duration_seconds }))
}

fn get_access_key_info(input: &Input<'_>) -> Result<Asked, AwsError> {
    Ok(input.asks(&authn::GetAccessKeyInfoRequest { access_key_id: input.text("AccessKeyId")? }))
}

fn get_caller_policies(input: &Input<'_>) -> Result<Asked, AwsError> {
    Ok(input.asks(&authn::GetCallerPoliciesRequest {}))
}

/// The operation that nobody signs: its token is the proof.
pub const ASSUME_ROLE_WITH_WEB_IDENTITY: &str = "AssumeRoleWithWebIdentity";

/// The other one that nobody signs at AWS, and that there is none of here: to ask for a signature would lead nowhere.
const ASSUME_ROLE_WITH_SAML: &str = "AssumeRoleWithSAML";

/// Reads a request that nobody has signed, where it is [`ASSUME_ROLE_WITH_WEB_IDENTITY`]; none where it is anything else, which has
/// to be signed.
///
/// # Errors
/// [`AwsError`] names the parameter and the rule that it breaks.
pub fn unsigned(call: &HttpCall<'_>) -> Option<Result<pb::AssumeRoleWithWebIdentityRequest, AwsError>> {
    let parameters = match Parameters::of_query(call) {
        Ok(parameters) => parameters,
        // What cannot be taken apart is told as such where it says that it is this operation.
        Err(error) => return says_so(call).then_some(Err(error)),
    };
    match parameters.one(Service::Sts, "Action") {
        Ok(Some(ASSUME_ROLE_WITH_WEB_IDENTITY)) => Some(web_identity(&parameters)),
        Ok(Some(ASSUME_ROLE_WITH_SAML)) => {
            let message = format!(
                "Could not find operation {ASSUME_ROLE_WITH_SAML}: here tokens of OpenID Connect are taken, by \
                 {ASSUME_ROLE_WITH_WEB_IDENTITY}"
            );
            Some(Err(AwsError::new("InvalidAction", 400, message)))
        }
        _ => None,
    }
}

fn says_so(call: &HttpCall<'_>) -> bool {
    let action = format!("Action={ASSUME_ROLE_WITH_WEB_IDENTITY}");
    call.query.contains(&action) || std::str::from_utf8(call.body).is_ok_and(|form| form.contains(&action))
}

fn web_identity(parameters: &Parameters<'_>) -> Result<pb::AssumeRoleWithWebIdentityRequest, AwsError> {
    let invalid =
        |name: &str, rule: &str| AwsError::invalid_parameter(Service::Sts, format!("{name}: {rule}"));
    let optional = |name: &str| parameters.one(Service::Sts, name);
    let required = |name: &str| {
        let given = optional(name)?.filter(|text| !text.is_empty());
        given.map(str::to_owned).ok_or_else(|| invalid(name, "it is missing and has to be given"))
    };
    if optional("Version")? != Some(Service::Sts.version()) {
        let message = format!("Could not find operation {ASSUME_ROLE_WITH_WEB_IDENTITY} for this version");
        return Err(AwsError::new("InvalidAction", 400, message));
    }
    if parameters.has_items("PolicyArns") {
        return Err(invalid("PolicyArns", NO_MANAGED_POLICIES));
    }
    if optional("ProviderId")?.is_some() {
        return Err(invalid(
            "ProviderId",
            "it is for OAuth 2.0 access tokens: leave it out with a token of OpenID Connect",
        ));
    }
    refuse_filling(parameters.number(Service::Sts, TOKEN_SIZE, TOKEN_BYTES)?)?;
    let web_identity_token = required("WebIdentityToken")?;
    if !WEB_IDENTITY_TOKEN_CHARS.contains(&web_identity_token.chars().count()) {
        return Err(invalid("WebIdentityToken", "it has to be 4 to 20000 characters long"));
    }
    let seconds = parameters.number(Service::Sts, "DurationSeconds", ROLE_SECONDS)?;
    Ok(pb::AssumeRoleWithWebIdentityRequest {
        role_arn: required("RoleArn")?,
        session_name: required("RoleSessionName")?,
        web_identity_token,
        duration_seconds: seconds.unwrap_or_default(),
        session_policy: session_policy(optional("Policy")?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        method: &str,
        query: &str,
        body: &str,
    ) -> Option<Result<pb::AssumeRoleWithWebIdentityRequest, AwsError>> {
        unsigned(&HttpCall { method, path: "/", query, body: body.as_bytes() })
    }

    const WHOLE: &str = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fci\
                         &RoleSessionName=run&WebIdentityToken=a.b.c&DurationSeconds=900&Policy=%7B%7D";

    #[test]
    fn a_web_identity_comes_in_the_query_or_in_the_body() {
        let expected = pb::AssumeRoleWithWebIdentityRequest {
            role_arn: "arn:aws:iam::111122223333:role/ci".to_owned(),
            session_name: "run".to_owned(),
            web_identity_token: "a.b.c".to_owned(),
            duration_seconds: 900,
            session_policy: Some("{}".to_owned()),
        };
        assert_eq!(read("POST", "", WHOLE), Some(Ok(expected.clone())));
        assert_eq!(read("GET", WHOLE, ""), Some(Ok(expected.clone())));
        let empty = format!("{WHOLE}&PolicyArns=&MinimumSessionTokenSize=0");
        assert_eq!(read("POST", "", &empty), Some(Ok(expected)), "an empty list as SDKs write it");
    }

    #[test]
    fn a_session_policy_is_as_long_and_of_the_characters_that_the_model_allows() {
        let text = |policy: Option<&str>| session_policy(policy).map_err(|error| (error.code, error.status));
        assert_eq!(text(None), Ok(None));
        for good in ["{}", "{\"\u{ff}\":\t\r\n1}", &"\u{e4}".repeat(2_048)] {
            assert_eq!(text(Some(good)), Ok(Some(good.to_owned())), "{good}");
        }
        let long = format!("{{}}{}", " ".repeat(2_047));
        for bad in ["", &long, "{\"\u{100}\":1}", "{}\u{0}", "{}\u{b}"] {
            assert_eq!(text(Some(bad)), Err(("ValidationError".into(), 400)), "{bad}");
        }
        let told = session_policy(Some(&long)).unwrap_err().message;
        assert_eq!(told, "Policy: it has 2049 characters, and has to have 1 to 2048, blanks included");
        let form = WHOLE.replace("Policy=%7B%7D", "Policy=%C4%80");
        assert!(read("POST", "", &form).unwrap().unwrap_err().message.starts_with("Policy: "));
    }

    #[test]
    fn what_breaks_a_rule_is_told_and_what_is_another_operation_has_to_be_signed() {
        let cases = [
            (WHOLE.replace("2011-06-15", "2010-05-08"), "InvalidAction"),
            (WHOLE.replace("&RoleSessionName=run", ""), "ValidationError"),
            (WHOLE.replace("900", "soon"), "ValidationError"),
            (WHOLE.replace("900", "0"), "ValidationError"),
            (WHOLE.replace("900", "43201"), "ValidationError"),
            (WHOLE.replace("a.b.c", "a.b"), "ValidationError"),
            (WHOLE.replace("a.b.c", &"a".repeat(20_001)), "ValidationError"),
            (WHOLE.replace("%7B%7D", ""), "ValidationError"),
            (WHOLE.replace("%7B%7D", &"+".repeat(2_049)), "ValidationError"),
            (format!("{WHOLE}&ProviderId=x"), "ValidationError"),
            (format!("{WHOLE}&MinimumSessionTokenSize=1024"), "ValidationError"),
            (format!("{WHOLE}&MinimumSessionTokenSize=4097"), "ValidationError"),
            (format!("{WHOLE}&PolicyArns.member.1.arn=x"), "ValidationError"),
            (format!("{WHOLE}&rolearn=x"), "InvalidQueryParameter"),
        ];
        for (form, code) in cases {
            assert_eq!(read("POST", "", &form).unwrap().unwrap_err().code, code, "{form}");
        }
        let saml = read("POST", "", "Action=AssumeRoleWithSAML&Version=2011-06-15");
        assert_eq!(saml.unwrap().unwrap_err().code, "InvalidAction");
        let both = read("POST", WHOLE, "RoleArn=x").unwrap().unwrap_err();
        assert_eq!(both.code, "InvalidParameterCombination", "immunity 45");
        for other in ["", "Action=AssumeRole&Version=2011-06-15", "Action=GetCallerIdentity", "%zz"] {
            assert_eq!(read("POST", "", other), None, "{other}");
        }
    }
}
