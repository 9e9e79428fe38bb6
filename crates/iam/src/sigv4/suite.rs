//! AWS's own signing test suite, as it lies in the source of the `aws-sigv4` crate.

use std::path::{Path, PathBuf};
use std::process::Command;

use secrecy::ExposeSecret as _;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;

use super::canonical::{Canonical, canonical_query};
use super::*;
use crate::id::{AccessKeyId, Credentials, SecretAccessKey, SessionToken};

/// Cases in the suite that come with a context; [`encoded_twice`] has the two that do not.
const CASES_MIN: usize = 38;

fn suite() -> PathBuf {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let package =
        metadata["packages"].as_array().unwrap().iter().find(|package| package["name"] == "aws-sigv4");
    let manifest = Path::new(package.unwrap()["manifest_path"].as_str().unwrap());
    manifest.parent().unwrap().join("aws-signing-test-suite/v4")
}

struct Case {
    name: String,
    folder: PathBuf,
    credentials: Credentials,
    region: String,
    service: String,
    style: SigningStyle,
    now: OffsetDateTime,
    expires: time::Duration,
    message: Message,
}

/// A request read from a file of the suite.
#[derive(Clone, Debug)]
struct Message {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Message {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let first = lines.next().unwrap();
        let (method, rest) = first.split_once(' ').unwrap();
        let target = rest.strip_suffix(" HTTP/1.1").unwrap_or(rest);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines.filter(|line| !line.is_empty()) {
            if line.starts_with(' ') {
                headers.last_mut().unwrap().1.push_str(&format!("\n{line}"));
            } else {
                let (name, value) = line.split_once(':').unwrap();
                headers.push((name.to_owned(), value.to_owned()));
            }
        }
        Self {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            headers,
            body: body.trim_end().into(),
        }
    }

    fn with<T>(&self, f: impl FnOnce(&HttpRequest<'_>) -> T) -> T {
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        f(&HttpRequest { method: &self.method, path: &self.path, query: &self.query, headers: &headers })
    }

    fn payload(&self) -> PayloadHash {
        PayloadHash::of(self.body.as_bytes())
    }
}

impl Case {
    fn read(folder: &Path) -> Option<Self> {
        let context: Value =
            serde_json::from_str(&std::fs::read_to_string(folder.join("context.json")).ok()?).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let keys = &context["credentials"];
        let flag = |name: &str| context[name].as_bool().unwrap_or(false);
        Some(Self {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            folder: folder.to_owned(),
            credentials: Credentials {
                access_key_id: AccessKeyId::from_signature(keys["access_key_id"].as_str().unwrap()).unwrap(),
                secret_access_key: SecretAccessKey::new(text(&keys["secret_access_key"])),
                session_token: keys["token"].as_str().map(|token| SessionToken::new(token.to_owned())),
            },
            region: text(&context["region"]),
            service: text(&context["service"]),
            style: SigningStyle {
                normalize_path: flag("normalize"),
                // The suite was made for services that encode the path once.
                encode_path_twice: false,
                sign_session_token: !flag("omit_session_token"),
                content_sha256_header: flag("sign_body"),
            },
            now: OffsetDateTime::parse(context["timestamp"].as_str().unwrap(), &Rfc3339).unwrap(),
            expires: time::Duration::seconds(context["expiration_in_seconds"].as_i64().unwrap()),
            message: Message::parse(&std::fs::read_to_string(folder.join("request.txt")).unwrap()),
        })
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap()
    }

    fn signer(&self) -> Signer<'_> {
        Signer {
            credentials: &self.credentials,
            region: &self.region,
            service: &self.service,
            style: self.style,
        }
    }

    fn expected(&self) -> Expected<'_> {
        Expected {
            style: self.style,
            presign_expires_max: self.expires,
            ..Expected::new(&self.region, &self.service, self.now)
        }
    }

    fn key(&self) -> SigningKey {
        let day = AmzDate::of(self.now);
        SigningKey::derive(&self.credentials.secret_access_key, day.day(), &self.region, &self.service)
    }

    /// The canonical request of a signed message, written out.
    fn canonical(&self, signed: &Message, names: &[&str], presigned: bool) -> String {
        let style = self.style;
        let query = canonical_query(&signed.query, |name| {
            presigned
                && (name == "X-Amz-Signature" || !style.sign_session_token && name == "X-Amz-Security-Token")
        });
        let payload = signed.payload();
        let mut text = String::new();
        signed.with(|request| {
            let canonical = Canonical {
                request,
                query: &query,
                signed_headers: names,
                payload_sha256: payload.as_str(),
                style,
            };
            canonical.write(&mut text);
        });
        text
    }

    fn signed_by_header(&self) -> Message {
        let mut signed = self.message.clone();
        let added = self
            .message
            .with(|request| self.signer().sign_headers(request, &self.message.payload(), self.now));
        signed.headers.extend(added.unwrap().iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        signed
    }

    fn presigned(&self) -> Message {
        let mut signed = self.message.clone();
        let query = self
            .message
            .with(|request| self.signer().presign(request, &self.message.payload(), self.now, self.expires));
        signed.query = query.unwrap().expose_secret().to_owned();
        signed
    }

    fn verify(&self, signed: &Message) -> Result<(), VerifyError> {
        signed.with(|request| {
            let parsed = SignedRequest::parse(request, &self.expected())?;
            // The key is looked up by the id that the request names: another id, another key.
            if *parsed.access_key_id() != self.credentials.access_key_id {
                return Err(SignatureMismatch::Signature.into());
            }
            Ok(parsed.verify(request, &signed.payload(), &self.key())?)
        })
    }
}

