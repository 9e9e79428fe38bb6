//! Ctrl-C and SIGTERM.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// How a shell says that a program ended by Ctrl-C.
const INTERRUPTED: i32 = 130;

/// Whether this process was told to stop.
pub(super) struct Signals(Arc<AtomicBool>);

impl Signals {
    /// From now on neither signal ends this process: the first is told, the second ends it at once, and then the watchdog
    /// ends what is left.
    pub(super) fn listen() -> Result<Self> {
        let told = Arc::new(AtomicBool::new(false));
        let runtime = Builder::new_current_thread().enable_io().build().context("no runtime for signals")?;
        let (mut interrupt, mut terminate) = {
            let _entered = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        let tell = Arc::clone(&told);
        thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    if tell.swap(true, Ordering::Relaxed) {
                        std::process::exit(INTERRUPTED);
                    }
                }
            });
        });
        Ok(Self(told))
    }

    pub(super) fn told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
