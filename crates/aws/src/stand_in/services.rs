//! What each service does for somebody who has proved who they are.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, RandomState};

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::reply::{Wire, error, good, identity};
use super::world::{World, key_of};
use super::{Asked, Person, Shared, roles};
use crate::limits::locked;

pub(super) fn answer(shared: &Shared, asked: &Asked, wire: Wire, region: &str, by: &Person) -> Response {
    let parameters = parameters(asked);
    let target = asked.header("x-amz-target").rsplit('.').next().unwrap_or_default();
    let action = parameters.get("Action").map_or(target, String::as_str);
    let name = format!("{}:{action}", wire.service());
    let mut world = locked(&shared.world);
    if world.denied.contains(&name) {
        let code = match wire {
            Wire::Kms => "AccessDeniedException",
            Wire::Ec2 => "UnauthorizedOperation",
            Wire::Sts | Wire::Iam => "AccessDenied",
        };
        return error(wire, 403, code, &format!("{} is not authorized to perform {name}", by.arn));
    }
    match name.as_str() {
        "sts:GetCallerIdentity" => identity(&by.account, &by.arn, &by.user_id),
        "sts:AssumeRole" => {
            let answer = roles::assume(&mut world, parameters, shared.clock.now());
            drop(world);
            roles::told(shared, answer)
        }
        "iam:GetRole" => principal(&world, by, "role", &parameters, ("GetRole", "Role", "RoleName")),
        "iam:GetUser" => principal(&world, by, "user", &parameters, ("GetUser", "User", "UserName")),
        "iam:ListRoles" => principals(&world, by, "role", &parameters, ("ListRoles", "Roles", "RoleId")),
        "iam:ListUsers" => principals(&world, by, "user", &parameters, ("ListUsers", "Users", "UserId")),
        "iam:GetInstanceProfile" => profile(&world, by, &parameters),
        "ec2:DescribeInstances" => instances(&world, by, region, &parameters),
        "kms:GenerateDataKey" | "kms:Decrypt" => kms(&mut world, action, &asked.body),
        _ => error(wire, 400, "InvalidAction", "no such action"),
    }
}

/// What STS answers to those who need not sign; nothing where they do.
pub(super) fn unsigned(shared: &Shared, asked: &Asked, wire: Wire) -> Option<Response> {
    let parameters = parameters(asked);
    if wire != Wire::Sts || parameters.get("Action")? != "AssumeRoleWithWebIdentity" {
        return None;
    }
    let answer = roles::assume_with_web_identity(&mut locked(&shared.world), parameters, shared.clock.now());
    Some(roles::told(shared, answer))
}

