//! `lanyard run SERVICE`: one service in this process, the others elsewhere.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use lanyard_agent::args::AgentCommand;
use lanyard_agent::process as agent;
use lanyard_api::methods::{AWSAPI, SPOKE_SERVICE};
use lanyard_awsapi::process as awsapi;
use lanyard_gateway::process as gateway;
use lanyard_process::Args;
use lanyard_spoke::process as spoke;
use lanyard_store::Holder;

/// Which service.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Each has a binary of its own too, with the same flags: lanyard-authn, …, lanyard-gateway.\n\nA service \
                  needs the folder that `lanyard pki issue SERVICE` writes, and all but gateway, awsapi and spoke the suite's \
                  PostgreSQL (LANYARD_PROCESS__STORE, or process.store in --config).\n\nExamples:\n  lanyard run authn \
                  --tls-dir /etc/lanyard/authn --listen 0.0.0.0:7443\n  lanyard run gateway --config gateway.toml\n  \
                  lanyard run authz --print-config > authz.toml"
)]
pub enum RunCommand {
    /// Who is knocking.
    Authn(Args),
    /// Which badge they get.
    Mapping(Args),
    /// Which doors it opens.
    Authz(Args),
    /// The way out: role sessions.
    Credentials(Args),
    /// The doors in front of the four.
    Gateway(gateway::Args),
    /// The door for AWS's own clients.
    Awsapi(awsapi::Args),
    /// The watch on spoke clusters.
    Spoke(spoke::Args),
    /// The node agent: AWS credentials for the pods of a node. It is no service of the hub, and needs no folder of one.
    Agent {
        /// What it does.
        #[command(subcommand)]
        command: AgentCommand,
    },
}

impl RunCommand {
    /// Runs it until told to stop.
    pub fn run(&self) -> ExitCode {
        match self {
            Self::Authn(args) => lanyard_process::main::<lanyard_authn::process::Authn>(args),
            Self::Mapping(args) => lanyard_process::main::<lanyard_mapping::process::MappingService>(args),
            Self::Authz(args) => lanyard_process::main::<lanyard_authz::process::AuthzService>(args),
            Self::Credentials(args) => {
                lanyard_process::main::<lanyard_credentials::process::CredentialsService>(args)
            }
            Self::Gateway(args) => gateway::main(args),
            Self::Awsapi(args) => awsapi::main(args),
            Self::Spoke(args) => spoke::main(args),
            Self::Agent { command } => agent::main(command),
        }
    }
}

/// The services.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ServiceName {
    /// Who is knocking.
    Authn,
    /// Which badge they get.
    Mapping,
    /// Which doors it opens.
    Authz,
    /// The way out.
    Credentials,
    /// The doors in front of the four.
    Gateway,
    /// The door for AWS's own clients.
    Awsapi,
    /// The watch on spoke clusters.
    Spoke,
}

impl ServiceName {
    /// Its name, as in its certificate.
    pub fn as_str(self) -> &'static str {
        let without_keys = match self {
            Self::Spoke => SPOKE_SERVICE,
            Self::Awsapi => AWSAPI,
            _ => "gateway",
        };
        self.holder().map_or(without_keys, Holder::as_str)
    }

    /// Who has keys in the store; gateway, awsapi and spoke have none.
    pub fn holder(self) -> Option<Holder> {
        match self {
            Self::Authn => Some(Holder::Authn),
            Self::Mapping => Some(Holder::Mapping),
            Self::Authz => Some(Holder::Authz),
            Self::Credentials => Some(Holder::Credentials),
            Self::Gateway | Self::Awsapi | Self::Spoke => None,
        }
    }
}
