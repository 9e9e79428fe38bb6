//! The AWS road where associations are written: which one an association takes, and whether its role does.

use std::collections::BTreeMap;

use lanyard_api::{
    CallError,
    credentials::{AWS_ROAD_TAG, AwsRoad, PodIdentityAssociation, ProposeTrust, TrustProposal},
    mapping::Cluster,
};
use lanyard_iam::PrincipalArn;

use super::{
    issuer::{AUDIENCE, IssuerTokens as _},
    not_in_aws_mode,
    probe::Finding,
    trust_policy::{hub_principal_policy, issuer_policy, provider_arn, without_scheme},
};
use crate::Credentials;

/// What an association says of the road.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'a> {
    /// In its own field.
    pub(crate) road: Option<AwsRoad>,
    pub(crate) tags: &'a BTreeMap<String, String>,
}

impl Credentials {
    /// The road to a role: one where its account is registered as AWS's, else none.
    pub(crate) async fn road_to(
        &self,
        role: &PrincipalArn,
        said: Said<'_>,
    ) -> Result<Option<AwsRoad>, CallError> {
        let invalid = |message: String| CallError::invalid("aws_road", "aws_road", message);
        let tagged = AwsRoad::of_tags(said.tags);
        let tagged = tagged.map_err(|error| invalid(format!("tag `{AWS_ROAD_TAG}`: {error}")))?;
        let chosen = match (said.road, tagged) {
            (Some(road), Some(tagged)) if road != tagged => {
                return Err(invalid(format!(
                    "`{road}` is not what the tag `{AWS_ROAD_TAG}` says: `{tagged}`"
                )));
            }
            (road, tagged) => road.or(tagged),
        };
        let is_aws = self.hub().await?.is_aws(role.account);
        match chosen {
            _ if is_aws => Ok(Some(chosen.unwrap_or(self.config().aws_road.default))),
            None => Ok(None),
            Some(_) => Err(invalid(format!(
                "account {} of `{role}` is not registered as one of AWS's, so that no road leads there: leave it out",
                role.account
            ))),
        }
    }

    /// Tries the role of an association that takes the AWS road. Answers what the caller should know, and whether it was tried.
    pub(crate) async fn try_role(
        &self,
        cluster: &Cluster,
        association: &PodIdentityAssociation,
        allow_others: bool,
        unprobed: bool,
    ) -> Result<Tried, CallError> {
        let Some(aws_road) = association.aws_road else { return Ok(Tried::default()) };
        let role = &association.role_arn;
        let untried = |why: &str| {
            let notice = format!(
                "role `{role}` was not tried{why}: it is before its first use, and refused then if it does not do"
            );
            Tried { unprobed: true, notices: vec![notice] }
        };
        if unprobed {
            return Ok(untried(""));
        }
        let Some(road) = self.road() else {
            return Ok(untried(", for this hub does not call AWS in its own name (aws.enabled)"));
        };
        let finding = road.probe(self, cluster, association, aws_road).await?;
        match finding.refusal(association, aws_road) {
            None => Ok(Tried::default()),
            Some((_, message)) if finding == Finding::AnySubject && allow_others => {
                Ok(Tried { unprobed: false, notices: vec![message] })
            }
            Some((code, message)) => Err(CallError::invalid("role_arn", code, message)),
        }
    }

    /// The trust policy that a role needs for a ServiceAccount.
    pub(crate) async fn proposed_trust(
        &self,
        cluster: &Cluster,
        role: &PrincipalArn,
        asked: &ProposeTrust,
    ) -> Result<TrustProposal, CallError> {
        let said = Said { road: asked.aws_road, tags: &BTreeMap::new() };
        let Some(aws_road) = self.road_to(role, said).await? else {
            let message = format!(
                "account {} of `{role}` is not registered as one of AWS's: a role of this hub trusts the service \
                 `pods.eks.amazonaws.com` (see `lanyard association create --help`)",
                role.account
            );
            return Err(CallError::invalid("role_arn", "aws_road", message));
        };
        match aws_road {
            AwsRoad::HubPrincipal => self.trust_in_hub(cluster, role, asked).await,
            AwsRoad::Issuer => self.trust_in_issuer(cluster, role, asked).await,
        }
    }

    async fn trust_in_hub(
        &self,
        cluster: &Cluster,
        role: &PrincipalArn,
        asked: &ProposeTrust,
    ) -> Result<TrustProposal, CallError> {
        let road = self.road().ok_or_else(not_in_aws_mode)?;
        let hub = road.aws().hub_principal().await.map_err(|fault| super::faults::shown(&fault))?;
        let external_id = road.external_id(cluster, &asked.namespace, &asked.service_account);
        let principal = hub.arn.to_string();
        let mut notices = Vec::new();
        if !hub.is_whole {
            notices.push(format!(
                "STS does not tell the path of the hub's role `{principal}`, and IAM did not: put it in if it has one"
            ));
        }
        if hub.is_session {
            notices.push(
                "the hub is a session of a role itself, so the credentials of pods last an hour at most"
                    .to_owned(),
            );
        }
        if hub.arn.account != role.account {
            notices.push(format!(
                "the hub is of account {}: its own policies have to let it do `sts:AssumeRole` and `sts:TagSession` on `{role}`",
                hub.arn.account
            ));
        }
        Ok(TrustProposal {
            aws_road: AwsRoad::HubPrincipal,
            role_arn: role.to_string(),
            trust_policy: hub_principal_policy(&principal, &external_id),
            principal,
            external_id: Some(external_id),
            issuer_url: None,
            notices,
        })
    }

    async fn trust_in_issuer(
        &self,
        cluster: &Cluster,
        role: &PrincipalArn,
        asked: &ProposeTrust,
    ) -> Result<TrustProposal, CallError> {
        let issuer_url = self.issuer_of(cluster.uid).await?;
        let principal = provider_arn(role.partition, role.account, &issuer_url);
        let trust_policy =
            issuer_policy(&principal, without_scheme(&issuer_url), &asked.namespace, &asked.service_account);
        let notices = vec![format!(
            "account {} needs an OIDC provider for `{issuer_url}` with the client id `{AUDIENCE}` \
             (iam:CreateOpenIDConnectProvider), and AWS has to reach the issuer",
            role.account
        )];
        Ok(TrustProposal {
            aws_road: AwsRoad::Issuer,
            role_arn: role.to_string(),
            principal,
            external_id: None,
            issuer_url: Some(issuer_url),
            trust_policy,
            notices,
        })
    }
}

/// What trying a role came to, where it is taken.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    /// Whether it is still to be tried.
    pub(crate) unprobed: bool,
    /// What the caller should know.
    pub(crate) notices: Vec<String>,
}
