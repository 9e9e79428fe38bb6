//! A badge as API servers get it.

use std::{fmt, ops::Deref, sync::OnceLock};

use serde_json::value::RawValue;

use crate::identity::UserInfo;

/// A badge, and how an API server reads it: written out when it is first sent, and the same bytes for all who are given the
/// badge again.
#[derive(Default)]
pub struct WrittenUser {
    info: UserInfo,
    json: OnceLock<Option<Box<RawValue>>>,
}

impl WrittenUser {
    /// The `user` of a TokenReview's status (`authentication.k8s.io` UserInfo); none where it cannot be written.
    pub fn json(&self) -> Option<&RawValue> {
        self.json.get_or_init(|| serde_json::value::to_raw_value(&self.info).ok()).as_deref()
    }

    /// The badge alone.
    pub fn into_info(self) -> UserInfo {
        self.info
    }
}

impl From<UserInfo> for WrittenUser {
    fn from(info: UserInfo) -> Self {
        Self { info, json: OnceLock::new() }
    }
}

impl Deref for WrittenUser {
    type Target = UserInfo;

    fn deref(&self) -> &UserInfo {
        &self.info
    }
}

impl Clone for WrittenUser {
    fn clone(&self) -> Self {
        self.info.clone().into()
    }
}

impl PartialEq for WrittenUser {
    fn eq(&self, other: &Self) -> bool {
        self.info == other.info
    }
}

impl fmt::Debug for WrittenUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_the_badge_each_time_and_for_whoever_holds_it() {
        let info = UserInfo {
            username: "an\"a".to_owned(),
            uid: "1".to_owned(),
            groups: vec!["dev".to_owned()],
            extra: [("arn".into(), vec!["arn:aws:iam::111122223333:user/ana".to_owned()])].into(),
        };
        let user = WrittenUser::from(info.clone());
        let expected = r#"{"username":"an\"a","uid":"1","groups":["dev"],"extra":{"arn":["arn:aws:iam::111122223333:user/ana"]}}"#;
        assert_eq!(user.json().map(RawValue::get), Some(expected));
        assert!(std::ptr::eq(user.json().unwrap(), user.json().unwrap()), "written twice");
        let other = WrittenUser::from(UserInfo { username: "bob".to_owned(), ..user.clone().into_info() });
        assert!(other != user && other.json().unwrap().get().contains("bob"));
        assert_eq!((user.clone(), user.into_info()), (info.clone().into(), info));
    }
}
