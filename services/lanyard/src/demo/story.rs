//! What happens in the tour: somebody allowed, somebody forbidden, somebody unmapped, an expired and a tampered token.

use std::{path::Path, process::Command};

use anyhow::{Context as _, ensure};
use lanyard_iam::{AccessKeyId, Credentials, Region, SecretAccessKey, mint_token};
use serde_json::Value;
use time::OffsetDateTime;

use super::stage::{As, Stage};
use crate::{
    exit::{NO, YES},
    output::line,
};

/// The cluster of the tour.
const CLUSTER: &str = "demo";
/// How long an expired token has been signed.
const EXPIRED_AGE: time::Duration = time::Duration::minutes(20);

/// A ConfigMap as clusters have it: one legacy user, and one line that cannot be.
const AWS_AUTH: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: aws-auth, namespace: kube-system}
data:
  mapUsers: |
    - userarn: arn:aws:iam::ACCOUNT:user/carl
      username: carl
      groups: [legacy]
    - username: nobody
";

/// RBAC of the cluster, as `kubectl get -o yaml` gives it.
const RBAC: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: config-reader}
rules:
- {apiGroups: [''], resources: [configmaps], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: devs-read-config}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: config-reader}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: devs}
";

/// Tells the story; with `keep` the hub stays until Ctrl-C.
pub(super) fn tell(mut stage: Stage, keep: bool) -> anyhow::Result<()> {
    heading("The hub")?;
    line(&format!(
        "  gateway {}, gRPC {}, account {}",
        stage.ready.gateway, stage.ready.grpc, stage.ready.account
    ))?;
    let (ana, bob) = people(&stage)?;
    mappings(&stage)?;
    handshakes(&stage, &ana, &bob)?;
    with_kubectl(&stage, &ana)?;
    heading("That was it")?;
    line(
        "  Somebody was let in, somebody forbidden, somebody unknown and two bad tokens refused, each with its reason.",
    )?;
    if !keep {
        line(
            "  `lanyard demo --keep` leaves the hub serving; README.md goes on with a cluster of your own.",
        )?;
        return Ok(());
    }
    let ready = &stage.ready_file;
    line("  The hub goes on until you press Ctrl-C. In another terminal:")?;
    line(&format!("    alias lanyard='lanyard --ready-file {}'", ready.display()))?;
    line(&format!("    export AWS_SHARED_CREDENTIALS_FILE={}", stage.ready.credentials.display()))?;
    line("    lanyard cluster list")?;
    stage.keep()
}

fn heading(text: &str) -> anyhow::Result<()> {
    Ok(line(&format!("\n== {text} =="))?)
}

/// A cluster, and users with keys.
fn people(stage: &Stage) -> anyhow::Result<(Credentials, Credentials)> {
    heading("A cluster, and people with keys")?;
    let admin = As::Administrator;
    // There is no API server here whose own RBAC would be asked after Lanyard.
    let whole = ["--authorizer-mode", "full"];
    let create = ["cluster", "create", CLUSTER, "--region", &stage.ready.region];
    stage.show(admin, &[&create[..], &whole[..]].concat())?;
    stage.show(admin, &["iam", "user", "create", "ana"])?;
    let ana = key(stage, "ana")?;
    stage.show(admin, &["iam", "user", "create", "bob"])?;
    let bob = key(stage, "bob")?;
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"ACCOUNT"},"Action":"sts:AssumeRole"}]}"#;
    let trust = stage.folder.join_file("trust.json", &trust.replace("ACCOUNT", &stage.ready.account))?;
    stage.show(admin, &["iam", "role", "create", "deployer", "--trust-policy", &trust])?;
    Ok((ana, bob))
}

fn key(stage: &Stage, user: &str) -> anyhow::Result<Credentials> {
    let arguments = ["iam", "access-key", "create", user, "--output", "json"];
    let text = stage.secretly(
        As::Administrator,
        &arguments,
        "(a key; its secret is shown this once, and not here)",
    )?;
    let answer: Value = serde_json::from_str(&text)?;
    let field = |pointer: &str| {
        answer
            .pointer(pointer)
            .and_then(Value::as_str)
            .with_context(|| format!("the answer has no {pointer}"))
    };
    Ok(Credentials {
        access_key_id: AccessKeyId::parse(field("/value/key/id")?)?,
        secret_access_key: SecretAccessKey::new(field("/value/secret")?.to_owned()),
        session_token: None,
    })
}

