//! The way to a hub: where it is, whom to trust there, and who signs.

mod certificate;
mod pages;
mod target;

use std::{path::Path, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue};
use lanyard_api::{
    Authority, HubId, InvalidName, Mutation,
    authn::Accounts,
    grpc::{MESSAGE_BYTES_MAX, Remote, admitted_at_the_door},
    signing::{Signatory, SignedChannel, Signing},
};
use lanyard_iam::{AccountId, Credentials, Region};
use lanyard_kit::{Clock, SystemClock};
use lanyard_proto::{
    authz::v1::authorize_client::AuthorizeClient, gateway::v1::explain_client::ExplainClient,
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

pub use certificate::of_files as certificate_of_files;
pub use pages::all_pages;
pub use target::{HubArgs, Target};

use crate::{
    credentials::{self, CertificateFiles, CredentialsError, Found, Origin},
    failure::Failure,
};

/// How long the TCP and TLS handshakes may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a silent connection is asked whether the hub is still there, as often as a watch speaks.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long it may take to say so.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one call may take; a confirmed revocation waits for replicas.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A hub that calls are signed for.
#[derive(Debug)]
pub struct Hub {
    wire: SignedChannel<Channel>,
    /// Its number.
    pub id: HubId,
    signing: Signing,
    /// Where it is and what is known of it.
    pub target: Target,
}

impl Hub {
    /// Connects, with the certificate that was given or that the profile names, or the credentials that AWS tools would find.
    ///
    /// # Errors
    /// [`Failure`] says what is missing, or that nobody answers.
    pub async fn connect(args: &HubArgs) -> Result<Self, Failure> {
        let target = Target::of(args)?;
        let named = match args.certificate()? {
            Some(files) => Some(files),
            None => credentials::Lookup { profile: args.profile.clone() }.certificate()?,
        };
        if let Some(CertificateFiles { certificate, key }) = named {
            let (identity, signer) = certificate::of_files(&certificate, &key)?;
            let channel = channel(&target, Some(identity)).await?;
            return Self::over(channel, target, Signatory::Certificate(Arc::new(signer))).await;
        }
        // Whether there is a hub at all comes first: without one, credentials do not matter.
        let channel = channel(&target, None).await?;
        let credentials = credentials_for_calls(args, &target)?;
        Self::over(channel, target, Signatory::Key(Arc::new(credentials))).await
    }

    /// Connects with these credentials.
    ///
    /// # Errors
    /// [`Failure`] says that nobody answers.
    pub async fn connect_as(args: &HubArgs, credentials: Credentials) -> Result<Self, Failure> {
        let target = Target::of(args)?;
        let channel = channel(&target, None).await?;
        Self::over(channel, target, Signatory::Key(Arc::new(credentials))).await
    }

    async fn over(channel: Channel, target: Target, by: Signatory) -> Result<Self, Failure> {
        let signing = match &target.names {
            Some((hub_id, region)) => signing_for(hub_id, region, &target.url, by)?,
            None => signing(&channel, &target.url, by).await?,
        };
        let id = signing.hub_id;
        Ok(Self { wire: signing.clone().over(channel), signing, id, target })
    }

    /// The headers that sign a message to a method, for whoever sends it.
    ///
    /// # Errors
    /// [`Failure`] where a part of the call cannot stand in a header.
    pub fn sign(&self, path: &str, message: &[u8]) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        Ok(self.signing.headers(path, message)?)
    }

    /// The services behind the front door.
    pub fn remote(&self) -> Remote<SignedChannel<Channel>> {
        Remote::new(self.wire.clone()).with_timeout(CALL_TIMEOUT)
    }

    /// Explanations, which have no trait of their own.
    pub fn explain(&self) -> ExplainClient<SignedChannel<Channel>> {
        ExplainClient::new(self.wire.clone())
    }

    /// Questions to authz. Its trait knows faults alone; asked here, a refusal stays one.
    pub fn authorize(&self) -> AuthorizeClient<SignedChannel<Channel>> {
        AuthorizeClient::new(self.wire.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Who vouches for an account: on a hub each has exactly one authority.
    ///
    /// # Errors
    /// [`Failure::Usage`] where the caller may not see it; then they have to say.
    pub async fn authority_of(&self, account: AccountId) -> Result<Authority, Failure> {
        let remote = self.remote();
        let accounts = all_pages(async |page| remote.list_accounts(admitted_at_the_door(), page).await).await;
        let unknown = || {
            let rule = "is not on this hub, or not for you to see: add --authority aws or local";
            Failure::usage(format!("account {account} {rule}"))
        };
        match accounts {
            Ok(accounts) => accounts
                .into_iter()
                .find(|known| known.id == account)
                .map(|known| known.authority)
                .ok_or_else(unknown),
            Err(Failure::Refused(_)) => Err(unknown()),
            Err(failure) => Err(failure),
        }
    }
}

/// The services behind the front door, for calls that are their own proof.
///
/// # Errors
/// [`Failure`] says that nobody answers.
pub async fn unsigned(args: &HubArgs) -> Result<Remote<Channel>, Failure> {
    let target = Target::of(args)?;
    Ok(Remote::new(channel(&target, None).await?).with_timeout(CALL_TIMEOUT))
}

/// A hub that is known, for calls that are their own proof.
pub struct Known {
    /// The services behind the front door.
    pub remote: Remote<Channel>,
    /// Its id, which proofs sign.
    pub hub_id: String,
}

/// A hub with its id: that of the ready-file, else its own word.
///
/// # Errors
/// [`Failure`] says that nobody answers.
pub async fn known(args: &HubArgs) -> Result<Known, Failure> {
    let target = Target::of(args)?;
    let channel = channel(&target, None).await?;
    let hub_id = match target.names {
        Some((hub_id, _)) => hub_id,
        None => ExplainClient::new(channel.clone()).hub(()).await?.into_inner().hub_id,
    };
    Ok(Known { remote: Remote::new(channel).with_timeout(CALL_TIMEOUT), hub_id })
}

/// What signs the calls to a hub, which is asked for its id and region.
///
/// # Errors
/// [`Failure`] where it does not answer.
pub async fn signing(channel: &Channel, url: &str, by: Signatory) -> Result<Signing, Failure> {
    // The one call that needs no signature: signing needs its answer.
    let info = ExplainClient::new(channel.clone()).hub(()).await?.into_inner();
    signing_for(&info.hub_id, &info.region, url, by)
}

fn signing_for(hub_id: &str, region: &str, url: &str, by: Signatory) -> Result<Signing, Failure> {
    Ok(Signing {
        by,
        region: Region::parse(region)
            .map_err(|error| Failure::usage(format!("the hub's own region: {error}")))?,
        hub_id: hub_id
            .parse()
            .map_err(|error: InvalidName| Failure::usage(format!("the hub's own id: {error}")))?,
        authority: url.trim_start_matches("https://").trim_end_matches('/').to_owned(),
        now: Arc::new(|| SystemClock.now()),
    })
}

/// A call's message with the time that it may take.
pub fn request<M>(message: M) -> tonic::Request<M> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}

/// Why a change is made, for the audit line, and what it may do.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ChangeArgs {
    /// Why; it stands in the audit line.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Accept that the change leaves a cluster without an administrator who could log in.
    #[arg(long)]
    pub allow_lockout: bool,
}

