//! `lanyard aws-auth`: the ConfigMap of that name, pushed, shown, or checked offline.

use clap::Subcommand;
use lanyard_api::{
    ClusterId,
    aws_auth::{AwsAuth, AwsAuthLine, Checked},
    grpc::admitted_at_the_door,
    mapping::{AwsAuthEffect, AwsAuthFinding, AwsAuthStatus, AwsAuthVersion, Clusters},
};
use serde::Serialize;

use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::ChangeArgs,
    input::{Source, moment_text},
    output::Tabular,
    show::{Changed, Listing, Row, standing, wire_name},
};

const CHECK: &str = "\
Examples:
  lanyard aws-auth check aws-auth.yaml
  kubectl -n kube-system get configmap aws-auth -o yaml | lanyard aws-auth check -
  lanyard aws-auth check --strict --output json aws-auth.yaml     # in a pull request

Each finding begins with what it does: `fatal`, the version would be rejected as a whole; `left out`, what it names would not be in the
map; `kept, but`, that stays as it is. It ends with 1 where one is fatal; with --strict where there is any.";

const PUSH: &str = "\
Examples:
  lanyard aws-auth push dev aws-auth.yaml
  kubectl -n kube-system get configmap aws-auth -o yaml | lanyard aws-auth push dev -

A bad version is kept as rejected and the last good one stays in force; then this ends with 1.";

/// What there is to do with aws-auth.
#[derive(Debug, Subcommand)]
pub enum AwsAuthCommand {
    /// Store a version of a cluster's aws-auth.
    #[command(after_help = PUSH)]
    Push {
        /// The cluster's id.
        cluster: ClusterId,
        /// The ConfigMap as YAML or JSON, or its data alone; `-` is standard input.
        file: Source,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// The version in force, and the newest where that is another.
    #[command(after_help = "Examples:\n  lanyard aws-auth get dev")]
    Get {
        /// The cluster's id.
        cluster: ClusterId,
    },
    /// Read a file as a hub would, without one.
    #[command(after_help = CHECK)]
    Check {
        /// The ConfigMap as YAML or JSON, or its data alone; `-` is standard input.
        file: Source,
        /// Also end with 1 where something would be left out, or kept though it looks wrong.
        #[arg(long)]
        strict: bool,
    },
}

impl Row for AwsAuthFinding {
    const COLUMNS: &'static [&'static str] = &["LINE", "COLUMN", "WHERE", "EFFECT", "WHAT"];

    fn cells(&self) -> Vec<String> {
        let place = |number: u32| if number == 0 { "-".to_owned() } else { number.to_string() };
        let effect = effect_word(self.effect).to_owned();
        vec![place(self.line), place(self.column), self.path.clone(), effect, self.message.clone()]
    }
}

/// How findings begin.
fn effect_word(effect: AwsAuthEffect) -> &'static str {
    match effect {
        AwsAuthEffect::Fatal => "fatal",
        AwsAuthEffect::LeftOut => "left out",
        AwsAuthEffect::Kept => "kept, but",
    }
}

impl Row for AwsAuthVersion {
    const COLUMNS: &'static [&'static str] = &["VERSION", "STATUS", "FINDINGS", "PUSHED BY", "AT"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.version.to_string(),
            wire_name(&self.status),
            self.findings.len().to_string(),
            self.pushed_by.clone(),
            moment_text(self.pushed_at),
        ]
    }
}

/// What a file maps, and what is wrong with it.
#[derive(Debug, Serialize)]
struct CheckedFile {
    accepted: bool,
    lines: Vec<Line>,
    accounts: Vec<String>,
    findings: Vec<AwsAuthFinding>,
}

#[derive(Debug, Serialize)]
struct Line {
    path: String,
    line: u32,
    arn: String,
    username: String,
    groups: Vec<String>,
}

