//! The command line: what there is, and what every command shares.

use std::{env, ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};
use serde::Serialize;

pub use lanyard_kit::complain;
use lanyard_kit::life;

use crate::{
    commands, demo,
    exit::Ending,
    failure::Failure,
    hub::{Hub, HubArgs},
    output::{Output, Tabular},
    run, serve,
};

const EXAMPLES: &str = "\
Begin here:
  lanyard demo      the tour: people let in and refused, each explained
  lanyard serve     a hub of your own, on this machine
  lanyard cluster create dev --region us-east-1
  lanyard iam user create ana && lanyard iam access-key create ana
  lanyard entry create dev arn:aws:iam::ACCOUNT:user/ana --group devs
  lanyard explain --as arn:aws:iam::ACCOUNT:user/ana --cluster dev get pods -n team-a

Exit codes:
  0   yes: done, allowed, valid
  1   no: refused, forbidden, invalid
  2   the command line, or a file that it names, is wrong
  69  no answer: nobody answers, or not now; try again
Of `serve` and `run`, which go on until they are told to stop:
  1   a fault ended it
  64  its configuration is wrong
  75  it was cut short, by its deadline or a second signal
Of `spoke push`, which goes on too, beside those of commands:
  64  its --log is wrong
  75  it was cut short, likewise
Of `demo`, beside those of commands:
  130 Ctrl-C came before its end
  143 SIGTERM came before its end";

/// Access between AWS identities and Kubernetes clusters: who knocks, which badge they get, which doors it opens.
#[derive(Debug, Parser)]
#[command(name = "lanyard", version, after_help = EXAMPLES, max_term_width = 110)]
pub struct Cli {
    /// How the answer is shown: `table`, `json` or `yaml`.
    #[arg(
        long,
        short,
        global = true,
        value_enum,
        ignore_case = true,
        default_value_t,
        value_name = "FORM",
        hide_possible_values = true
    )]
    pub output: Output,
    #[command(flatten)]
    pub hub: HubArgs,
    #[command(subcommand)]
    pub command: Command,
}

/// What there is to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole suite in this process.
    Serve(serve::Args),
    /// Run one service in this process; the others run elsewhere.
    #[command(subcommand)]
    Run(run::RunCommand),
    /// Whether a service process takes work, for probes.
    Health(commands::health::HealthArgs),
    /// The hub's own certificates and keys.
    #[command(subcommand)]
    Pki(commands::pki::PkiCommand),
    /// The store's tables, and its move from SQLite to PostgreSQL.
    #[command(subcommand)]
    Db(commands::db::DbCommand),
    /// The keys in the hub's store: their versions, and new ones.
    #[command(subcommand)]
    Keys(commands::keys::KeysCommand),
    /// The tour that a newcomer runs first.
    Demo(demo::Args),
    /// Make a client token, as kubectl's exec plugin; or look at one.
    Token(commands::token::TokenArgs),
    /// A session of the hub for who you are at AWS, as AWS tools read it from a `credential_process`.
    CredentialProcess(commands::credential_process::CredentialProcessArgs),
    /// Say why somebody gets in, or does not: each stage in turn.
    Explain(commands::explain::ExplainArgs),
    /// Accounts, users, access keys, roles, policies and sessions of the hub.
    #[command(subcommand)]
    Iam(commands::iam::IamCommand),
    /// The clusters that the hub serves, and what their API servers need.
    #[command(subcommand)]
    Cluster(commands::cluster::ClusterCommand),
    /// Inside of a spoke cluster: push what is seen there to a hub that cannot reach in.
    #[command(subcommand)]
    Spoke(commands::spoke::SpokeCommand),
    /// A person's kubeconfig for a cluster.
    Kubeconfig(commands::kubeconfig::KubeconfigArgs),
    /// Access entries: which principal gets which badge, and which access policies.
    #[command(subcommand)]
    Entry(commands::entry::EntryCommand),
    /// OIDC issuers whose tokens a cluster takes, and what their claims become.
    #[command(subcommand)]
    IdentityProvider(commands::identity_provider::IdentityProviderCommand),
    /// The published access policies.
    AccessPolicies(commands::access_policies::AccessPoliciesArgs),
    /// The aws-auth ConfigMap: push a version, see what is in force, check a file offline.
    #[command(subcommand)]
    AwsAuth(commands::aws_auth::AwsAuthCommand),
    /// Which node name an instance has.
    #[command(subcommand)]
    Node(commands::node::NodeCommand),
    /// Standing refusals, which beat every mapping.
    #[command(subcommand)]
    Block(commands::block::BlockCommand),
    /// RBAC objects of a cluster; and decisions from files, offline.
    #[command(subcommand)]
    Rbac(commands::rbac::RbacCommand),
    /// What is known of the workloads of a cluster: ServiceAccounts, and who signs their tokens.
    #[command(subcommand)]
    Workload(commands::workload::WorkloadCommand),
    /// Give a ServiceAccount's pods a role of AWS or of the hub; and print the trust policy that it needs.
    #[command(after_help = commands::associate::HELP)]
    Associate(commands::associate::AssociateArgs),
    /// Pod Identity associations: which ServiceAccount's pods get which role.
    #[command(subcommand)]
    Association(commands::association::AssociationCommand),
    /// Tags of clusters and of what belongs to them.
    #[command(subcommand)]
    Tag(commands::tag::TagCommand),
    /// Decide many access reviews by a hub, as its clusters are now.
    Authorize(commands::authorize::AuthorizeArgs),
    /// What somebody may do in a cluster.
    Rules(commands::rules::RulesArgs),
    /// Who may do something in a cluster.
    WhoCan(commands::who_can::WhoCanArgs),
    /// Which credentials AWS's tools use here, why these, whose they are, what those may do, and for how long.
    Whoami(commands::whoami::WhoamiArgs),
    /// The headers that sign a gRPC call, for grpcurl and other programs that cannot sign.
    Sign(commands::sign::SignArgs),
    /// A completion script for your shell.
    Completion(commands::completion::CompletionArgs),
}