impl From<ChangeArgs> for Mutation {
    fn from(args: ChangeArgs) -> Self {
        Self { reason: args.reason, allow_lockout: args.allow_lockout, ..Self::by(admitted_at_the_door()) }
    }
}

async fn channel(target: &Target, identity: Option<Identity>) -> Result<Channel, Failure> {
    lanyard_kit::tls::install_provider();
    let url = &target.url;
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&target.ca_pem));
    let tls = identity.into_iter().fold(tls, ClientTlsConfig::identity);
    let endpoint = Endpoint::from_shared(url.clone())
        .and_then(|endpoint| endpoint.tls_config(tls))
        .map_err(|error| Failure::usage(format!("the hub's address `{url}`: {error}")))?;
    let connected = pinged(endpoint).connect_timeout(CONNECT_TIMEOUT).connect().await;
    connected.map_err(|error| Failure::NoAnswer(unreached(target, &causes(&error))))
}

/// How rustls begins to say that it does not take a server's certificate.
const NOT_TRUSTED: &str = "invalid peer certificate";
/// How it says that it comes from another authority; one of the same name signs otherwise.
const OF_OTHERS: [&str; 2] = ["UnknownIssuer", "BadSignature"];

/// That nobody answers, or somebody who is not trusted, with what said where to ask and whom to trust.
fn unreached(target: &Target, cause: &str) -> String {
    let Target { url, named_by, ca, .. } = target;
    if !cause.contains(NOT_TRUSTED) {
        return format!(
            "no hub answers at `{url}`, where {named_by} says that it is: {cause}; is `lanyard serve` running? Start it, or name \
             another hub with --hub and --ca"
        );
    }
    match OF_OTHERS.iter().any(|said| cause.contains(said)) {
        true => format!(
            "whoever answers at `{url}` is not trusted: {cause}; its certificate has to come from the authority in `{}`: name that of \
             the hub with --ca (of `lanyard serve` it is `pki/root.crt` in the data folder)",
            ca.display()
        ),
        false => format!(
            "whoever answers at `{url}` is not trusted: {cause}; see whether this machine's clock is right, and whether the hub's \
             certificate is for that host and has not ended"
        ),
    }
}