impl From<&AwsAuthLine> for Line {
    fn from(line: &AwsAuthLine) -> Self {
        Self {
            path: line.path(),
            line: line.line,
            arn: line.arn.as_str().to_owned(),
            username: line.username.as_str().to_owned(),
            groups: line.groups.iter().map(|group| group.as_str().to_owned()).collect(),
        }
    }
}

impl From<Checked> for CheckedFile {
    fn from(checked: Checked) -> Self {
        Self {
            accepted: !checked.is_fatal(),
            lines: checked.auth.lines.iter().map(Line::from).collect(),
            accounts: checked.auth.accounts.iter().map(|account| account.account.to_string()).collect(),
            findings: checked.findings,
        }
    }
}

impl Tabular for CheckedFile {
    fn columns(&self) -> Vec<&'static str> {
        vec!["LINE", "WHERE", "ARN", "USERNAME", "GROUPS"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |line: &Line| {
            let at = line.line.to_string();
            vec![at, line.path.clone(), line.arn.clone(), line.username.clone(), line.groups.join(", ")]
        };
        self.lines.iter().map(row).collect()
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = vec![String::new()];
        if !self.accounts.is_empty() {
            notes.push(format!("accounts let in whole: {}", self.accounts.join(", ")));
        }
        notes.extend(self.findings.iter().map(finding_text));
        notes.push(self.verdict().to_owned());
        if self.accepted && self.lines.is_empty() && self.accounts.is_empty() {
            notes.push("it maps nobody: nobody would get in by it".to_owned());
        }
        notes
    }
}

impl CheckedFile {
    fn verdict(&self) -> &'static str {
        let is_any = |effect| self.findings.iter().any(|finding| finding.effect == effect);
        if !self.accepted {
            "rejected: the last good version would stay in force"
        } else if is_any(AwsAuthEffect::LeftOut) {
            "accepted, without what is left out above"
        } else if is_any(AwsAuthEffect::Kept) {
            "accepted: see what is said above"
        } else {
            "accepted, nothing is wrong with it"
        }
    }
}

/// `left out: line 4, column 3, mapRoles[1].rolearn: …`
fn finding_text(finding: &AwsAuthFinding) -> String {
    let mut place = Vec::new();
    if finding.line > 0 {
        place.push(format!("line {}", finding.line));
    }
    if finding.column > 0 {
        place.push(format!("column {}", finding.column));
    }
    if !finding.path.is_empty() {
        place.push(finding.path.clone());
    }
    let (effect, place) = (effect_word(finding.effect), place.join(", "));
    let colon = if place.is_empty() { "" } else { ": " };
    format!("{effect}: {place}{colon}{}", finding.message)
}

/// A pushed version with its findings below it.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Pushed(Changed<AwsAuthVersion>);

impl Tabular for Pushed {
    fn columns(&self) -> Vec<&'static str> {
        self.0.columns()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.0.rows()
    }

    fn notes(&self) -> Vec<String> {
        let findings = self.0.0.value.findings.iter().map(finding_text);
        standing(&self.0.0).into_iter().chain(findings).collect()
    }
}

impl AwsAuthCommand {
    /// Does it.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        match self {
            Self::Check { file, strict } => {
                let checked = CheckedFile::from(AwsAuth::check(&file.read()?));
                context.show(&checked)?;
                Ok((checked.accepted && (!strict || checked.findings.is_empty())).into())
            }
            Self::Push { cluster, file, change } => {
                let content = file.read()?;
                let remote = context.connect().await?.remote();
                let pushed = remote.push_aws_auth(change.into(), cluster, content).await?;
                let accepted = pushed.value.status == AwsAuthStatus::Accepted;
                context.show(&Pushed(Changed(pushed)))?;
                Ok(accepted.into())
            }
            Self::Get { cluster } => {
                let remote = context.connect().await?.remote();
                context.show(&Listing(remote.get_aws_auth(admitted_at_the_door(), cluster).await?))
            }
        }
    }
}
