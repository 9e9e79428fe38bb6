use lanyard_api::kubeconfig::{KubeCredential, Kubeconfig, PEM_BYTES_MAX, TOKEN_BYTES_MAX};
use secrecy::ExposeSecret as _;

use super::promise;

/// A kubeconfig as a cluster's owner gives it to a hub. Accepted means that it is kept, reduced.
pub fn kubeconfig(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let reduced = match Kubeconfig::reduce(text, None) {
        Ok(reduced) => reduced,
        Err(refused) => {
            promise::is_one_bounded_line(&refused.to_string());
            promise::is_reason_code(refused.code());
            return false;
        }
    };
    assert_eq!(reduced.server.scheme(), "https", "a server that anybody can listen to");
    assert!(reduced.server.has_host() && reduced.server.username().is_empty());
    let authority = reduced.certificate_authority.as_deref().unwrap_or_default();
    assert!(authority.len() <= PEM_BYTES_MAX + 2);
    let shown = format!("{reduced:?}");
    match &reduced.credential {
        KubeCredential::Token(token) => {
            assert!((1..=TOKEN_BYTES_MAX).contains(&token.expose_secret().len()));
            promise::gives_nothing_away(&shown, token.expose_secret());
        }
        KubeCredential::ClientCertificate { key_pem, .. } => {
            promise::gives_nothing_away(&shown, key_pem.expose_secret());
        }
    }
    let document = reduced.to_document();
    for refused in ["exec", "auth-provider", "tokenFile", "proxy-url", "insecure-skip-tls-verify"] {
        let member = format!("\"{refused}\":");
        assert!(!document.expose_secret().contains(&member), "`{refused}` was kept");
    }
    assert_eq!(
        Kubeconfig::reduce(document.expose_secret(), None).as_ref(),
        Ok(&reduced),
        "a second reading differs"
    );
    true
}
