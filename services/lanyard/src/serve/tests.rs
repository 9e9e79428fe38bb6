//! The documents name files of the data folder; they are where these say.

use std::{fs, path::Path};

use lanyard_kit::{Clock as _, SystemClock, tls};

use super::credentials_file::CredentialsFile;
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