/// A way whose connections end where they lead to nobody any more. Else nothing but the system's own patience, a quarter of an hour, ends
/// them, and each further call, as of a watch that is begun again, goes out on the same one.
pub fn pinged(way: Endpoint) -> Endpoint {
    way.http2_keep_alive_interval(PING_INTERVAL).keep_alive_timeout(PING_TIMEOUT).keep_alive_while_idle(true)
}

/// An error with what it comes from, joined by colons, each thing said once.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// Whose credentials sign management calls. Credentials that were given by name or by environment always count. A default
/// profile that merely happens to be there counts if its key is one of Lanyard's, for another's means nothing to a hub;
/// otherwise the hub's own administrator signs, where this user may read that file.
fn credentials_for_calls(args: &HubArgs, target: &Target) -> Result<Credentials, Failure> {
    let found = credentials::Lookup { profile: args.profile.clone() }.find();
    signed_by(found, target.credentials.as_deref().filter(|path| path.exists()))
}

fn signed_by(
    found: Result<Found, CredentialsError>,
    administrator: Option<&Path>,
) -> Result<Credentials, Failure> {
    match (found, administrator) {
        (Ok(Found { credentials, origin: Origin::DefaultProfile, .. }), Some(path))
            if !credentials.access_key_id.is_local() =>
        {
            Ok(credentials::of_file(path, "default")?)
        }
        (Ok(found), _) => Ok(found.credentials),
        (Err(CredentialsError::None { .. }), Some(path)) => Ok(credentials::of_file(path, "default")?),
        (Err(error), _) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn who_is_not_reached_is_named_with_what_said_where_to_ask_and_whom_to_trust() {
        let target = Target {
            url: "https://127.0.0.1:8444".to_owned(),
            named_by: "the ready-file `/hub/ready.json`".to_owned(),
            ca_pem: String::new(),
            ca: "/hub/pki/root.crt".into(),
            names: None,
            gateway: None,
            credentials: None,
        };
        let away = unreached(&target, "transport error: Connection refused (os error 111)");
        for part in
            ["`https://127.0.0.1:8444`", "`/hub/ready.json`", "refused", "is `lanyard serve` running?"]
        {
            assert!(away.contains(part), "{away}");
        }
        let stranger = unreached(&target, "transport error: invalid peer certificate: UnknownIssuer");
        for part in ["`https://127.0.0.1:8444`", "`/hub/pki/root.crt`", "UnknownIssuer", "--ca"] {
            assert!(stranger.contains(part), "{stranger}");
        }
        assert!(!stranger.contains("running?"), "{stranger}");
        let ended = unreached(&target, "transport error: invalid peer certificate: certificate expired: ...");
        assert!(ended.contains("clock") && !ended.contains("--ca"), "{ended}");
    }

    #[test]
    fn the_administrator_signs_only_where_nobody_chose_a_profile_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        let keys = "[default]\naws_access_key_id = LKIAAAAAAAAAAAAAAAAA\naws_secret_access_key = x\n";
        std::fs::write(&path, keys).unwrap();
        let (profile, files) = ("readonly".to_owned(), "`config`".to_owned());
        let nobody = CredentialsError::None { profile: profile.clone(), files: files.clone() };
        let signed = signed_by(Err(nobody), Some(&path)).unwrap();
        assert_eq!(signed.access_key_id.as_str(), "LKIAAAAAAAAAAAAAAAAA");
        let without_keys = CredentialsError::NoKeys {
            profile: profile.clone(),
            files: files.clone(),
            unread: String::new(),
        };
        for chosen in [without_keys, CredentialsError::NoProfile { profile, files }] {
            let Failure::Usage(refused) = signed_by(Err(chosen), Some(&path)).unwrap_err() else {
                panic!("a profile is wrong, not the hub");
            };
            assert!(refused.contains("`readonly`") && refused.contains("--profile"), "{refused}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_leads_to_nobody_ends_by_itself() {
        // What is sent there is taken, by the system, and nobody answers.
        let nobody = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let way = Endpoint::from_shared(format!("http://{}", nobody.local_addr().unwrap())).unwrap();
        let channel = pinged(way).connect().await.unwrap();
        // Without a limit of its own.
        let call = tokio::time::timeout(Duration::from_secs(60), ExplainClient::new(channel).hub(())).await;
        call.expect("it is given up long before").unwrap_err();
    }
}