fn parameters(asked: &Asked) -> BTreeMap<String, String> {
    form_urlencoded::parse(asked.query.as_bytes())
        .chain(form_urlencoded::parse(&asked.body))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

fn no_such_entity(what: &str) -> Response {
    error(Wire::Iam, 404, "NoSuchEntity", &format!("The {what} cannot be found."))
}

fn principal(
    world: &World,
    by: &Person,
    kind: &str,
    parameters: &BTreeMap<String, String>,
    (action, entity, parameter): (&str, &str, &str),
) -> Response {
    let name = parameters.get(parameter).cloned().unwrap_or_default();
    let key = (by.account.clone(), kind.to_owned(), name.to_ascii_lowercase());
    let Some((arn, id)) = world.principals.get(&key) else {
        return no_such_entity(&format!("{kind} with name {name}"));
    };
    let seconds_max = world.assumable.get(arn).map(|role| role.seconds_max);
    let seconds_max = seconds_max
        .map(|seconds| format!("<MaxSessionDuration>{seconds}</MaxSessionDuration>"))
        .unwrap_or_default();
    let body = format!(
        "<{action}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><{action}Result><{entity}><Path>/</Path>\
         <{entity}Id>{id}</{entity}Id><{entity}Name>{name}</{entity}Name><Arn>{arn}</Arn><CreateDate>2026-01-01T00:00:00Z\
         </CreateDate>{seconds_max}</{entity}></{action}Result><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata>\
         </{action}Response>"
    );
    good(Wire::Iam, body)
}

/// Two to a page, whatever is asked for, so that there are pages.
fn principals(
    world: &World,
    by: &Person,
    kind: &str,
    parameters: &BTreeMap<String, String>,
    (action, list, id_element): (&str, &str, &str),
) -> Response {
    const PAGE_ITEMS: usize = 2;
    let under = parameters.get("PathPrefix").map_or("/", String::as_str);
    let from: usize = parameters.get("Marker").and_then(|marker| marker.parse().ok()).unwrap_or_default();
    let path_of = |arn: &str| arn.split_once(kind).map(|(_, path)| path.to_owned()).unwrap_or_default();
    let mut own: Vec<&(String, String)> = world
        .principals
        .iter()
        .filter(|((account, of, _), (arn, _))| {
            *account == by.account && of == kind && path_of(arn).starts_with(under)
        })
        .map(|(_, principal)| principal)
        .collect();
    own.sort();
    let members: String = own
        .iter()
        .skip(from)
        .take(PAGE_ITEMS)
        .map(|(arn, id)| format!("<member><{id_element}>{id}</{id_element}><Arn>{arn}</Arn></member>"))
        .collect();
    let next = from + PAGE_ITEMS;
    let rest = match next < own.len() {
        true => format!("<IsTruncated>true</IsTruncated><Marker>{next}</Marker>"),
        false => "<IsTruncated>false</IsTruncated>".to_owned(),
    };
    let body = format!(
        "<{action}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><{action}Result><{list}>{members}</{list}>{rest}\
         </{action}Result></{action}Response>"
    );
    good(Wire::Iam, body)
}

fn profile(world: &World, by: &Person, parameters: &BTreeMap<String, String>) -> Response {
    let name = parameters.get("InstanceProfileName").cloned().unwrap_or_default();
    let own = |arn: &&String| {
        let (account, _, of) = key_of(arn);
        account == by.account && of.eq_ignore_ascii_case(&name)
    };
    let Some(arn) = world.profiles.keys().find(own) else {
        return no_such_entity(&format!("instance profile {name}"));
    };
    let role = world.profiles.get(arn).and_then(Option::as_ref);
    let role = role.map(|role| format!("<member><Arn>{role}</Arn></member>")).unwrap_or_default();
    let body = format!(
        "<GetInstanceProfileResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><GetInstanceProfileResult>\
         <InstanceProfile><Arn>{arn}</Arn><Roles>{role}</Roles></InstanceProfile></GetInstanceProfileResult>\
         </GetInstanceProfileResponse>"
    );
    good(Wire::Iam, body)
}

fn instances(world: &World, by: &Person, region: &str, parameters: &BTreeMap<String, String>) -> Response {
    let asked: Vec<&String> = parameters
        .iter()
        .filter(|(name, _)| name.starts_with("Filter.1.Value."))
        .map(|(_, value)| value)
        .collect();
    let mut items = String::new();
    for (id, instance) in &world.instances {
        if !asked.contains(&id) || instance.account != by.account || instance.region != region {
            continue;
        }
        let profile = instance.profile.as_ref().map(|arn| {
            format!("<iamInstanceProfile><arn>{arn}</arn><id>AIPASTANDIN</id></iamInstanceProfile>")
        });
        let name = if instance.state == "running" { instance.name.as_str() } else { "" };
        let _ = write!(
            items,
            "<item><reservationId>r-1</reservationId><ownerId>{}</ownerId><instancesSet><item><instanceId>{id}</instanceId>\
             <instanceState><code>16</code><name>{}</name></instanceState><privateDnsName>{name}</privateDnsName>{}</item>\
             </instancesSet></item>",
            instance.account,
            instance.state,
            profile.unwrap_or_default()
        );
    }
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DescribeInstancesResponse \
         xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>0</requestId><reservationSet>{items}</reservationSet>\
         </DescribeInstancesResponse>"
    );
    good(Wire::Ec2, body)
}

fn kms(world: &mut World, action: &str, body: &[u8]) -> Response {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some(key) = world.kms_keys.get(&text("KeyId")).cloned() else {
        return error(Wire::Kms, 400, "NotFoundException", "no such key");
    };
    let context = asked.get("EncryptionContext").cloned().unwrap_or_default();
    if action == "GenerateDataKey" {
        let (plaintext, wrapped) = (random_bytes(), [b"wrapped ".to_vec(), random_bytes()].concat());
        let answer = json!({
            "KeyId": key,
            "Plaintext": STANDARD.encode(&plaintext),
            "CiphertextBlob": STANDARD.encode(&wrapped),
        });
        world.wrapped.insert(wrapped, (key, context, plaintext));
        return good(Wire::Kms, answer.to_string());
    }
    let wrapped = STANDARD.decode(text("CiphertextBlob")).unwrap_or_default();
    match world.wrapped.get(&wrapped) {
        Some((by, _, _)) if *by != key => error(Wire::Kms, 400, "IncorrectKeyException", "another key"),
        Some((_, for_context, plaintext)) if *for_context == context => {
            good(Wire::Kms, json!({ "KeyId": key, "Plaintext": STANDARD.encode(plaintext) }).to_string())
        }
        _ => error(Wire::Kms, 400, "InvalidCiphertextException", ""),
    }
}

/// 32 bytes that no other call gives: a fresh `RandomState` is randomly keyed.
fn random_bytes() -> Vec<u8> {
    (0..4u8).flat_map(|part| RandomState::new().hash_one(part).to_be_bytes()).collect()
}
