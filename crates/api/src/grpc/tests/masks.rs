//! A mask has done its work when a service is asked.

use std::time::Duration;

use lanyard_proto::{call::v1 as call, mapping::v1 as pb};
use prost_types::FieldMask;

use super::*;
use crate::grpc::pass;

/// What the service is asked where a request gives all of it and a mask names some.
async fn asked(paths: &[&str]) -> Result<String, crate::CallError> {
    let fake = Arc::new(Fake::default());
    let message = pb::UpdateAccessEntryRequest {
        cluster: text("dev"),
        principal_arn: text("arn:aws:iam::111122223333:role/Dev"),
        username: Some(text("ana")),
        groups: Some(call::Strings { values: vec![text("devs")] }),
        rebind: true,
        update_mask: Some(FieldMask { paths: paths.iter().map(|path| text(path)).collect() }),
        ..Default::default()
    };
    let channel = served(&fake).channel();
    let answer: Result<pb::AccessEntryMutated, _> =
        pass(channel, actor(), message, Duration::from_secs(9)).await;
    let mut asked = std::mem::take(&mut *fake.asked.lock().unwrap());
    answer.map(|_| asked.pop().unwrap())
}

#[tokio::test]
async fn a_service_is_asked_for_what_the_mask_leaves() {
    let cases = [
        (
            &["username"][..],
            r#"username: Some("ana"), groups: None, ends_at: None, rebind: false, pin_until: None"#,
        ),
        (&["ends_at"], "username: None, groups: None, ends_at: Some(None), rebind: false, pin_until: None"),
        (
            &["*"],
            r#"username: Some("ana"), groups: Some(["devs"]), ends_at: Some(None), rebind: true, pin_until: None"#,
        ),
    ];
    for (paths, expected) in cases {
        let asked = asked(paths).await.unwrap();
        assert!(asked.contains(expected), "{paths:?}: {asked}");
    }
    assert!(asked(&["colour"]).await.is_err());
}