/// What every command shares.
#[derive(Debug)]
pub struct Context {
    /// Where the hub is and who calls.
    pub hub: HubArgs,
    /// How the answer is shown.
    pub output: Output,
}

impl Context {
    /// The hub, connected.
    pub async fn connect(&self) -> Result<Hub, Failure> {
        Hub::connect(&self.hub).await
    }

    /// Shows an answer that is a yes.
    pub fn show(&self, value: &(impl Serialize + Tabular)) -> Result<Ending, Failure> {
        self.output.show(value)?;
        Ok(Ending::Yes)
    }
}

/// Runs this process's command line.
pub fn run() -> ExitCode {
    // Of the flags that all commands have the variables are read below, as they are not for every command.
    let Cli { hub, output, command } =
        life::parsed(|line| line.mut_args(|flag| flag.env(None::<&'static str>)));
    match command {
        // Which hub is called from the shell that starts a service, and by whom, is nothing to that service.
        Command::Serve(args) => serve::run(&args),
        Command::Run(command) => command.run(),
        command => match hub.with_variables(variable) {
            Ok(hub) => call(&Context { hub, output }, command),
            Err(failure) => failed(&failure),
        },
    }
}

fn variable(name: &str) -> Option<OsString> {
    env::var_os(name)
}

fn failed(failure: &Failure) -> ExitCode {
    complain(&format!("lanyard: {failure}"));
    failure.exit_code()
}

fn call(context: &Context, command: Command) -> ExitCode {
    match command {
        Command::Demo(args) => demo::run(&args, &context.hub),
        Command::Spoke(command) => command.run(context),
        command => match ask(context, command) {
            Ok(ending) => ending.into(),
            Err(failure) => failed(&failure),
        },
    }
}

fn ask(context: &Context, command: Command) -> Result<Ending, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::NoAnswer(format!("no runtime: {error}")))?;
    runtime.block_on(Box::pin(async {
        match command {
            // They have lives of their own.
            Command::Serve(_) | Command::Run(_) | Command::Demo(_) | Command::Spoke(_) => Ok(Ending::Yes),
            Command::Health(args) => Box::pin(args.run(context)).await,
            Command::Pki(command) => Box::pin(command.run(context)).await,
            Command::Db(command) => Box::pin(command.run(context)).await,
            Command::Keys(command) => Box::pin(command.run(context)).await,
            Command::Token(args) => Box::pin(args.run(context)).await,
            Command::CredentialProcess(args) => Box::pin(args.run(context)).await,
            Command::Explain(args) => Box::pin(args.run(context)).await,
            Command::Iam(command) => Box::pin(command.run(context)).await,
            Command::Cluster(command) => Box::pin(command.run(context)).await,
            Command::Kubeconfig(args) => Box::pin(args.run(context)).await,
            Command::Entry(command) => Box::pin(command.run(context)).await,
            Command::IdentityProvider(command) => Box::pin(command.run(context)).await,
            Command::AccessPolicies(args) => args.run(context),
            Command::AwsAuth(command) => Box::pin(command.run(context)).await,
            Command::Node(command) => Box::pin(command.run(context)).await,
            Command::Block(command) => Box::pin(command.run(context)).await,
            Command::Rbac(command) => Box::pin(command.run(context)).await,
            Command::Workload(command) => Box::pin(command.run(context)).await,
            Command::Associate(args) => Box::pin(args.run(context)).await,
            Command::Association(command) => Box::pin(command.run(context)).await,
            Command::Tag(command) => Box::pin(command.run(context)).await,
            Command::Authorize(args) => Box::pin(args.run(context)).await,
            Command::Rules(args) => Box::pin(args.run(context)).await,
            Command::WhoCan(args) => Box::pin(args.run(context)).await,
            Command::Whoami(args) => Box::pin(args.run(context)).await,
            Command::Sign(args) => Box::pin(args.run(context)).await,
            Command::Completion(args) => args.run(),
        }
    }))
}

#[cfg(test)]
mod tests;
