//! `lanyard kubeconfig ID`: a person's kubeconfig, with `lanyard token` as its exec plugin.

use std::path::PathBuf;

use clap::Args;
use lanyard_api::{ClusterId, grpc::admitted_at_the_door, mapping::Clusters};

use super::cluster::gateway_url;
use crate::{
    cli::{Context, complain},
    exit::Ending,
    failure::Failure,
    hub::HubArgs,
    input::Source,
    kubefiles,
    output::line,
};

const HELP: &str = "\
Examples:
  lanyard kubeconfig dev --server https://kube.example:6443 --server-ca ca.crt > ana.kubeconfig
  lanyard kubeconfig dev > me.kubeconfig     # kubectl talks to the hub alone: whoami, can-i
  KUBECONFIG=me.kubeconfig kubectl auth whoami

It holds no secret: the exec plugin finds credentials as AWS tools do, on the machine where kubectl runs. Without --server it is told \
the file of --ready-file too, by which it finds the hub's administrator where AWS tools find nobody, \
and nobody named a profile or a file for them.";

/// The flags of `lanyard kubeconfig`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct KubeconfigArgs {
    /// The cluster's id.
    cluster: ClusterId,
    /// The API server's URL; by default the hub's own, which answers whoami and can-i.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The API server's CA (PEM); by default the one registered with the cluster.
    #[arg(long, value_name = "FILE", requires = "server")]
    server_ca: Option<PathBuf>,
    /// How kubectl calls this program.
    #[arg(long, value_name = "COMMAND", default_value = "lanyard")]
    plugin: String,
    /// The URL of the hub's gateway; by default the ready-file's.
    #[arg(long, value_name = "URL", conflicts_with = "server")]
    gateway: Option<String>,
}

impl KubeconfigArgs {
    /// Prints it.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let hub = context.connect().await?;
        let cluster = hub.remote().get_cluster(admitted_at_the_door(), self.cluster).await?;
        // The ready-file of another hub says nothing about this one.
        let is_here = self.server.is_none() && context.hub.named_ready()?.is_some();
        let (server, ca) = match self.server {
            Some(server) => {
                let given = self.server_ca.map(|path| Source::File(path).read()).transpose()?;
                let ca = given.or_else(|| cluster.certificate_authority.clone());
                if ca.is_none() {
                    complain(&format!("notice: {}", without_ca(&cluster.id, &server)));
                }
                (server, ca)
            }
            None => {
                let gateway = gateway_url(self.gateway.as_deref(), &hub)?;
                (format!("{gateway}/clusters/{}", cluster.id), Some(hub.target.ca_pem.clone()))
            }
        };
        let flags = plugin_flags(&context.hub, is_here)?;
        let text = kubefiles::user_kubeconfig(&cluster, &server, ca.as_deref(), &self.plugin, &flags);
        line(text.trim_end())?;
        Ok(Ending::Yes)
    }
}

/// What comes of a kubeconfig that names no CA.
fn without_ca(cluster: &ClusterId, server: &str) -> String {
    format!(
        "no CA is known for `{server}`, so kubectl goes by its machine's own authorities, and the API servers of kubeadm, k3s, kops and \
         EKS Anywhere have a certificate of none of them: add --server-ca FILE, or register it by \
         `lanyard cluster update {cluster} --certificate-authority FILE`"
    )
}

/// By what the exec plugin finds who you are: the profile that was named, else, as this machine is meant, the ready-file; but not for who
/// calls by a certificate, and would be the hub's administrator in kubectl.
fn plugin_flags(hub: &HubArgs, is_here: bool) -> Result<Vec<String>, Failure> {
    if let Some(profile) = &hub.profile {
        return Ok(vec!["--profile".to_owned(), profile.clone()]);
    }
    match &hub.ready_file {
        Some(path) if is_here && hub.client_cert.is_none() => {
            // kubectl may be started in another folder.
            let path = std::path::absolute(path).map_err(Failure::usage)?;
            Ok(vec!["--ready-file".to_owned(), path.display().to_string()])
        }
        _ => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_knows_no_ca_is_told_how_kubectl_gets_one() {
        let told = without_ca(&"dev".parse().unwrap(), "https://kube.example:6443");
        for part in
            ["`https://kube.example:6443`", "--server-ca FILE", "update dev --certificate-authority FILE"]
        {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn the_plugin_finds_whom_the_line_named_and_nobody_elses_machine_is_told_of_a_file_here() {
        let hub = HubArgs { ready_file: Some("/hub/ready.json".into()), ..HubArgs::default() };
        assert_eq!(plugin_flags(&hub, true).unwrap(), ["--ready-file", "/hub/ready.json"]);
        assert!(plugin_flags(&hub, false).unwrap().is_empty());
        assert!(plugin_flags(&HubArgs::default(), true).unwrap().is_empty());
        let certified = HubArgs { client_cert: Some("/ana.crt".into()), ..hub.clone() };
        assert!(plugin_flags(&certified, true).unwrap().is_empty());
        let ana = HubArgs { profile: Some("ana".to_owned()), ..hub };
        for is_here in [false, true] {
            assert_eq!(plugin_flags(&ana, is_here).unwrap(), ["--profile", "ana"]);
        }
    }
}
