//! Lanyard's own IAM: the presigned URL is verified here, as STS would verify it.

use std::sync::Arc;

use lanyard_api::{Fault, authn::Refusal};
use lanyard_iam::SignatureMismatch;
use lanyard_iam::token::TOKEN_SERVICE;

use super::{Proven, Question, refusal};
use crate::local_keys::{LocalKeys, Signer};
use crate::snapshot::HubSnapshot;

/// How explanations name it.
const NAME: &str = "local IAM";
/// Cluster ids that one explanation tries, at about a microsecond each.
const HINT_CLUSTERS_MAX: usize = 10_000;

/// Verifies tokens of Lanyard's own keys. No answer is kept: it costs microseconds, and what it looks at changes.
pub(crate) struct LocalIam {
    keys: Arc<LocalKeys>,
    name: Arc<str>,
}

impl LocalIam {
    pub(crate) fn new(keys: Arc<LocalKeys>) -> Self {
        Self { keys, name: NAME.into() }
    }

    /// Verified or refused; with `explain`, a signature that does not fit is tried with the hub's other cluster ids.
    pub(crate) async fn verify(
        &self,
        hub: &HubSnapshot,
        question: Question<'_>,
        explain: bool,
    ) -> Result<Result<Proven, Refusal>, Fault> {
        let Question { token, cluster, authority, now, .. } = question;
        let refuse = |code, message: String, part: &str| {
            refusal(code, message, part, authority, token.access_key_id())
        };
        let found = self.keys.find(hub, token.access_key_id(), token.session_token(), now).await?;
        let signer = match found {
            Ok(signer) => signer,
            Err(rejection) => {
                return Ok(Err(refuse(rejection.code(), rejection.to_string(), rejection.part())));
            }
        };
        if fits(&signer, &question, cluster.cluster.id.as_str()).is_err() {
            let message = "the signature does not fit: the secret is wrong, the token was altered, or it was made for \
                           another cluster; make a token for this cluster's id";
            let mut refusal = refuse("signature_or_cluster", message.to_owned(), "X-Amz-Signature");
            if explain {
                refusal.hints.extend(hint(hub, &signer, &question));
            }
            return Ok(Err(refusal));
        }
        if let Err(rejection) = &signer.standing {
            return Ok(Err(refuse(rejection.code(), rejection.to_string(), rejection.part())));
        }
        // Whoever AWS keeps has credentials to knock with that AWS can end; a session that was exchanged for them manages the hub.
        if !signer.holder.owner.is_local() {
            let message = "the session was exchanged for managing this hub, and opens no cluster: make the token with the \
                           credentials that were exchanged for it";
            return Ok(Err(refuse("exchanged_session", message.to_owned(), "X-Amz-Security-Token")));
        }
        Ok(Ok(Proven {
            identity: signer.identity,
            verifier: self.name.clone(),
            cached: false,
            kept_until: None,
        }))
    }
}

fn fits(signer: &Signer, question: &Question<'_>, cluster_id: &str) -> Result<(), SignatureMismatch> {
    let token = question.token;
    let verify = |key: &_| token.verify_local(cluster_id, key);
    signer.secret.verify(token.date().day(), token.region(), TOKEN_SERVICE, verify)
}

/// Which other cluster of the hub the token was made for. Another account's cluster is not named: whoever asks may know
/// this cluster, and not that one.
fn hint(hub: &HubSnapshot, signer: &Signer, question: &Question<'_>) -> Option<String> {
    let asked = &question.cluster.cluster;
    let fitting = hub
        .clusters()
        .take(HINT_CLUSTERS_MAX)
        .filter(|view| view.cluster.uid != asked.uid)
        .find(|view| fits(signer, question, view.cluster.id.as_str()).is_ok());
    Some(match fitting {
        Some(view) if view.cluster.account == asked.account => {
            format!("the token was made for cluster `{}`, and this one is `{}`", view.cluster.id, asked.id)
        }
        Some(_) => "the token was made for a cluster of another account".to_owned(),
        None => {
            "the token fits no cluster of this hub: the secret is wrong, or the token was altered".to_owned()
        }
    })
}
