//! Authn's answers with vouchers on them.

use std::sync::Arc;

use super::{Admission, Admit, AdmitQuery, Authenticate, AuthenticateQuery, Authentication};
use crate::{
    fault::Fault,
    voucher::{Audience, Vouchers},
};

/// Puts a voucher on every identity (for mapping, and the cluster that asked) and every actor (for the service that has the
/// method), so that the answer can leave this process. Without it no other process takes what authn says.
#[derive(Debug)]
pub struct Vouching<T> {
    inner: Arc<T>,
    vouchers: Vouchers,
}

impl<T> Vouching<T> {
    /// Around authn's engine.
    pub fn new(inner: Arc<T>, vouchers: Vouchers) -> Self {
        Self { inner, vouchers }
    }
}

impl<T: Authenticate> Authenticate for Vouching<T> {
    async fn authenticate(&self, query: AuthenticateQuery) -> Result<Authentication, Fault> {
        let cluster = query.cluster;
        Ok(match self.inner.authenticate(query).await? {
            Authentication::Verified(mut verified) => {
                let vouched = self.vouchers.vouched(verified.identity, Audience::Mapping, Some(cluster));
                verified.identity = vouched.map_err(too_large)?;
                Authentication::Verified(verified)
            }
            other @ (Authentication::NotOurs | Authentication::Refused(_)) => other,
        })
    }
}

impl<T: Admit> Admit for Vouching<T> {
    async fn admit(&self, query: AdmitQuery) -> Result<Admission, Fault> {
        let audience = Audience::of_method(query.weighed().0);
        Ok(match (self.inner.admit(query).await?, audience) {
            (Admission::Admitted(actor), Some(audience)) => {
                let vouched = self.vouchers.vouched(*actor, audience, None).map_err(too_large)?;
                Admission::Admitted(Box::new(vouched))
            }
            (Admission::Admitted(_), None) => {
                tracing::error!("authn admitted a method that no service has");
                return Err(Fault::Internal);
            }
            (other @ (Admission::Unauthenticated(_) | Admission::Forbidden(_)), _) => other,
        })
    }
}

fn too_large(error: crate::voucher::VoucherError) -> Fault {
    tracing::error!(%error, "an answer of authn cannot be vouched for");
    Fault::Internal
}
