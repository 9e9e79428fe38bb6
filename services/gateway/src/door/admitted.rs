//! What a call that was admitted may ask of services in its caller's name.
//!
//! A voucher is for one method and message. A door that asks something else of a service for the same caller, or says the same
//! in other bytes, has it admitted beside the call that was signed, by authn, as ever.

use std::future::Future;

use lanyard_api::{
    Actor, Vouched,
    authn::{Admission, Admit, AdmitQuery, Beside},
    methods,
};

use bytes::Bytes;

use crate::names::Signed;

tokio::task_local! {
    static SIGNED: AdmitQuery;
}

/// Works on a call with what was signed at hand.
pub(crate) async fn within<F: Future>(signed: Option<Signed>, work: F) -> F::Output {
    match signed {
        Some(Signed(query)) => SIGNED.scope(query, work).await,
        None => work.await,
    }
}

/// The actor for a message: as it is where it was admitted for that very message, else admitted beside the call at work. None
/// where neither is so; the service then refuses the call.
pub(crate) async fn fitting<A: Admit>(
    authn: &A,
    actor: &Vouched<Actor>,
    method: &str,
    message: Bytes,
) -> Option<Vouched<Actor>> {
    let call = methods::read(method, &message).ok()?;
    let fits = actor.value.action == call.action && actor.value.request_digest == call.request_digest;
    if fits {
        return None;
    }
    let beside = Beside { method: method.to_owned(), body: message };
    let asked = SIGNED.try_with(|signed| AdmitQuery { beside: Some(beside), ..signed.clone() }).ok()?;
    match authn.admit(asked).await {
        Ok(Admission::Admitted(actor)) => Some(*actor),
        Ok(Admission::Unauthenticated(_) | Admission::Forbidden(_)) | Err(_) => None,
    }
}
