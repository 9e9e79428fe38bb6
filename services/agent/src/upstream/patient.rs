//! An upstream that is asked again where that may help, within one deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::{Upstream, UpstreamError};
use crate::credentials::Credentials;
use crate::token::PodToken;

/// Most questions for one answer, as the AWS SDKs' standard retry mode has it.
const ATTEMPTS_MAX: u32 = 3;
/// Before the second question; before the third it is twice that.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks again, until a deadline.
#[derive(Debug)]
pub struct Patient<U> {
    inner: U,
    limit: Duration,
}

impl<U> Patient<U> {
    /// Until `limit` after the first question there has to be an answer. SDKs wait for the agent for one to two seconds.
    #[must_use]
    pub fn new(inner: U, limit: Duration) -> Self {
        Self { inner, limit }
    }
}

impl<U: Upstream> Upstream for Patient<U> {
    async fn assume(&self, token: &PodToken) -> Result<Credentials, UpstreamError> {
        let deadline = Instant::now() + self.limit;
        let mut last = None;
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                let pause = PAUSE * attempt;
                if Instant::now() + pause >= deadline {
                    break;
                }
                sleep(pause).await;
            }
            match timeout_at(deadline, self.inner.assume(token)).await {
                Ok(Err(error)) if error.is_passing() => last = Some(error),
                Ok(other) => return other,
                Err(_) => break,
            }
        }
        Err(last.unwrap_or_else(|| UpstreamError::Fault {
            whom: "the issuer of credentials",
            reason: format!("it did not answer within {:?}", self.limit),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::credentials::tests::credentials;
    use crate::token::tests::{NOW, payload, unsigned};
    use crate::upstream::AuthError;

    struct Failing {
        code: AuthError,
        times: u32,
        asked: AtomicU32,
    }

    impl Upstream for Failing {
        async fn assume(&self, _: &PodToken) -> Result<Credentials, UpstreamError> {
            if self.asked.fetch_add(1, Ordering::SeqCst) < self.times {
                return Err(UpstreamError::answered(self.code, "no".to_owned()));
            }
            Ok(credentials(NOW))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_asked_again_and_a_refusal_is_not() {
        let cases = [
            (AuthError::Throttling, 2, true, 3),
            (AuthError::ServiceUnavailable, 3, false, 3),
            (AuthError::AccessDenied, 1, false, 1),
            (AuthError::ResourceNotFound, 1, false, 1),
        ];
        let token = PodToken::parse(&unsigned(&payload("pod-1")), NOW).unwrap();
        for (code, times, is_answered, asked) in cases {
            let patient =
                Patient::new(Failing { code, times, asked: AtomicU32::new(0) }, Duration::from_secs(1));
            assert_eq!(patient.assume(&token).await.is_ok(), is_answered, "{code:?}");
            assert_eq!(patient.inner.asked.load(Ordering::SeqCst), asked, "{code:?}");
        }
    }

    struct Silent;

    impl Upstream for Silent {
        async fn assume(&self, _: &PodToken) -> Result<Credentials, UpstreamError> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_at_the_deadline() {
        let token = PodToken::parse(&unsigned(&payload("pod-1")), NOW).unwrap();
        let error = Patient::new(Silent, Duration::from_secs(1)).assume(&token).await.unwrap_err();
        assert!(error.to_string().contains("1s"), "{error}");
        assert!(!error.is_final());
    }
}
