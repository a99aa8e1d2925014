//! Ctrl-C and SIGTERM: the first ends the run after what it has, the second ends it at once.
//!
//! Not here: what is written then (`crate::compare`).

use std::future::Future;
use std::io;

use tandem_gateway::tasks::Side;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::process::Running;
use crate::failure::Exit;

/// Whether somebody wants the run to end.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(watch::Receiver<bool>);

/// The run was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interrupted;

impl Interrupt {
    /// Listens from now on; at the second signal `running` is killed and the process ends.
    ///
    /// # Errors
    /// When the system lets nobody listen to signals.
    pub(crate) fn listen(side: &Side, running: Running) -> io::Result<Interrupt> {
        let (say, heard) = watch::channel(false);
        let mut interrupts = signal(SignalKind::interrupt())?;
        let mut terminations = signal(SignalKind::terminate())?;
        side.start(async move {
            loop {
                tokio::select! {
                    _ = interrupts.recv() => {}
                    _ = terminations.recv() => {}
                }
                if say.send_replace(true) {
                    running.kill();
                    std::process::exit(Exit::Interrupted as i32);
                }
            }
        });
        Ok(Interrupt(heard))
    }

    /// Runs `work`, unless or until the run is interrupted.
    ///
    /// # Errors
    /// It was.
    pub(crate) async fn or<T>(&self, work: impl Future<Output = T>) -> Result<T, Interrupted> {
        let mut heard = self.0.clone();
        tokio::select! {
            biased;
            // The sender lives as long as the loop.
            Ok(_) = heard.wait_for(|interrupted| *interrupted) => Err(Interrupted),
            done = work => Ok(done),
        }
    }
}
