//! EKS Auth.

use lanyard_api::{CallError, Fault, credentials::PodCredentials};
use lanyard_kit::ExposeSecret as _;
use lanyard_proto::credentials::v1 as pb;
use serde_json::json;

use super::Call;
use crate::{
    answer::{Answer, epoch_seconds},
    backend::Backend,
};

pub(super) async fn assume_role_for_pod_identity<B: Backend>(
    call: &Call<'_, B>,
) -> Result<Answer, CallError> {
    let vended = recorded(call).await?;
    // EKS says nothing of the account, nor whether the pod is still there.
    let PodCredentials { subject, audience, association, user, credentials, account: _, unconfirmed: _ } =
        vended;
    Ok(Answer::Rest(json!({
        "subject": { "namespace": subject.namespace, "serviceAccount": subject.name },
        "audience": audience,
        "podIdentityAssociation": { "associationArn": association.arn, "associationId": association.id },
        "assumedRoleUser": { "arn": user.arn, "assumeRoleId": user.id },
        "credentials": {
            "sessionToken": credentials.session_token.expose_secret(),
            "secretAccessKey": credentials.secret_access_key.expose_secret(),
            "accessKeyId": credentials.access_key_id.as_str(),
            "expiration": epoch_seconds(credentials.expires_at),
        },
    })))
}

