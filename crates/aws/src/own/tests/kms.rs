use super::*;
use crate::own::KmsKey;

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const ALIAS: &str = "arn:aws:kms:eu-west-1:111122223333:alias/lanyard";
const CONTEXT: [(&str, &str); 2] = [("lanyard:hub", "7"), ("lanyard:service", "serve")];

async fn stage() -> (StandIn, AwsClient, KmsKey) {
    let (stand_in, client) = start(&quick()).await;
    stand_in.add_kms_key(KEY, Some(ALIAS));
    (stand_in, client, KmsKey::parse(ALIAS).unwrap())
}

#[tokio::test]
async fn a_key_is_unwrapped_by_the_key_and_for_the_context_that_wrapped_it() {
    let (stand_in, client, alias) = stage().await;
    let made = client.generate_data_key(&alias, &CONTEXT).await.unwrap();
    assert_eq!(made.key.as_str(), KEY, "the alias may point elsewhere one day");
    let unwrapped = client.unwrap_data_key(&made.key, &made.wrapped, &CONTEXT).await.unwrap();
    assert_eq!(unwrapped, made.plaintext);
    let another = client.generate_data_key(&alias, &CONTEXT).await.unwrap();
    assert_ne!(another.plaintext, made.plaintext);

    let other = KEY.replace("1234abcd", "ffffffff");
    stand_in.add_kms_key(&other, None);
    let other = KmsKey::parse(&other).unwrap();
    let elsewhere = [("lanyard:hub", "8"), ("lanyard:service", "serve")];
    let refused = async |key: &KmsKey, wrapped: &[u8], context: &[(&str, &str)]| match client
        .unwrap_data_key(key, wrapped, context)
        .await
    {
        Err(AwsFault::Refused(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&made.key, &made.wrapped, &elsewhere).await, "InvalidCiphertextException");
    assert_eq!(refused(&made.key, b"x", &CONTEXT).await, "InvalidCiphertextException");
    assert_eq!(refused(&other, &made.wrapped, &CONTEXT).await, "IncorrectKeyException");
    stand_in.deny("kms:Decrypt");
    assert_eq!(refused(&made.key, &made.wrapped, &CONTEXT).await, "AccessDeniedException");
}

#[tokio::test]
async fn an_answer_that_is_none_gives_no_key() {
    let (stand_in, client, alias) = stage().await;
    let made = client.generate_data_key(&alias, &CONTEXT).await.unwrap();
    for behaviour in [
        Behaviour::AnotherPrincipal,
        Behaviour::BadJson,
        Behaviour::Xml,
        Behaviour::ServerError,
        Behaviour::Throttled400,
        Behaviour::Hang,
        Behaviour::HugeBody,
    ] {
        stand_in.behave_at("kms", behaviour);
        let fault = client.unwrap_data_key(&made.key, &made.wrapped, &CONTEXT).await.unwrap_err();
        assert!(!format!("{fault:?}").contains("AAAA"), "{behaviour:?}: {fault:?}");
        assert!(client.generate_data_key(&alias, &CONTEXT).await.is_err(), "{behaviour:?}");
    }
}
