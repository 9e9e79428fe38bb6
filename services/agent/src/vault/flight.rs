//! One question for one token at a time.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::quality::RandomState;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use lanyard_iam::TokenDigest;

use super::Answer;
use crate::upstream::{AuthError, UpstreamError};

/// Most tokens that are asked about at once; each waits for one of far fewer questions.
const FLIGHTS_MAX: usize = 1_024;

type Outcome = Result<Arc<Answer>, UpstreamError>;
type Flight = Shared<BoxFuture<'static, Outcome>>;

/// The questions that are under way.
#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<TokenDigest, Flight, RandomState>>>);

impl Flights {
    /// Joins the question about a token, or begins it. It goes on when those who wait for it go away: what comes is kept.
    pub(super) async fn join<F>(&self, digest: TokenDigest, fetch: impl FnOnce() -> F) -> Outcome
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let flight = {
            let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match flights.get(&digest) {
                Some(flight) => flight.clone(),
                None if flights.len() >= FLIGHTS_MAX => {
                    let message = "too many tokens are asked about at once; try again".to_owned();
                    return Err(UpstreamError::answered(AuthError::Throttling, message));
                }
                None => {
                    let (fetch, landed) = (fetch(), Landed(self.clone(), digest));
                    let task = tokio::spawn(async move {
                        let outcome = fetch.await;
                        drop(landed);
                        outcome
                    });
                    let flight = task.map(|ended| ended.unwrap_or_else(|_| Err(broken()))).boxed().shared();
                    flights.insert(digest, flight.clone());
                    flight
                }
            }
        };
        flight.await
    }
}

/// Takes the question off the list when it is answered, and when it breaks off.
struct Landed(Flights, TokenDigest);

impl Drop for Landed {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

fn broken() -> UpstreamError {
    UpstreamError::Fault { whom: "the agent", reason: "the question broke off".to_owned() }
}