/// The two cases for services that want the path encoded twice. They have neither a context nor a query form: what they were
/// signed with is read off the signed request, and the keys are those that the suite and its crate make public.
fn encoded_twice() -> [Case; 2] {
    let suite = suite();
    [
        (
            "double-encode-path",
            ["ANOTREAL", "notrealrnrELgWzOk3IfjzDKtFBhDby", "us-east-1", "service"],
            datetime!(2015-08-30 12:36:00 UTC),
        ),
        (
            "double-url-encode",
            ["AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-2", "lambda"],
            datetime!(2021-05-11 15:40:45 UTC),
        ),
    ]
    .map(|(name, [access_key_id, secret, region, service], now)| {
        let folder = suite.join(name);
        let mut message = Message::parse(&std::fs::read_to_string(folder.join("request.txt")).unwrap());
        // The signer adds it.
        message.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("x-amz-date"));
        Case {
            name: name.to_owned(),
            folder,
            credentials: Credentials {
                access_key_id: AccessKeyId::from_signature(access_key_id).unwrap(),
                secret_access_key: SecretAccessKey::new(secret.to_owned()),
                session_token: None,
            },
            region: region.to_owned(),
            service: service.to_owned(),
            style: SigningStyle::default(),
            now,
            expires: Expected::PRESIGN_EXPIRES_MAX,
            message,
        }
    })
}

fn cases() -> Vec<Case> {
    let folder = suite();
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let cases: Vec<Case> = folders.iter().filter_map(|folder| Case::read(folder)).collect();
    assert!(cases.len() >= CASES_MIN, "only {} cases in {}", cases.len(), folder.display());
    cases
}

#[test]
fn every_case_is_signed_by_header_as_aws_signs_it() {
    for case in cases() {
        let signed = case.signed_by_header();
        let (_, authorization) = signed.headers.last().unwrap();
        let parsed = Authorization::parse(authorization).unwrap();
        let canonical = case.canonical(&signed, &parsed.signed_headers, false);
        assert_eq!(canonical, case.file("header-canonical-request.txt"), "{}", case.name);
        let suite = Message::parse(&case.file("header-signed-request.txt"));
        let theirs = suite.headers.iter().find(|(name, _)| name == "Authorization").unwrap();
        assert_eq!(*authorization, theirs.1, "{}", case.name);
        assert!(authorization.ends_with(&case.file("header-signature.txt")), "{}", case.name);
    }
}

#[test]
fn every_case_is_presigned_as_aws_presigns_it() {
    for case in cases() {
        let signed = case.presigned();
        let parsed = signed.with(|request| {
            SignedRequest::parse(request, &case.expected()).map(|parsed| format!("{parsed:?}"))
        });
        assert!(parsed.is_ok(), "{}: {parsed:?}", case.name);
        let listed = case.file("query-canonical-request.txt");
        let mut from_end = listed.lines().rev();
        let names: Vec<&str> = from_end.nth(1).unwrap().split(';').collect();
        assert_eq!(case.canonical(&signed, &names, true), listed, "{}", case.name);
        let suffix = format!("&X-Amz-Signature={}", case.file("query-signature.txt"));
        assert!(signed.query.ends_with(&suffix), "{}", case.name);
        let suite = Message::parse(&case.file("query-signed-request.txt"));
        assert_eq!(
            canonical_query(&signed.query, |_| false),
            canonical_query(&suite.query, |_| false),
            "{}",
            case.name
        );
    }
}

#[test]
fn every_case_that_aws_signed_is_verified() {
    for case in cases() {
        for file in ["header-signed-request.txt", "query-signed-request.txt"] {
            let mut signed = Message::parse(&case.file(file));
            // A file that shows the path decoded is not what goes over the wire.
            signed.path.clone_from(&case.message.path);
            assert_eq!(case.verify(&signed), Ok(()), "{} {file}", case.name);
        }
    }
    for case in encoded_twice() {
        let signed = Message::parse(&case.file("header-signed-request.txt"));
        assert_eq!(case.verify(&signed), Ok(()), "{}", case.name);
    }
}

/// Another byte that keeps the text what it is: a letter for a letter, a digit for a digit.
fn other(byte: u8) -> u8 {
    match byte {
        b'9' | b'z' | b'Z' => byte - 1,
        b'f' => b'e',
        byte if byte.is_ascii_alphanumeric() => byte + 1,
        b'/' => b'|',
        _ => b'/',
    }
}

