//! `lanyard sign METHOD --data JSON`: the headers that sign a gRPC call, for programs that cannot sign.

use std::collections::BTreeMap;

use clap::Args;
use lanyard_api::methods;
use prost::{
    Message as _,
    encoding::{WireType, encode_key, encode_varint},
};
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value,
};

use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    input::Source,
    output::{Output, Tabular, line},
};

/// What update masks are.
const FIELD_MASK: &str = "google.protobuf.FieldMask";

const HELP: &str = "\
Examples, in bash:
  method=lanyard.mapping.v1.Clusters/DescribeCluster data='{\"cluster\": \"dev\"}'
  mapfile -t signed < <(lanyard sign $method --data \"$data\")
  grpcurl -cacert ~/.local/share/lanyard/ca.pem \"${signed[@]/#/-H=}\" -d \"$data\" 127.0.0.1:8444 $method

A signature is for this one message to this method of this hub, and for some minutes. A changing one counts once: sent \
again, it gets the same answer. It is over the message as protobuf writes it, fields by number and maps by key; a program \
that writes another order is not understood.";

/// The flags of `lanyard sign`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct SignArgs {
    /// The method, such as `lanyard.mapping.v1.Clusters/DescribeCluster`.
    method: String,
    /// The request message as JSON; `-` reads standard input.
    #[arg(long, short, value_name = "JSON", default_value = "{}")]
    data: String,
}

impl SignArgs {
    /// Prints the headers.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let path = format!("/{}", self.method.trim_start_matches('/'));
        let data = if self.data == "-" { Source::Stdin.read()? } else { self.data };
        // What is wrong with the command shows before any hub is asked.
        let message = encode(&request_of(&descriptors()?, &path)?, &data)?;
        let hub = context.connect().await?;
        let mut headers = BTreeMap::new();
        for (name, value) in hub.sign(&path, &message)? {
            let value = value.to_str().map_err(|_| {
                Failure::usage(format!(
                    "the value of header `{name}` is not ASCII text: no client can send it"
                ))
            })?;
            headers.insert(name.to_string(), value.to_owned());
        }
        match context.output {
            // As programs take them that send headers.
            Output::Table => {
                for (name, value) in &headers {
                    line(&format!("{name}: {value}"))?;
                }
                Ok(Ending::Yes)
            }
            Output::Json | Output::Yaml => context.show(&Headers(headers)),
        }
    }
}

/// The headers by name.
#[derive(Debug, serde::Serialize)]
struct Headers(BTreeMap<String, String>);

impl Tabular for Headers {
    fn columns(&self) -> Vec<&'static str> {
        vec!["HEADER", "VALUE"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.0.iter().map(|(name, value)| vec![name.clone(), value.clone()]).collect()
    }
}

/// What is known of every message of the protos.
fn descriptors() -> Result<DescriptorPool, Failure> {
    DescriptorPool::decode(lanyard_proto::DESCRIPTORS)
        .map_err(|error| Failure::usage(format!("this program's own descriptors cannot be read: {error}")))
}

/// What a method that takes a signature takes as its message.
fn request_of(pool: &DescriptorPool, path: &str) -> Result<MessageDescriptor, Failure> {
    let name = path.trim_start_matches('/');
    if methods::is_open(path) || methods::is_unsigned(path) {
        return Err(Failure::usage(format!("`{name}` is open to all: call it without a signature")));
    }
    methods::find(path).and_then(|method| pool.get_message_by_name(method.request)).ok_or_else(|| {
        let form =
            "give it as lanyard.<service>.v1.<Service>/<Method>; `grpcurl HOST:PORT list` has the services";
        Failure::usage(format!("`{name}` is not a method that a front door lets through: {form}"))
    })
}

