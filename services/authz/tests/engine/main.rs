//! authz on a real store: what its traits promise, as engine and over gRPC; scenarios; and what only the engine does.

#[cfg(test)]
mod concurrent;
#[cfg(test)]
mod form;
#[cfg(test)]
mod scenario;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod suite;
