mod kin;
mod lists;
mod proofs;
mod rbac;
mod stage;
