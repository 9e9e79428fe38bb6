//! Decisions: against Kubernetes' own, and against a model written as its documentation reads.

#[cfg(test)]
mod model;
#[cfg(test)]
mod random;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod worlds;
