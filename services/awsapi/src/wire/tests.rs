use http_body_util::BodyExt as _;

use super::*;

fn style(service: Service, accepts_json: bool) -> Style {
    Style { service: Some(service), is_query: false, accepts_json, id: Uuid::from_u128(7) }
}

async fn text(response: Response<Body>) -> (u16, String, String) {
    let (parts, body) = response.into_parts();
    assert_eq!(parts.headers[REQUEST_ID], Uuid::from_u128(7).to_string());
    let body = body.collect().await.unwrap().to_bytes();
    let kind = parts.headers[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    (parts.status.as_u16(), kind, String::from_utf8(body.to_vec()).unwrap())
}

fn members() -> Answer {
    let at = time::OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
    Answer::Query(vec![
        ("Arn", Node::Text("arn:<&>".to_owned())),
        ("Count", Node::Number(3)),
        ("IsTruncated", Node::Flag(false)),
        ("At", Node::Moment(at)),
        ("Tags", Node::List(vec![Node::Members(vec![("Key", Node::Text("a\u{0}b".to_owned()))])])),
    ])
}

#[tokio::test]
async fn a_query_answer_is_xml_with_its_result_and_number() {
    let (status, kind, body) = text(style(Service::Sts, false).answer("GetX", &members())).await;
    assert_eq!((status, kind.as_str()), (200, "text/xml"));
    assert_eq!(
        body,
        "<GetXResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetXResult><Arn>arn:&lt;&amp;&gt;</Arn>\
         <Count>3</Count><IsTruncated>false</IsTruncated><At>2023-11-14T22:13:20Z</At><Tags><member><Key>a\u{fffd}b</Key>\
         </member></Tags></GetXResult><ResponseMetadata><RequestId>00000000-0000-0000-0000-000000000007</RequestId>\
         </ResponseMetadata></GetXResponse>\n"
    );
    let (_, _, nothing) =
        text(style(Service::Iam, false).answer("DeleteX", &Answer::Query(Vec::new()))).await;
    assert!(
        !nothing.contains("Result>") && nothing.contains("iam.amazonaws.com/doc/2010-05-08/"),
        "{nothing}"
    );
}

#[tokio::test]
async fn who_accepts_json_gets_the_same_as_json() {
    let (_, kind, body) = text(style(Service::Sts, true).answer("GetX", &members())).await;
    assert_eq!(kind, "application/json");
    let read: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(read["GetXResponse"]["GetXResult"]["Arn"], "arn:<&>");
    assert_eq!(read["GetXResponse"]["GetXResult"]["At"], 1_700_000_000.0);
    assert_eq!(read["GetXResponse"]["ResponseMetadata"]["RequestId"], Uuid::from_u128(7).to_string());
}

#[tokio::test]
async fn an_error_has_code_and_message_where_each_protocol_looks_for_them() {
    let error = AwsError::new("ResourceNotFoundException", 404, "No cluster found for name: <x>.");
    let response = style(Service::Eks, false).error(&error, Some("<x>"));
    assert_eq!(response.headers()[ERROR_TYPE], "ResourceNotFoundException");
    let (status, _, body) = text(response).await;
    let read: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &read["message"], &read["clusterName"]),
        (404, &json!("No cluster found for name: <x>."), &json!("<x>"))
    );
    let denied = AwsError::new("AccessDeniedException", 403, "no");
    let (_, _, body) = text(style(Service::Eks, false).error(&denied, Some("<x>"))).await;
    assert_eq!(body, r#"{"message":"no"}"#, "an error whose shape names no cluster");

    let error = AwsError::new("ServiceUnavailable", 503, "later");
    let response = style(Service::Sts, false).error(&error, None);
    assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    let (status, _, body) = text(response).await;
    assert_eq!(status, 503);
    assert!(
        body.contains(
            "<Error><Type>Receiver</Type><Code>ServiceUnavailable</Code><Message>later</Message></Error>"
        ),
        "{body}"
    );
    let (_, _, body) = text(style(Service::Sts, true).error(&error, None)).await;
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["Error"]["Code"], "ServiceUnavailable");
}

#[tokio::test]
async fn a_service_that_is_none_of_ours_is_told_so_in_the_protocol_in_which_it_is_asked() {
    let error = AwsError::new("SignatureDoesNotMatch", 403, "here there are others");
    let unknown = |is_query| Style { service: None, is_query, ..style(Service::Sts, false) };
    let (status, kind, body) = text(unknown(true).error(&error, None)).await;
    assert_eq!((status, kind.as_str()), (403, "text/xml"));
    assert!(body.contains("<Code>SignatureDoesNotMatch</Code>"), "{body}");
    let response = unknown(false).error(&error, None);
    assert_eq!(response.headers()[ERROR_TYPE], "SignatureDoesNotMatch");
    assert_eq!((unknown(true).words(), unknown(false).words()), (Some(Service::Sts), None));
    assert_eq!(Style { is_query: true, ..style(Service::Eks, false) }.words(), Some(Service::Eks));
}
