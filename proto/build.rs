//! Compiles the `.proto` files with a protoc of pure Rust.

use std::{
    env,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
};

use prost::Message as _;

/// Messages with secrets in them; `secrets.rs` gives them a `Debug` that shows none.
const SECRET: &[&str] = &[
    ".lanyard.authn.v1.AuthenticateRequest",
    ".lanyard.authn.v1.AdmitRequest",
    ".lanyard.authn.v1.AdmitAwsRequest",
    ".lanyard.authn.v1.AdmittedAws",
    ".lanyard.authn.v1.Header",
    ".lanyard.authn.v1.AccessKeyCreated",
    ".lanyard.mapping.v1.ResolveBreakGlassRequest",
    ".lanyard.mapping.v1.SpokeCredentialCreated",
    ".lanyard.mapping.v1.BreakGlassArmed",
    ".lanyard.mapping.v1.PutSpokeKubeconfigRequest",
    ".lanyard.mapping.v1.SpokeLoan",
    ".lanyard.credentials.v1.RoleSession",
    ".lanyard.credentials.v1.SessionCredentials",
    ".lanyard.credentials.v1.AssumeRoleWithWebIdentityRequest",
    ".lanyard.credentials.v1.ExchangeCallerIdentityRequest",
    ".lanyard.credentials.v1.AssumeRoleForPodIdentityRequest",
    ".lanyard.credentials.v1.MutatePodRequest",
    ".lanyard.spoke.v1.ReviewPodRequest",
    ".lanyard.gateway.v1.ExplainRequest",
    ".lanyard.gateway.v1.ExplainRequest.who",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=lanyard");
    let descriptors = protox::Compiler::new(["."])?
        .include_imports(true)
        .include_source_info(true)
        .open_files(proto_files("lanyard".as_ref())?)?
        .file_descriptor_set();
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("lanyard.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // One encoding for each message: its digest is part of an admission.
        .btree_map(".")
        .bytes(".")
        .skip_debug(SECRET)
        // Written by hand (`entries.rs`): its texts lie in one piece.
        .extern_path(".lanyard.mapping.v1.AccessEntryPage", "crate::AccessEntryPage")
        // The same (`batch.rs`): their messages too.
        .extern_path(".lanyard.authz.v1.AuthorizeBatchRequest", "crate::batch::AuthorizeBatchRequest")
        .extern_path(".lanyard.authz.v1.AuthorizeBatchResponse", "crate::batch::AuthorizeBatchResponse")
        .compile_fds(descriptors)?;
    Ok(())
}

/// Every `.proto` file below a folder, in order of path.
fn proto_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    let mut files = Vec::new();
    for path in entries {
        if path.is_dir() {
            files.extend(proto_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(files)
}
