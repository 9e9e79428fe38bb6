//! Ctrl-C and SIGTERM: the tour ends by them as by itself, its hub stopped and its folder with the administrator's key removed.

use std::{
    io,
    sync::{Arc, OnceLock},
    thread,
};

use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use crate::exit::{INTERRUPTED, TERMINATED};

/// Whether the tour was told to end, and by what.
#[derive(Clone, Default)]
pub(super) struct Signals(Arc<OnceLock<u8>>);

impl Signals {
    /// From now on neither signal ends this process. The first is told; more change nothing, since all that is left to do then has
    /// deadlines of its own.
    pub(super) fn listen() -> io::Result<Self> {
        let signals = Self::default();
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let (mut interrupt, mut terminate) = {
            let _entered = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        let told = Arc::clone(&signals.0);
        thread::spawn(move || {
            let code = runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => INTERRUPTED,
                    _ = terminate.recv() => TERMINATED,
                }
            });
            // There is one of these threads.
            let _ = told.set(code);
        });
        Ok(signals)
    }

    /// The exit code for a tour that ends early by it; none where it was told nothing.
    pub(super) fn told(&self) -> Option<u8> {
        self.0.get().copied()
    }
}