/// Who gets which badge, and what doors there are.
fn mappings(stage: &Stage) -> anyhow::Result<()> {
    heading("Badges: access entries, an access policy, an old aws-auth, the cluster's RBAC")?;
    let admin = As::Administrator;
    let ana = arn(stage, "user/ana");
    let deployer = arn(stage, "role/deployer");
    stage.show(admin, &["entry", "create", CLUSTER, &ana, "--group", "devs"])?;
    stage.show(
        admin,
        &["entry", "associate", CLUSTER, &ana, "AmazonEKSViewPolicy", "--namespace", "team-a"],
    )?;
    stage.show(admin, &["entry", "create", CLUSTER, &deployer, "--group", "deployers"])?;
    let aws_auth =
        stage.folder.join_file("aws-auth.yaml", &AWS_AUTH.replace("ACCOUNT", &stage.ready.account))?;
    stage.show(admin, &["aws-auth", "push", CLUSTER, &aws_auth])?;
    let rbac = stage.folder.join_file("rbac.yaml", RBAC)?;
    stage.show(admin, &["rbac", "apply", CLUSTER, "-f", &rbac])
}

fn arn(stage: &Stage, resource: &str) -> String {
    format!("arn:aws:iam::{}:{resource}", stage.ready.account)
}

/// The real handshake, token by token.
fn handshakes(stage: &Stage, ana: &Credentials, bob: &Credentials) -> anyhow::Result<()> {
    heading("Ana is let in, and may view team-a")?;
    let token = token(stage, ana)?;
    explain(stage, &token, &["get", "pods", "-n", "team-a"], YES)?;
    heading("The same Ana may not delete there")?;
    explain(stage, &token, &["delete", "pods", "-n", "team-a"], NO)?;
    heading("Bob has a key and no badge: IAM alone opens nothing")?;
    let unmapped = self::token(stage, bob)?;
    explain(stage, &unmapped, &[], NO)?;
    heading("An expired token")?;
    explain(stage, &expired(stage, ana)?, &[], NO)?;
    heading("A token with one character changed")?;
    explain(stage, &tampered(&token)?, &[], NO)
}

fn token(stage: &Stage, key: &Credentials) -> anyhow::Result<String> {
    let arguments = ["token", "--cluster-name", CLUSTER, "--region", &stage.ready.region, "--raw"];
    let token = stage.secretly(As::Key(key), &arguments, "k8s-aws-v1.(a presigned GetCallerIdentity)")?;
    Ok(token.trim().to_owned())
}

fn explain(stage: &Stage, token: &str, asked: &[&str], expected: u8) -> anyhow::Result<()> {
    let arguments = [&["explain", "--token", "-", "--cluster", CLUSTER], asked].concat();
    let answer = stage.ask(As::Administrator, &arguments, Some(token))?;
    let code = answer.status.code();
    ensure!(code == Some(i32::from(expected)), "expected exit code {expected}, got {code:?}");
    Ok(())
}

fn expired(stage: &Stage, key: &Credentials) -> anyhow::Result<String> {
    let region = Region::parse(&stage.ready.region)?;
    let host = format!("sts.{region}.amazonaws.com");
    let signed_at = OffsetDateTime::now_utc() - EXPIRED_AGE;
    let token = mint_token(key, &host, &region, CLUSTER, signed_at, time::Duration::seconds(60))?;
    Ok(token.expose().to_owned())
}

/// Another last character of the signature, in its place.
fn tampered(token: &str) -> anyhow::Result<String> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let (prefix, payload) = token.split_once('.').context("not a token")?;
    let mut url = String::from_utf8(URL_SAFE_NO_PAD.decode(payload)?)?;
    let last = url.pop().context("an empty token")?;
    url.push(if last == '0' { '1' } else { '0' });
    Ok(format!("{prefix}.{}", URL_SAFE_NO_PAD.encode(url)))
}

/// The stock client, where it is installed.
fn with_kubectl(stage: &Stage, ana: &Credentials) -> anyhow::Result<()> {
    let there =
        Command::new("kubectl").args(["version", "--client"]).output().is_ok_and(|out| out.status.success());
    if !there {
        return Ok(line("\n  (kubectl is not installed: its part is left out)")?);
    }
    heading("Stock kubectl, with `lanyard token` as its exec plugin")?;
    let arguments = ["kubeconfig", CLUSTER];
    let text = stage.secretly(As::Administrator, &arguments, "(a kubeconfig)")?;
    let kubeconfig = stage.folder.join_file("ana.kubeconfig", &text)?;
    let kubeconfig = Path::new(&kubeconfig);
    stage.kubectl(ana, kubeconfig, &["auth", "whoami"], YES)?;
    stage.kubectl(ana, kubeconfig, &["auth", "can-i", "get", "pods", "-n", "team-a"], YES)?;
    stage.kubectl(ana, kubeconfig, &["auth", "can-i", "delete", "pods", "-n", "team-a"], NO)?;
    stage.kubectl(ana, kubeconfig, &["auth", "can-i", "list", "configmaps", "-n", "default"], YES)
}

/// Writing a file of the tour.
trait JoinFile {
    /// Writes it and gives its path as text.
    fn join_file(&self, name: &str, text: &str) -> anyhow::Result<String>;
}

impl JoinFile for std::path::PathBuf {
    fn join_file(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let path = self.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(path.display().to_string())
    }
}