/// The one encoding of a message that JSON describes.
fn encode(message: &MessageDescriptor, json: &str) -> Result<Vec<u8>, Failure> {
    let name = message.full_name();
    let wrong = |error: serde_json::Error| {
        let next = format!("`grpcurl HOST:PORT describe {name}` has its fields");
        Failure::usage(format!("--data is not a `{name}` in JSON: {error}; {next}"))
    };
    let read = match with_masks_apart(message, json) {
        Some((rest, masks)) => {
            let mut read = DynamicMessage::deserialize(message.clone(), rest).map_err(wrong)?;
            masks.into_iter().for_each(|(field, mask)| read.set_field(&field, mask));
            read
        }
        None => {
            let mut deserializer = serde_json::Deserializer::from_str(json);
            let read = DynamicMessage::deserialize(message.clone(), &mut deserializer).map_err(wrong)?;
            deserializer.end().map_err(wrong)?;
            read
        }
    };
    let mut bytes = Vec::new();
    write(&read, &mut bytes);
    Ok(bytes)
}

/// The message without its field masks, and these, where one is written as grpcurl takes it: as the message that a mask is,
/// `{"paths": ["ends_at"]}`. In protobuf's own JSON it is a text, `"endsAt"`, and needs nothing of this.
fn with_masks_apart(
    message: &MessageDescriptor,
    json: &str,
) -> Option<(serde_json::Value, Vec<(FieldDescriptor, Value)>)> {
    let mut members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).ok()?;
    let mut masks = Vec::new();
    for field in message.fields() {
        let Kind::Message(kind) = field.kind() else { continue };
        if kind.full_name() != FIELD_MASK {
            continue;
        }
        for name in [field.name(), field.json_name()] {
            let Some(paths) = members.get(name).and_then(paths_of) else { continue };
            let mut mask = DynamicMessage::new(kind.clone());
            mask.set_field_by_name("paths", Value::List(paths.into_iter().map(Value::String).collect()));
            members.remove(name);
            masks.push((field.clone(), Value::Message(mask)));
        }
    }
    (!masks.is_empty()).then_some((serde_json::Value::Object(members), masks))
}

/// The paths of a mask that is written as a message, and as nothing else.
fn paths_of(mask: &serde_json::Value) -> Option<Vec<String>> {
    let members = mask.as_object().filter(|members| members.len() == 1)?;
    let paths = members.get("paths")?.as_array()?;
    paths.iter().map(|path| path.as_str().map(str::to_owned)).collect()
}

/// Writes a message field by field, and its maps in the order of their keys: the library has these in no order.
fn write(message: &DynamicMessage, bytes: &mut Vec<u8>) {
    for (field, value) in message.fields() {
        match value {
            Value::Map(map) => {
                let sorted: BTreeMap<_, _> = map.iter().collect();
                for (key, value) in sorted {
                    let entry = Value::Map([(key.clone(), value.clone())].into());
                    write_alone(message, &field, entry, bytes);
                }
            }
            Value::Message(inner) => write_message(&field, inner, bytes),
            Value::List(items) => match items.iter().map(Value::as_message).collect::<Option<Vec<_>>>() {
                Some(inner) => inner.into_iter().for_each(|inner| write_message(&field, inner, bytes)),
                None => write_alone(message, &field, value.clone(), bytes),
            },
            value => write_alone(message, &field, value.clone(), bytes),
        }
    }
}

fn write_message(field: &FieldDescriptor, message: &DynamicMessage, bytes: &mut Vec<u8>) {
    let mut inner = Vec::new();
    write(message, &mut inner);
    encode_key(field.number(), WireType::LengthDelimited, bytes);
    encode_varint(inner.len() as u64, bytes);
    bytes.extend(inner);
}

fn write_alone(message: &DynamicMessage, field: &FieldDescriptor, value: Value, bytes: &mut Vec<u8>) {
    let mut alone = DynamicMessage::new(message.descriptor());
    alone.set_field(field, value);
    bytes.extend(alone.encode_to_vec());
}

#[cfg(test)]
mod tests {
    use lanyard_proto::{call::v1 as call, mapping::v1 as mapping};

    use super::*;

    const CREATE: &str = "/lanyard.mapping.v1.Entries/CreateAccessEntry";

