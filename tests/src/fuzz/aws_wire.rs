//! Requests of the AWS wire: `SERVICE METHOD PATH?QUERY` in the first line, and the body after it.

use lanyard_api::aws_wire::{
    AwsError, Caller, HttpCall, KnownCluster, Service, asked_by_query, find, unsigned,
};
use lanyard_api::mapping::AuthenticationMode;
use lanyard_api::methods;

/// Reads a request as a management call, and where it is STS's also as the one operation that nobody signs. What is accepted is a
/// message that its method reads, for the cluster of the caller's own or for none; what is refused is a client's error in one line.
pub fn aws_wire(input: &[u8]) -> bool {
    let at = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (head, rest) = input.split_at(at);
    let Ok(head) = std::str::from_utf8(head) else { return false };
    let body = rest.get(1..).unwrap_or_default();
    let mut words = head.splitn(3, ' ');
    let (Some(service), Some(method), Some(target)) = (words.next(), words.next(), words.next()) else {
        return false;
    };
    let Some(service) = Service::of_scope(service) else { return false };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let cluster = |name: &str| {
        let id = "dev-7".parse().ok().filter(|_| name == "dev")?;
        Some(KnownCluster { id, mode: AuthenticationMode::Api })
    };
    let caller = Caller {
        principal: "111122223333/AIDAAAAAAAAAAAAAAAAAA",
        user_name: Some("ana"),
        region: "us-east-1",
        cluster: &cluster,
        page_secrets: &[[7_u8; 32].into()],
    };
    let call = HttpCall { method, path, query, body };
    let is_unsigned = service == Service::Sts && is_exchange(&call);
    let asked = find(service, &call).and_then(|found| found.read(&caller));
    match asked {
        Ok(asked) => {
            assert!(!is_unsigned, "it has to be signed, and nobody has to");
            // A message that was made of what is no valid name is refused by the method's own rules, and never read as another.
            let read = methods::read(asked.method.path, &asked.message);
            if let (Ok(call), Some(name)) = (&read, &asked.unknown_cluster) {
                let named = call.target.cluster.as_ref().map(|cluster| format!("{cluster:?}"));
                assert!(
                    named.is_none_or(|named| named.contains(name.as_str())),
                    "another cluster than was named"
                );
            }
            true
        }
        Err(error) => {
            judge(&error);
            is_unsigned
        }
    }
}

/// Whether a request exchanges a web identity's token for a session.
fn is_exchange(call: &HttpCall<'_>) -> bool {
    match unsigned(call) {
        Some(Ok(exchange)) => {
            assert_eq!(asked_by_query(call), Some(Service::Sts), "another service's");
            assert!((4..=20_000).contains(&exchange.web_identity_token.chars().count()), "no token's length");
            assert!(!exchange.role_arn.is_empty() && !exchange.session_name.is_empty(), "of nobody");
            true
        }
        Some(Err(error)) => {
            judge(&error);
            false
        }
        None => false,
    }
}

fn judge(error: &AwsError) {
    assert!((400..500).contains(&error.status), "a request is the client's affair: {error}");
    assert!(error.message.len() < 4096 && !error.message.contains('\n'), "one bounded line");
}
