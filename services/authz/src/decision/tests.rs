mod kin;
mod lists;
mod nodes;
mod oidc;
mod proofs;
mod rbac;
mod several;
mod stage;
