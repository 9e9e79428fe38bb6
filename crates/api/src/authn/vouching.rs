//! Authn's answers with vouchers on them.

use std::sync::Arc;

use super::{
    Admission, Admit, AdmitAws, AdmitAwsQuery, AdmitQuery, Authenticate, AuthenticateQuery, Authentication,
    AwsAdmission,
};
use crate::{
    fault::Fault,
    identity::{Actor, Vouched},
    voucher::{Audience, Vouchers},
};

/// Puts a voucher on every identity (for mapping, and the cluster that asked) and every actor (for the service that has the
/// method), so that the answer can leave this process. Without it no other process takes what authn says.
pub struct Vouching<T> {
    inner: Arc<T>,
    vouchers: LiveVouchers,
}

/// Where the keys are that authn vouches by, as they are now.
pub type LiveVouchers = Arc<dyn Fn() -> Arc<Vouchers> + Send + Sync>;

impl<T> Vouching<T> {
    /// Around authn's engine.
    pub fn new(inner: Arc<T>, vouchers: Vouchers) -> Self {
        let vouchers = Arc::new(vouchers);
        Self::following(inner, Arc::new(move || Arc::clone(&vouchers)))
    }

    /// The same with keys that are rotated meanwhile.
    pub fn following(inner: Arc<T>, vouchers: LiveVouchers) -> Self {
        Self { inner, vouchers }
    }
}

impl<T> std::fmt::Debug for Vouching<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vouching")
    }
}

impl<T: Authenticate> Authenticate for Vouching<T> {
    async fn authenticate(&self, query: AuthenticateQuery) -> Result<Authentication, Fault> {
        let cluster = query.cluster;
        Ok(match self.inner.authenticate(query).await? {
            Authentication::Verified(mut verified) => {
                let vouched = (self.vouchers)().vouched(verified.identity, Audience::Mapping, Some(cluster));
                verified.identity = vouched.map_err(too_large)?;
                Authentication::Verified(verified)
            }
            other @ (Authentication::NotOurs | Authentication::Refused(_)) => other,
        })
    }
}

impl<T: Admit> Admit for Vouching<T> {
    async fn admit(&self, query: AdmitQuery) -> Result<Admission, Fault> {
        let method = query.weighed().0.to_owned();
        Ok(match self.inner.admit(query).await? {
            Admission::Admitted(actor) => Admission::Admitted(Box::new(self.vouch(*actor, &method)?)),
            other @ (Admission::Unauthenticated(_) | Admission::Forbidden(_)) => other,
        })
    }
}

impl<T: AdmitAws> AdmitAws for Vouching<T> {
    async fn admit_aws(&self, query: AdmitAwsQuery) -> Result<AwsAdmission, Fault> {
        Ok(match self.inner.admit_aws(query).await? {
            AwsAdmission::Admitted(mut admitted) => {
                admitted.actor = self.vouch(admitted.actor, &admitted.method)?;
                AwsAdmission::Admitted(admitted)
            }
            other @ (AwsAdmission::Unauthenticated(_)
            | AwsAdmission::Forbidden(_)
            | AwsAdmission::Wrong(_)) => other,
        })
    }
}

impl<T> Vouching<T> {
    /// For the service that has the method.
    fn vouch(&self, actor: Vouched<Actor>, method: &str) -> Result<Vouched<Actor>, Fault> {
        let Some(audience) = Audience::of_method(method) else {
            tracing::error!("authn admitted a method that no service has");
            return Err(Fault::Internal);
        };
        (self.vouchers)().vouched(actor, audience, None).map_err(too_large)
    }
}

fn too_large(error: crate::voucher::VoucherError) -> Fault {
    tracing::error!(%error, "an answer of authn cannot be vouched for");
    Fault::Internal
}
