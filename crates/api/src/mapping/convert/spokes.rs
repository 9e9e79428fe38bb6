//! Spokes.

use std::time::Duration;

use lanyard_proto::mapping::v1 as pb;
use secrecy::ExposeSecret as _;

use crate::{
    fault::CallError,
    grpc::{
        codec::{convert, optional_message},
        field::{self, wire_enum},
        mutation::mutated,
    },
    mapping::spokes::{AwsAuthSight, LendQuery, Lending, Loan, SpokeKubeconfig, SpokeStatus, SpokeWatch},
};

wire_enum! { AwsAuthSight = pb::AwsAuthSight { Unseen, Present, Missing } }

convert! { SpokeKubeconfig = pb::SpokeKubeconfig {
    version: plain, server: plain, credential_kind: plain, put_by: plain, put_at: moment; cluster = cluster_uid: text,
} }
convert! { SpokeWatch = pb::SpokeWatch {
    holder: plain, reported_at: moment, listed_at: optional_moment, pushed_at: optional_moment, objects: plain,
    aws_auth: choice, aws_auth_missing_since: optional_moment, fault: plain, fault_since: optional_moment,
    service_accounts: plain, issuer_url: plain, issuer_read_at: optional_moment, refused: plain, reviews_pods: plain,
} }

mutated! { SpokeKubeconfig = pb::SpokeKubeconfigMutated { kubeconfig: message } }

impl From<SpokeStatus> for pb::Spoke {
    fn from(status: SpokeStatus) -> Self {
        Self {
            kubeconfig: status.kubeconfig.map(Into::into),
            watch: status.watch.map(Into::into),
            lease_ends_at: status.lease_ends_at.map(field::timestamp),
            silent_since: status.silent_since.map(field::timestamp),
        }
    }
}

impl TryFrom<pb::Spoke> for SpokeStatus {
    type Error = CallError;

    fn try_from(message: pb::Spoke) -> Result<Self, CallError> {
        Ok(Self {
            kubeconfig: optional_message::read("kubeconfig", message.kubeconfig)?,
            watch: optional_message::read("watch", message.watch)?,
            lease_ends_at: field::optional_moment("lease_ends_at", message.lease_ends_at)?,
            silent_since: field::optional_moment("silent_since", message.silent_since)?,
        })
    }
}

impl From<LendQuery> for pb::LendSpokeRequest {
    fn from(query: LendQuery) -> Self {
        Self {
            cluster_uid: query.cluster.to_string(),
            holder: query.holder,
            known_version: query.known_version,
            watch: query.watch.map(Into::into),
        }
    }
}

impl TryFrom<pb::LendSpokeRequest> for LendQuery {
    type Error = CallError;

    fn try_from(message: pb::LendSpokeRequest) -> Result<Self, CallError> {
        Ok(Self {
            cluster: field::parse("cluster_uid", &message.cluster_uid)?,
            holder: message.holder,
            known_version: message.known_version,
            watch: optional_message::read("watch", message.watch)?,
        })
    }
}

impl From<Lending> for pb::LendSpokeResponse {
    fn from(lending: Lending) -> Self {
        use pb::lend_spoke_response::Lending as Wire;
        let lending = match lending {
            Lending::Lent(loan) => Wire::Loan(pb::SpokeLoan {
                version: loan.version,
                kubeconfig: loan.kubeconfig.map(|text| text.expose_secret().to_owned()),
                lifetime_seconds: u32::try_from(loan.lifetime.as_secs()).unwrap_or(u32::MAX),
                term: loan.term,
            }),
            Lending::Held(until) => Wire::HeldUntil(field::timestamp(until)),
            Lending::Gone => Wire::Gone(()),
        };
        Self { lending: Some(lending) }
    }
}

impl TryFrom<pb::LendSpokeResponse> for Lending {
    type Error = CallError;

    fn try_from(message: pb::LendSpokeResponse) -> Result<Self, CallError> {
        use pb::lend_spoke_response::Lending as Wire;
        Ok(match field::required("lending", message.lending)? {
            Wire::Loan(loan) => Self::Lent(Loan {
                version: loan.version,
                kubeconfig: loan.kubeconfig.map(Into::into),
                lifetime: Duration::from_secs(loan.lifetime_seconds.into()),
                term: loan.term,
            }),
            Wire::HeldUntil(until) => Self::Held(field::moment("held_until", Some(until))?),
            Wire::Gone(()) => Self::Gone,
        })
    }
}