/// The text with one byte changed, for each byte where that changes what is signed.
fn each_changed(text: &str) -> impl Iterator<Item = String> + '_ {
    text.bytes().enumerate().filter(|(_, byte)| byte.is_ascii() && !byte.is_ascii_whitespace()).map(
        |(at, byte)| {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = other(byte);
            String::from_utf8(bytes).unwrap()
        },
    )
}

/// All the ways to change one byte of a message.
fn changes(signed: &Message) -> Vec<(&'static str, Message)> {
    let mut changed = Vec::new();
    let mut add = |part: &'static str, edit: &dyn Fn(&mut Message)| {
        let mut message = signed.clone();
        edit(&mut message);
        changed.push((part, message));
    };
    for method in each_changed(&signed.method) {
        add("method", &|message| message.method.clone_from(&method));
    }
    for path in each_changed(&signed.path) {
        add("path", &|message| message.path.clone_from(&path));
    }
    for query in each_changed(&signed.query) {
        add("query", &|message| message.query.clone_from(&query));
    }
    for (index, (_, value)) in signed.headers.iter().enumerate() {
        for value in each_changed(value) {
            add("header", &|message| message.headers[index].1.clone_from(&value));
        }
    }
    add("a header taken out", &|message| {
        message.headers.remove(0);
    });
    add("body", &|message| message.body.push('x'));
    changed
}

#[test]
fn no_case_is_verified_with_one_byte_changed() {
    let mut tried = 0;
    for case in cases().into_iter().chain(encoded_twice()) {
        for signed in [case.signed_by_header(), case.presigned()] {
            assert_eq!(case.verify(&signed), Ok(()), "{}", case.name);
            for (part, changed) in changes(&signed) {
                let verdict = case.verify(&changed);
                let token_is_free = !case.style.sign_session_token && same_but_for_token(&signed, &changed);
                let same_path =
                    case.style.normalize_path && part == "path" && same_canonical(&case, &signed, &changed);
                assert!(verdict.is_err() || token_is_free || same_path, "{} {part}: {changed:?}", case.name);
                tried += 1;
            }
        }
    }
    assert!(tried > 10_000, "only {tried} changes tried");
}

/// Where the service has the session token added after signing, the signature says nothing about it.
fn same_but_for_token(signed: &Message, changed: &Message) -> bool {
    let strip = |message: &Message| {
        let mut message = message.clone();
        message.headers.retain(|(name, _)| name != "x-amz-security-token");
        message.query = canonical_query(&message.query, |name| name == "X-Amz-Security-Token");
        format!("{message:?}")
    };
    strip(signed) == strip(changed)
}

/// Two paths that the signing rule itself takes for one.
fn same_canonical(case: &Case, signed: &Message, changed: &Message) -> bool {
    case.canonical(signed, &["host"], false) == case.canonical(changed, &["host"], false)
}

#[test]
fn each_case_with_a_path_encoded_twice_is_signed_by_header_as_aws_signs_it() {
    for mut case in encoded_twice() {
        let signed = case.signed_by_header();
        let (_, authorization) = signed.headers.last().unwrap();
        let suite = Message::parse(&case.file("header-signed-request.txt"));
        let theirs = suite.headers.iter().find(|(name, _)| name == "Authorization").unwrap();
        assert_eq!(authorization.as_str(), theirs.1.trim(), "{}", case.name);
        // The one of them lies there signed at another time than its canonical request is of.
        case.now = datetime!(2021-05-11 15:40:45 UTC);
        let canonical = case.canonical(&case.signed_by_header(), &["host", "x-amz-date"], false);
        assert_eq!(canonical, case.file("header-canonical-request.txt").trim_end(), "{}", case.name);
    }
}

/// The suite has no query form of these. The crate that it lies in is held to it as we are, so its own presigning stands in.
#[test]
fn each_case_with_a_path_encoded_twice_is_presigned_as_the_suites_own_crate_presigns_it() {
    use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
    use aws_sigv4::sign::v4;

    for case in encoded_twice() {
        let identity = aws_credential_types::Credentials::new(
            case.credentials.access_key_id.as_str(),
            case.credentials.secret_access_key.expose(),
            None,
            None,
            "test",
        )
        .into();
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(case.expires.unsigned_abs());
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&case.region)
            .name(&case.service)
            .time(case.now.into())
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let Message { method, path, headers, .. } = &case.message;
        let plain = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let uri = format!("https://{}{path}", headers[0].1);
        let request = SignableRequest::new(method, &uri, plain, SignableBody::empty()).unwrap();
        let (instructions, _) = sign(request, &parameters).unwrap().into_parts();
        let mut theirs = case.message.clone();
        theirs.query = instructions
            .params()
            .iter()
            .map(|(name, value)| format!("{name}={}", percent_encoded(value)))
            .collect::<Vec<_>>()
            .join("&");
        assert_eq!(case.verify(&theirs), Ok(()), "{}", case.name);
        // The same parameters, and so the same signature.
        let ours = canonical_query(&case.presigned().query, |_| false);
        assert_eq!(ours, canonical_query(&theirs.query, |_| false), "{}", case.name);
    }
}

#[test]
fn the_empty_body_has_the_published_hash() {
    assert_eq!(PayloadHash::of(b"").as_str(), EMPTY_BODY_SHA256);
}