    #[test]
    fn json_becomes_the_bytes_that_generated_code_writes() {
        let json = r#"{"tags": {"b": "2", "a": "1"}, "groups": ["devs", "ops"], "endsAt": "2030-01-01T00:00:00Z",
            "entry_type": "ENTRY_TYPE_STANDARD", "principalArn": "arn", "cluster": "dev", "username": "",
            "mutation": {"reason": "é", "allow_lockout": false}}"#;
        let expected = mapping::CreateAccessEntryRequest {
            mutation: Some(call::Mutation { reason: "é".to_owned(), ..call::Mutation::default() }),
            cluster: "dev".to_owned(),
            principal_arn: "arn".to_owned(),
            entry_type: mapping::EntryType::Standard.into(),
            username: Some(String::new()),
            groups: vec!["devs".to_owned(), "ops".to_owned()],
            tags: [("a", "1"), ("b", "2")].map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            ends_at: Some("2030-01-01T00:00:00Z".parse().unwrap()),
            ..Default::default()
        };
        let create = request_of(&descriptors().unwrap(), CREATE).unwrap();
        // The library's maps have another order each time.
        for _ in 0..20 {
            assert_eq!(encode(&create, json).unwrap(), expected.encode_to_vec());
        }
        assert_eq!(encode(&create, "{}").unwrap(), Vec::<u8>::new());
    }

    #[test]
    fn a_mask_is_read_as_protobufs_json_has_it_and_as_grpcurl_does() {
        let update =
            request_of(&descriptors().unwrap(), "/lanyard.mapping.v1.Entries/UpdateAccessEntry").unwrap();
        let expected = |paths: &[&str]| {
            let paths = paths.iter().map(|path| (*path).to_owned()).collect();
            let update_mask = Some(prost_reflect::prost_types::FieldMask { paths });
            let cluster = "dev".to_owned();
            mapping::UpdateAccessEntryRequest { cluster, update_mask, ..Default::default() }.encode_to_vec()
        };
        let cases: [(&str, &[&str]); 6] = [
            (r#"{"cluster": "dev", "update_mask": "endsAt,groups"}"#, &["ends_at", "groups"]),
            (r#"{"updateMask": "*", "cluster": "dev"}"#, &["*"]),
            (
                r#"{"cluster": "dev", "update_mask": {"paths": ["ends_at", "groups"]}}"#,
                &["ends_at", "groups"],
            ),
            (r#"{"updateMask": {"paths": ["*"]}, "cluster": "dev"}"#, &["*"]),
            (r#"{"updateMask": {"paths": []}, "cluster": "dev"}"#, &[]),
            (r#"{"cluster": "dev", "update_mask": {"paths": ["no such, field"]}}"#, &["no such, field"]),
        ];
        for (json, paths) in cases {
            assert_eq!(encode(&update, json).unwrap(), expected(paths), "{json}");
        }
        for json in [
            r#"{"update_mask": {"paths": [1]}}"#,
            r#"{"update_mask": {"paths": [], "more": 1}}"#,
            r#"{"update_mask": ["groups"]}"#,
            r#"{"update_mask": {"paths": []}, "clster": "dev"}"#,
        ] {
            assert!(encode(&update, json).is_err(), "{json}");
        }
    }

    #[test]
    fn every_method_that_takes_a_signature_can_be_signed() {
        let pool = descriptors().unwrap();
        for method in methods::MANAGED {
            assert_eq!(
                request_of(&pool, method.path).unwrap().full_name(),
                method.request,
                "{}",
                method.path
            );
        }
    }

    #[test]
    fn what_cannot_be_signed_is_named_with_the_next_step() {
        let pool = descriptors().unwrap();
        let cases = [
            ("/lanyard.gateway.v1.Explain/Hub", "without a signature"),
            ("/lanyard.authn.v1.Admit/Admit", "not a method"),
            ("/x", "lanyard.<service>.v1.<Service>/<Method>"),
        ];
        for (path, said) in cases {
            let failure = request_of(&pool, path).unwrap_err();
            assert!(matches!(&failure, Failure::Usage(text) if text.contains(said)), "{path}: {failure}");
        }
        let create = request_of(&pool, CREATE).unwrap();
        for json in
            ["", "[]", "{", r#"{"cluster": 1}"#, r#"{"clster": "dev"}"#, "{} {}", r#"{"entry_type": "X"}"#]
        {
            let failure = encode(&create, json).unwrap_err();
            assert!(
                matches!(&failure, Failure::Usage(text) if text.contains("describe")),
                "{json}: {failure}"
            );
        }
    }
}
