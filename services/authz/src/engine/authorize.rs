//! [`Authorize`], answered from memory.

use std::time::Instant;

use lanyard_api::{
    Fault,
    authz::{Authorize, Decision, Review, Rules, RulesQuery, WhoCan, WhoCanQuery},
};

use super::Authz;
use crate::decision::{Bearing, decide, proof_in, rules_for, unanswerable, who_can};

impl Authorize for Authz {
    async fn authorize(&self, review: Review) -> Result<Decision, Fault> {
        let began = Instant::now();
        let answer = self.inner.ask(|view, now| decide(view, &review, now)).await;
        let answer = match answer {
            Err(fault) if bears_proof(&review) => Ok(unanswerable(true, &fault.to_string())),
            answer => answer,
        };
        self.inner.telemetry.count(began, answer.as_ref());
        answer
    }

    async fn authorize_batch(&self, reviews: Vec<Review>) -> Result<Vec<Decision>, Fault> {
        let began = Instant::now();
        let answers = match self.inner.decide_all(&reviews).await {
            // Of several, those without a proof are told apart by their evaluation error: one answer is for all.
            Err(fault) if reviews.iter().any(bears_proof) => {
                let why = fault.to_string();
                Ok(reviews.iter().map(|review| unanswerable(bears_proof(review), &why)).collect())
            }
            answers => answers,
        };
        match &answers {
            Ok(decisions) => self.inner.telemetry.count_all(began, decisions),
            Err(fault) => self.inner.telemetry.count(began, Err(fault)),
        }
        answers
    }

    async fn rules_for(&self, query: RulesQuery) -> Result<Rules, Fault> {
        self.inner.ask(|view, now| rules_for(view, &query, now)).await
    }

    async fn who_can(&self, query: WhoCanQuery) -> Result<WhoCan, Fault> {
        self.inner.ask(|view, now| who_can(view, &query, now)).await
    }
}

fn bears_proof(review: &Review) -> bool {
    proof_in(&review.user.extra) != Bearing::Nothing
}
