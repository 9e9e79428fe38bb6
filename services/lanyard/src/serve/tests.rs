//! The files of the data folder: the documents name them, and the ready-file is there while the hub answers.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use lanyard_kit::{Clock as _, SystemClock, life::Life, tls};

use super::{ServeConfig, credentials_file::CredentialsFile, serve};
use crate::place::READY_FILE;

const FOLDER: &str = ".local/share/lanyard/";

#[test]
fn what_the_documents_name_in_the_data_folder_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let authority = tls::Authority::create(&data.join("pki"), "hub", SystemClock.now()).unwrap();
    let credentials = CredentialsFile::of(data);
    let ready = data.join(READY_FILE);
    let there = [authority.root_path(), credentials.path(), ready.as_path()];
    let there = there.map(|path| path.strip_prefix(data).unwrap().to_str().unwrap().to_owned());
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let documents = fs::read_dir(home.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut named = 0;
    for document in documents.chain([home.join("README.md")]) {
        let text = fs::read_to_string(&document).unwrap();
        for rest in text.split(FOLDER).skip(1) {
            let name: String =
                rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "/._-".contains(*c)).collect();
            let name = name.trim_end_matches('.').to_owned();
            assert!(there.contains(&name), "`{name}` in `{}`; there are {there:?}", document.display());
            named += 1;
        }
    }
    assert!(named > 0, "the documents name the folder in another way");
}

#[tokio::test]
async fn a_hub_that_is_told_to_stop_while_it_starts_is_nowhere_said_to_be_ready() {
    tls::install_provider();
    let folder = tempfile::tempdir().unwrap();
    let (data, named) = (folder.path().join("hub"), folder.path().join("named.json"));
    tls::secure_dir(&data).unwrap();
    for of_before in [&named, &data.join(READY_FILE)] {
        fs::write(of_before, "{}").unwrap();
    }
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = ServeConfig {
        data_dir: data.clone(),
        listen: free,
        grpc_listen: free,
        aws_listen: free,
        ready_file: Some(named.clone()),
        ..ServeConfig::default()
    };
    let life = Life::detached();
    life.end(Duration::ZERO).await;
    Box::pin(serve(config, life, false)).await.unwrap();
    assert!(!named.exists() && !data.join(READY_FILE).exists(), "nor a hub of before");
    assert!(data.join("credentials").exists(), "it had begun");
}
