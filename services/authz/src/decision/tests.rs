mod kin;
mod lists;
mod oidc;
mod proofs;
mod rbac;
mod several;
mod stage;
