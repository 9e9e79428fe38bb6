//! The command line itself: it holds together, and it teaches.

mod examples;

use std::collections::BTreeSet;

use clap::CommandFactory;
use lanyard_kit::config::{Environment, Sources, load};
use serde::de::DeserializeOwned;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn every_command_and_flag_fits_with_the_others() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_says_what_it_does_and_every_flag_what_it_is() {
    fn visit(command: &clap::Command, path: &str) {
        assert!(command.get_about().is_some(), "`{path}` says nothing of itself");
        for argument in command
            .get_arguments()
            .filter(|argument| !["help", "version"].contains(&argument.get_id().as_str()))
        {
            let id = argument.get_id();
            assert!(argument.get_help().is_some(), "`{path}` says nothing of `{id}`");
        }
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            visit(inner, &format!("{path} {}", inner.get_name()));
        }
    }
    visit(&Cli::command(), "lanyard");
}

#[test]
fn no_variable_of_the_command_line_stops_a_process_that_is_started_beside_it() {
    fn variables(command: &clap::Command, found: &mut BTreeSet<String>) {
        found.extend(
            command.get_arguments().filter_map(|argument| Some(argument.get_env()?.to_str()?.to_owned())),
        );
        for inner in command.get_subcommands() {
            variables(inner, found);
        }
    }
    fn starts<T: DeserializeOwned>(name: &str) {
        let environment: Environment = [(name.to_owned(), "/x".to_owned())].into_iter().collect();
        if let Err(error) = load::<T>(&Sources::none().environment(environment)) {
            panic!("{name}, for {}: {error}", std::any::type_name::<T>());
        }
    }
    let mut found = BTreeSet::new();
    variables(&Cli::command(), &mut found);
    for known in ["LANYARD_CLIENT_CERT", "LANYARD_CLIENT_KEY", "LANYARD_READY_FILE", "LANYARD_STORE"] {
        assert!(found.contains(known), "{known}");
    }
    for name in found.iter().filter(|name| name.starts_with("LANYARD_")) {
        starts::<serve::ServeConfig>(name);
        starts::<lanyard_authn::process::AuthnProcessConfig>(name);
        starts::<lanyard_gateway::process::GatewayProcessConfig>(name);
        starts::<lanyard_awsapi::process::AwsApiProcessConfig>(name);
        starts::<lanyard_spoke::process::SpokeProcessConfig>(name);
        starts::<lanyard_agent::config::AgentConfig>(name);
    }
}

#[test]
fn every_variable_of_the_flags_that_all_commands_have_is_read() {
    let line = Cli::command();
    let names: Vec<&str> = line.get_arguments().filter_map(|flag| flag.get_env()?.to_str()).collect();
    assert_eq!(names.len(), 6, "{names:?}");
    for name in names {
        let hub = HubArgs::default().with_variables(|asked| (asked == name).then(|| "/x".into())).unwrap();
        assert!(format!("{hub:?}").contains("/x"), "{name}");
    }
}

