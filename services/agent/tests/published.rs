//! The published agent's DaemonSet runs this program by the names and with the words that it has (its chart,
//! `eks-pod-identity-agent/templates/daemonset.yaml` with the default values).

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

/// Behind `/go-runner`: the container's command and arguments.
const SERVER: [&str; 12] = [
    "/eks-pod-identity-agent",
    "server",
    "--port",
    "80",
    "--cluster-name",
    "EKS_CLUSTER_NAME",
    "--probe-port",
    "2703",
    "--metrics-port",
    "2705",
    "-v",
    "trace",
];

#[test]
fn its_runner_runs_the_agent_and_its_output_goes_where_the_flags_say() {
    let folder = tempfile::tempdir().unwrap();
    let (runner, log) = (folder.path().join("go-runner"), folder.path().join("agent.log"));
    symlink(env!("CARGO_BIN_EXE_lanyard-agent"), &runner).unwrap();
    let to_file = format!("--log-file={}", log.display());
    for flags in [vec![], vec!["--redirect-stderr=false"], vec![to_file.as_str(), "--also-stdout"]] {
        let mut command = Command::new(&runner);
        command.args(&flags).args(SERVER).arg("--print-config");
        let done = command.env_clear().env("AWS_REGION", "eu-west-1").output().unwrap();
        assert!(done.status.success(), "{flags:?}: {done:?}");
        let said = if flags.contains(&to_file.as_str()) {
            assert!(done.stdout.is_empty(), "{done:?}");
            let notice = String::from_utf8(done.stderr).unwrap();
            assert!(notice.contains("--also-stdout is left out"), "{notice}");
            fs::read_to_string(&log).unwrap()
        } else {
            String::from_utf8(done.stdout).unwrap()
        };
        for line in
            ["cluster_name = \"EKS_CLUSTER_NAME\"", "region = \"eu-west-1\"", "listen = \"0.0.0.0:2705\""]
        {
            assert!(said.contains(line), "{line}: {said}");
        }
    }
}

#[test]
fn what_an_error_says_goes_with_the_rest_of_the_output() {
    let folder = tempfile::tempdir().unwrap();
    let runner = folder.path().join("go-runner");
    symlink(env!("CARGO_BIN_EXE_lanyard-agent"), &runner).unwrap();
    // Without a region or a hub there is nobody to ask.
    let done = Command::new(&runner).args(SERVER).env_clear().output().unwrap();
    assert_eq!(done.status.code(), Some(64), "{done:?}");
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(said.contains("--region for EKS Auth") && done.stderr.is_empty(), "{said}");
    let done = Command::new(&runner).arg("/nothing/here").env_clear().output().unwrap();
    assert_eq!(done.status.code(), Some(64), "{done:?}");
    let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
    assert!(said.contains("`/nothing/here` cannot be run"), "{said}");
}