/// The answer, which is a decision of its cluster, by which `explain --id` finds it.
async fn recorded<B: Backend>(call: &Call<'_, B>) -> Result<PodCredentials, CallError> {
    let answer = call.ask::<pb::AssumeRoleForPodIdentityRequest, pb::PodCredentials, PodCredentials>();
    // No answer is a decision too.
    let late = |_| Err(Fault::TimedOut { part: "the call".into(), limit: call.timeout }.into());
    let answer = tokio::time::timeout(call.timeout, answer).await.unwrap_or_else(late);
    let (Some(recorder), Some(cluster)) = (call.backend.recorder(), call.admitted.cluster) else {
        return answer;
    };
    let asked: pb::AssumeRoleForPodIdentityRequest = call.message()?;
    let by = call.admitted.actor.value.name();
    let (record, answer) = recorder.call(cluster, by, &asked.token).decided(answer);
    recorder.take(record);
    answer
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use lanyard_api::{
        Actor, ClusterId, ClusterUid, DecisionId, Denial, Vouched,
        authn::{AdmitAwsQuery, AwsAdmission, AwsAdmitted},
        authz::{DecisionOutcome, DecisionRecord, Decisions, InputChanges},
        aws_wire::{HttpCall, Service, find},
        credentials::{AssumeRoleForPodIdentity, FoundIssuer, Vend, VendRefusal, server},
        grpc::{Door, Served},
        methods,
        voucher::Audience,
    };
    use lanyard_kit::SystemClock;
    use prost::Message as _;
    use tonic::service::Routes;

    use super::*;
    use crate::{door::Hub, recorder::Recorder};

    const VEND: &str = "/lanyard.credentials.v1.Vend/AssumeRoleForPodIdentity";

    /// Whose pods wait.
    struct Hanging;

    impl Vend for Hanging {
        async fn assume_role_for_pod_identity(
            &self,
            _: Vouched<Actor>,
            _: AssumeRoleForPodIdentity,
        ) -> Result<PodCredentials, CallError> {
            std::future::pending().await
        }
    }

    /// Whose pods get nothing.
    struct Refusing;

    impl Vend for Refusing {
        async fn assume_role_for_pod_identity(
            &self,
            _: Vouched<Actor>,
            _: AssumeRoleForPodIdentity,
        ) -> Result<PodCredentials, CallError> {
            Err(VendRefusal::AccessDenied.because("the token's pod runs on node `a`"))
        }
    }

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<DecisionRecord>>>);

    impl Decisions for Kept {
        async fn record(&self, batch: Vec<DecisionRecord>) -> Result<(), Fault> {
            self.0.lock().unwrap().extend(batch);
            Ok(())
        }

        async fn find(&self, _: Vouched<Actor>, _: DecisionId) -> Result<DecisionRecord, CallError> {
            Err(Fault::Internal.into())
        }

        async fn watch_inputs(&self, _: Vouched<Actor>, _: ClusterId) -> Result<InputChanges, CallError> {
            Err(Fault::Internal.into())
        }
    }

    struct Behind {
        routes: Routes,
        recorder: Option<Recorder>,
    }

    impl Backend for Behind {
        type Way = Routes;

        async fn admit(&self, _: AdmitAwsQuery) -> Result<AwsAdmission, Fault> {
            Err(Fault::Internal)
        }

        fn way(&self, _: Audience) -> Option<Routes> {
            Some(self.routes.clone())
        }

        fn recorder(&self) -> Option<&Recorder> {
            self.recorder.as_ref()
        }

        async fn issuer(&self, _: ClusterUid) -> Result<FoundIssuer, Fault> {
            Ok(FoundIssuer::default())
        }
    }

    /// The refusal's text, and what was recorded of it.
    async fn refusal(records: bool, cluster: Option<ClusterUid>) -> (String, Vec<DecisionRecord>) {
        let (answer, records) = vend_by(Refusing, records, cluster).await;
        let CallError::Denied(Denial { message, .. }) = answer else { panic!("{answer:?}") };
        (message, records)
    }

    /// What comes of a vend that gives nothing, and what was recorded of it.
    async fn vend_by(
        service: impl Vend,
        records: bool,
        cluster: Option<ClusterUid>,
    ) -> (CallError, Vec<DecisionRecord>) {
        let kept = Kept::default();
        let served = Served::new(Arc::new(service), Door::behind_door());
        let recorder = records.then(|| Recorder::start(kept.clone(), Arc::new(SystemClock)));
        let backend = Behind { routes: Routes::new(server::vend(served)), recorder };
        let path = "/clusters/dev/assume-role-for-pod-identity";
        let http = HttpCall { method: "POST", path, query: "", body: b"{}" };
        let found = find(Service::EksAuth, &http).unwrap();
        let message = pb::AssumeRoleForPodIdentityRequest {
            cluster: "dev".to_owned(),
            token: "a.b.c".to_owned(),
            node_name: None,
        };
        let message = message.encode_to_vec();
        let read = methods::read(VEND, &message).unwrap();
        let (action, request_digest) = (read.action.to_owned(), read.request_digest);
        let actor = Actor { action, request_digest, ..Actor::system("test") };
        let admitted = AwsAdmitted {
            actor: Vouched::in_process(actor),
            method: VEND.to_owned(),
            message: message.into(),
            page_key: None,
            page: None,
            cluster,
        };
        let certificate_authority = tokio::sync::watch::channel(Arc::from("")).1;
        let hub = Hub { gateway_url: None, certificate_authority };
        let timeout = Duration::from_secs(2);
        let call = Call { backend: &backend, found: &found, admitted: &admitted, hub: &hub, timeout };
        let answer = assume_role_for_pod_identity(&call).await;
        let Err(answer) = answer else { panic!("nothing is vended here") };
        if let Some(recorder) = &backend.recorder {
            recorder.flush().await;
        }
        let records = kept.0.lock().unwrap().clone();
        (answer, records)
    }

    #[tokio::test]
    async fn an_answer_is_a_decision_of_its_cluster_whose_number_a_refusal_bears() {
        let cluster = ClusterUid::random();
        let (message, records) = refusal(true, Some(cluster)).await;
        let [record] = records.as_slice() else { panic!("{records:?}") };
        assert_eq!(message, format!("the token's pod runs on node `a`; decision {}", record.id));
        assert_eq!((record.cluster, record.outcome), (cluster, DecisionOutcome::Deny));
        assert!(!record.what.contains("a.b.c"), "{}", record.what);
    }

    #[tokio::test]
    async fn no_answer_in_time_is_a_decision_too() {
        let cluster = ClusterUid::random();
        let (answer, records) = vend_by(Hanging, true, Some(cluster)).await;
        let CallError::Fault(fault) = answer else { panic!("{answer:?}") };
        assert_eq!(fault.code(), "timed_out");
        let [record] = records.as_slice() else { panic!("{records:?}") };
        assert_eq!((record.cluster, record.outcome), (cluster, DecisionOutcome::NoAnswer));
    }

    #[tokio::test]
    async fn what_is_recorded_behind_the_door_or_is_of_no_cluster_is_no_decision_of_the_doors() {
        for (records, cluster) in [(false, Some(ClusterUid::random())), (true, None)] {
            let (message, records) = refusal(records, cluster).await;
            assert_eq!((message.as_str(), records.len()), ("the token's pod runs on node `a`", 0));
        }
    }
}