#[test]
fn lines_as_people_type_them_are_understood() {
    for line in [
        "lanyard serve --region us-east-1 --ready-file /tmp/x --print-config",
        "lanyard demo --keep",
        "lanyard token --cluster-name dev --region us-east-1 --raw",
        "lanyard token --cluster-id dev --role-arn arn:aws:iam::111122223333:role/x --session-name ana",
        "lanyard token -i dev -r arn:aws:iam::111122223333:role/x",
        "lanyard token inspect",
        "lanyard token inspect - --cluster dev",
        "lanyard explain --token - --cluster dev",
        "lanyard explain --token - --cluster dev get pods -n team-a",
        "lanyard explain --as arn:aws:iam::111122223333:user/ana --authority local --cluster dev get /metrics",
        "lanyard explain --id 00000000-0000-4000-8000-000000000000 --output json",
        "lanyard -o json cluster list --hub https://hub.example --ca ca.pem",
        "lanyard cluster create dev --region us-east-1 --authentication-mode API --trust aws/111122223333",
        "lanyard cluster create dev --mode API",
        "lanyard cluster update dev --mode api_and_config_map",
        "lanyard cluster create dev --authentication-mode api_and_config_map --authorizer-mode Full -o JSON",
        "lanyard entry create dev arn:aws:iam::111122223333:user/ana --type ec2_linux",
        "lanyard cluster webhook-config dev --out /tmp/x",
        "lanyard cluster webhook-config dev --out /tmp/x --kubernetes-version v1.31.4",
        "lanyard cluster add dev --kubeconfig spoke.yaml --context admin@dev --region us-east-1 --out /tmp/x",
        "lanyard cluster add dev --kubeconfig spoke.yaml --kubernetes-version 1.28",
        "lanyard cluster describe dev -o json",
        "lanyard cluster unwatch dev --reason x",
        "lanyard pki issue-spoke dev --out /tmp/x --days 30",
        "lanyard spoke push --cluster dev --credential /etc/lanyard --hub https://hub.example",
        "lanyard pki renew services --data-dir /tmp/x",
        "lanyard db external-url --data-dir /tmp/x",
        "lanyard db external-url https://hub.example --reason x",
        "lanyard keys list -o json",
        "lanyard keys rotate sessions proofs --overlap-seconds 0 --reason x",
        "lanyard keys rotate --all --service-dir /tmp/authn --service-dir /tmp/authz",
        "lanyard cluster break-glass arm dev --reason x",
        "lanyard cluster spoke-credential create dev",
        "lanyard cluster spoke-credential list dev",
        "lanyard cluster spoke-credential delete dev 0123456789ab --reason x",
        "lanyard kubeconfig dev --server https://kube:6443 --server-ca ca.pem",
        "lanyard entry create dev arn:aws:iam::111122223333:user/ana --type STANDARD --group a --group b",
        "lanyard entry update dev arn:aws:iam::111122223333:user/ana --no-groups --endless --allow-lockout",
        "lanyard entry associate dev arn:aws:iam::111122223333:user/ana AmazonEKSViewPolicy -n a -n b",
        "lanyard access-policies",
        "lanyard sign lanyard.mapping.v1.Clusters/ListClusters -d {}",
        "lanyard aws-auth check - --strict",
        "lanyard node set dev i-0123456789abcdef0 ip.internal --role arn:aws:iam::111122223333:role/n",
        "lanyard node delete dev i-0123456789abcdef0 --reason x",
        "lanyard block create --principal arn:aws:iam::111122223333:user/ana --reason left",
        "lanyard block list --in-account 111122223333",
        "lanyard rbac delete dev RoleBinding/team-a/x",
        "lanyard rbac check -f a.yaml -f b.yaml --reviews -",
        "lanyard rules --as arn:aws:iam::111122223333:user/ana --cluster dev -n team-a",
        "lanyard who-can list pods -n team-a --cluster dev",
        "lanyard authorize --as arn:aws:iam::111122223333:user/ana --cluster dev -f - --all-allowed",
        "lanyard iam access-key update ana LKIAAAAAAAAAAAAAAAAA --inactive",
        "lanyard iam role create x --trust a --trust b",
        "lanyard iam policy put --user ana p --document -",
        "lanyard iam assume-role arn:aws:iam::111122223333:role/x --session-name s --credential-process",
        "lanyard completion fish",
    ] {
        assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
    }
}

#[test]
fn lines_that_mean_nothing_are_refused_as_usage() {
    for line in [
        "lanyard",
        "lanyard nothing",
        "lanyard token",
        "lanyard token --raw",
        "lanyard token --cluster-name dev --role-arn role/x",
        "lanyard explain --cluster dev",
        "lanyard explain --token -",
        "lanyard explain --token - --as arn:aws:iam::111122223333:user/ana --cluster dev",
        "lanyard explain --as ana --cluster dev",
        "lanyard explain --token - --cluster dev --authority local",
        "lanyard explain --id x",
        "lanyard cluster get",
        "lanyard cluster get a/b",
        "lanyard cluster add dev",
        "lanyard cluster add dev --kubeconfig spoke.yaml --kubernetes-version 1.16",
        "lanyard spoke push --cluster dev",
        "lanyard pki issue-spoke dev",
        "lanyard db external-url https://hub.example --forget",
        "lanyard cluster spoke-credential dev",
        "lanyard cluster spoke-credential delete dev",
        "lanyard node delete dev",
        "lanyard cluster create dev --authentication-mode MAYBE",
        "lanyard cluster create dev --mode full",
        "lanyard entry update dev arn --group a --no-groups",
        "lanyard entry create dev arn --ends-at tomorrow",
        "lanyard block create --reason x",
        "lanyard block create --principal arn:aws:iam::111122223333:user/a --account 111122223333",
        "lanyard block list --cluster dev --in-account 111122223333",
        "lanyard iam access-key update ana LKIAAAAAAAAAAAAAAAAA",
        "lanyard iam access-key update ana LKIAAAAAAAAAAAAAAAAA --active --inactive",
        "lanyard iam role create x",
        "lanyard iam policy list",
        "lanyard rbac check -f x",
        "lanyard rbac delete dev Pod/x",
        "lanyard rules --cluster dev",
        "lanyard who-can get pods",
        "lanyard authorize --cluster dev",
        "lanyard authorize --authority local --cluster dev -f -",
        "lanyard cluster webhook-config dev --out /tmp/x --kubernetes-version 1.16",
    ] {
        let refused = parse(line).expect_err(line);
        assert_eq!(refused.exit_code(), i32::from(crate::exit::USAGE), "{line}");
    }
}
