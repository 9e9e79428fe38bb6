//! Counting answers, under closed sets of labels.

use std::time::Duration;

use lanyard_api::Fault;
use lanyard_api::authn::Authentication;
use lanyard_kit::telemetry::{Counters, Histograms, Label, names};

/// How an answer about a token ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    NotOurs,
    Verified,
    Refused,
    Fault,
}

impl Label for Outcome {
    const KEY: &'static str = names::OUTCOME;
    const ALL: &'static [Self] = &[Self::NotOurs, Self::Verified, Self::Refused, Self::Fault];

    fn value(self) -> &'static str {
        match self {
            Self::NotOurs => "not_ours",
            Self::Verified => "verified",
            Self::Refused => "refused",
            Self::Fault => "fault",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

macro_rules! reasons {
    ($($variant:ident $code:literal,)*) => {
        /// Why: the codes of refusals and faults that a dashboard tells apart. What has no line of its own is a part of the
        /// token that is out of form.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Reason {
            None,
            TokenForm,
            $($variant,)*
        }

        impl Reason {
            fn of(code: &str) -> Self {
                match code {
                    $($code => Self::$variant,)*
                    _ => Self::TokenForm,
                }
            }
        }

        impl Label for Reason {
            const KEY: &'static str = names::REASON;
            const ALL: &'static [Self] = &[Self::None, Self::TokenForm, $(Self::$variant,)*];

            fn value(self) -> &'static str {
                match self {
                    Self::None => "none",
                    Self::TokenForm => "token_form",
                    $(Self::$variant => $code,)*
                }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

reasons! {
    UnknownCluster "unknown_cluster",
    OlderThanCluster "older_than_cluster",
    AuthorityNotTrusted "authority_not_trusted",
    AccountNotRegistered "account_not_registered",
    AccountOfOtherAuthority "account_of_other_authority",
    AccountNotTrusted "account_not_trusted",
    Partition "partition",
    Blocked "blocked",
    SignatureOrCluster "signature_or_cluster",
    UnknownKey "unknown_key",
    InactiveKey "inactive_key",
    SealedKey "sealed_key",
    SessionTokenMissing "session_token_missing",
    SessionTokenUnexpected "session_token_unexpected",
    SessionTokenMalformed "session_token_malformed",
    SessionTokenSealed "session_token_sealed",
    SessionTokenForged "session_token_forged",
    SessionOfOtherKey "session_of_other_key",
    SessionFromFuture "session_from_future",
    SessionKeyUnknown "session_key_unknown",
    SessionExpired "session_expired",
    SessionRoleGone "session_role_gone",
    SessionAncestorGone "session_ancestor_gone",
    SessionRevoked "session_revoked",
    SessionAccountGone "session_account_gone",
    SessionPoliciesGone "session_policies_gone",
    ExchangedSession "exchanged_session",
    StsExpired "sts_expired",
    InvalidKey "invalid_key",
    IncompleteSignature "incomplete_signature",
    RegionDisabled "region_disabled",
    StsRefused "sts_refused",
    Audience "audience",
    AuthorizedParty "authorized_party",
    JwtSignature "jwt_signature",
    JwtSymmetric "jwt_symmetric",
    JwtUnsigned "jwt_unsigned",
    KeyAlgorithm "key_algorithm",
    Unavailable "unavailable",
    Throttled "throttled",
    TimedOut "timed_out",
    Stale "stale",
    Internal "internal",
}

/// The metrics of answers about tokens.
pub(crate) struct Answers {
    counts: Counters<(Outcome, Reason)>,
    seconds: Histograms<Outcome>,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            counts: Counters::new(names::AUTHN_ANSWERS_TOTAL),
            seconds: Histograms::new(names::AUTHN_SECONDS),
        }
    }
}

impl Answers {
    pub(crate) fn count(&self, answer: &Result<Authentication, Fault>, took: Duration) {
        let (outcome, reason) = match answer {
            Ok(Authentication::NotOurs) => (Outcome::NotOurs, Reason::None),
            Ok(Authentication::Verified(_)) => (Outcome::Verified, Reason::None),
            Ok(Authentication::Refused(refusal)) => (Outcome::Refused, Reason::of(&refusal.denial.code)),
            Err(fault) => (Outcome::Fault, Reason::of(fault.code())),
        };
        self.counts.increment((outcome, reason));
        self.seconds.record(outcome, took);
        let token = match answer {
            Ok(Authentication::Verified(verified)) => Some(&verified.token),
            Ok(_) | Err(_) => None,
        };
        tracing::debug!(
            { names::OUTCOME } = outcome.value(),
            { names::REASON_CODE } = reason.value(),
            { names::TOKEN_SHA256 } = token.map(tracing::field::display),
            { names::DURATION_SECONDS } = took.as_secs_f64(),
            "a token is looked at"
        );
    }
}

#[cfg(test)]
mod tests {
    use lanyard_api::{Denial, authn::Refusal};
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    fn refused(code: &'static str) -> Result<Authentication, Fault> {
        let denial = Denial { code: code.into(), message: String::new() };
        Ok(Authentication::Refused(Refusal {
            denial,
            part: String::new(),
            authority: None,
            access_key_id: None,
            hints: Vec::new(),
        }))
    }

    /// What of a metric is not at zero.
    fn counted<'a>(shown: &'a str, name: &str) -> Vec<&'a str> {
        let of_name = shown.lines().filter_map(|line| line.strip_prefix(name));
        let mut counted: Vec<_> = of_name.filter(|rest| !rest.ends_with(" 0")).collect();
        counted.sort_unstable();
        counted
    }

    #[test]
    fn a_refusal_is_counted_as_one_and_no_answer_as_a_fault() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            let answers = Answers::default();
            let given = [
                Ok(Authentication::NotOurs),
                refused("signature_or_cluster"),
                refused("signature_or_cluster"),
                refused("host"),
                Err(Fault::TimedOut { part: "STS".into(), limit: Duration::from_secs(1) }),
                Err(Fault::Internal),
            ];
            for answer in &given {
                answers.count(answer, Duration::from_millis(1));
            }
        });
        let shown = recorder.handle().render();
        assert_eq!(
            counted(&shown, "lanyard_authn_answers_total"),
            [
                r#"{outcome="fault",reason="internal"} 1"#,
                r#"{outcome="fault",reason="timed_out"} 1"#,
                r#"{outcome="not_ours",reason="none"} 1"#,
                r#"{outcome="refused",reason="signature_or_cluster"} 2"#,
                r#"{outcome="refused",reason="token_form"} 1"#,
            ],
            "{shown}"
        );
        assert_eq!(
            counted(&shown, "lanyard_authn_seconds_count"),
            [r#"{outcome="fault"} 2"#, r#"{outcome="not_ours"} 1"#, r#"{outcome="refused"} 3"#],
            "{shown}"
        );
    }

    #[test]
    fn every_reason_is_found_by_its_code_and_stands_in_its_place() {
        for (place, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), place);
            if !matches!(reason, Reason::None | Reason::TokenForm) {
                assert_eq!(Reason::of(reason.value()), *reason);
            }
        }
        assert_eq!(Reason::of("host"), Reason::TokenForm);
    }
}
