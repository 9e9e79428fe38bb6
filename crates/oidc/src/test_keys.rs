//! Keys for tests, made once: RSA takes its time.

use std::sync::{Arc, LazyLock};

use crate::algorithm::Algorithm;
use crate::stand_in::SigningKey;

static RSA: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::Rs256, "rsa"));

/// A key for an algorithm; those for RSA are the same one.
pub(crate) fn key(algorithm: Algorithm, kid: &str) -> Arc<SigningKey> {
    let name = algorithm.as_str();
    let is_rsa = name.starts_with("RS") || name.starts_with("PS");
    Arc::new(if is_rsa { RSA.again(algorithm, kid) } else { SigningKey::generate(algorithm, kid) })
}
