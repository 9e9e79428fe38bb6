//! What is made of keys, made anew when these change.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;

use super::ring::Keyring;

type Make<T> = Box<dyn Fn(&Keyring) -> Result<T, String> + Send + Sync>;

/// Something made of a keyring's keys, such as what mints or opens sessions. It is made anew when there is another version of a key,
/// or when one begins to seal: nobody has to be started for a rotation. Looking it up costs two loads.
pub struct Keyed<T>(Way<T>);

enum Way<T> {
    Fixed(Arc<T>),
    Following { keyring: Keyring, make: Make<T>, made: ArcSwap<(u64, Arc<T>)> },
}

impl<T> Keyed<T> {
    /// Follows a keyring that a store was opened with.
    ///
    /// # Errors
    /// Those of `make`, where the first cannot be made. A later one that cannot be made is logged, and the one before stays.
    pub fn following<E: fmt::Display>(
        keyring: &Keyring,
        make: impl Fn(&Keyring) -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        // Before the keys are read: what comes in between makes it anew once more.
        let generation = keyring.generation();
        let made = ArcSwap::from_pointee((generation, Arc::new(make(keyring)?)));
        let make: Make<T> = Box::new(move |keyring| make(keyring).map_err(|error| error.to_string()));
        Ok(Self(Way::Following { keyring: keyring.clone(), make, made }))
    }

    /// What never changes, as what could.
    pub fn fixed(value: T) -> Self {
        Self(Way::Fixed(Arc::new(value)))
    }

    /// As the keys are now.
    pub fn get(&self) -> Arc<T> {
        let (keyring, make, made) = match &self.0 {
            Way::Fixed(value) => return Arc::clone(value),
            Way::Following { keyring, make, made } => (keyring, make, made),
        };
        let known = made.load();
        let generation = keyring.generation();
        if known.0 == generation {
            return Arc::clone(&known.1);
        }
        let value = match make(keyring) {
            Ok(value) => Arc::new(value),
            Err(error) => {
                tracing::error!(
                    error,
                    "what is made of keys could not be made anew: the one before stays in use"
                );
                Arc::clone(&known.1)
            }
        };
        made.store(Arc::new((generation, Arc::clone(&value))));
        value
    }
}

impl<T> fmt::Debug for Keyed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed")
    }
}
