//! One call to the service for everybody who asks the same at once.
//!
//! A flight begins with the first who asks and lands with an answer or a failure; everybody who
//! asks meanwhile waits for it, on whatever data thread, each as long as he wants. Who makes the
//! call holds a [`Lead`]; when it fails by what may have been bad luck, is let go without having
//! landed, or has been slow for [`PATIENCE`], one of those who wait takes over, once in a flight:
//! the service is asked twice at most. Whose call it was that failed does not take over, so one
//! caller alone never asks twice: he has his failure when nobody else waits. No lock is held while
//! anybody waits.
//!
//! Source: security C-4, LI-28.
//!
//! Not here: what is kept of an answer (`store`), making the call (`path::cached`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::{Failure, Kept, Space};

/// Who has waited so long takes over, if nobody has (security LI-28).
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How a flight ended.
#[derive(Clone)]
pub(crate) enum Landed {
    Answer(Arc<Kept>),
    /// The answer is for the one who asked: each for himself.
    Own,
    Failed(Arc<Failure>),
}

#[derive(Clone)]
enum State {
    Flying,
    /// Nobody makes the call any longer, for this reason.
    Adrift(Arc<Failure>),
    Landed(Landed),
}

pub(super) struct Flight {
    key: Arc<[u8]>,
    state: watch::Sender<State>,
    /// Who takes over has done so.
    taken_over: AtomicBool,
    /// Calls that are being made.
    leads: AtomicU32,
}

/// The place of one who waits.
pub(crate) struct Seat {
    space: Arc<Space>,
    flight: Arc<Flight>,
    /// `None` only while it is let go.
    state: Option<watch::Receiver<State>>,
}

/// The duty to make the call.
pub(crate) struct Lead {
    space: Arc<Space>,
    flight: Arc<Flight>,
    landed: bool,
}

impl Flight {
    pub(super) fn new(key: Arc<[u8]>) -> Arc<Flight> {
        let state = watch::Sender::new(State::Flying);
        Arc::new(Flight {
            key,
            state,
            taken_over: AtomicBool::new(false),
            leads: AtomicU32::new(0),
        })
    }

    pub(super) fn lead(self: &Arc<Flight>, space: &Arc<Space>) -> Lead {
        self.leads.fetch_add(1, Ordering::AcqRel);
        Lead { space: Arc::clone(space), flight: Arc::clone(self), landed: false }
    }

    /// A place in it. Taken under the lock of the space, so that nobody sits down in a flight that
    /// is being given up.
    pub(super) fn seat(self: &Arc<Flight>, space: &Arc<Space>) -> Seat {
        let state = Some(self.state.subscribe());
        Seat { space: Arc::clone(space), flight: Arc::clone(self), state }
    }
}

/// What somebody who waits has to do.
pub(crate) enum Next {
    Landed(Landed),
    /// He makes the call now, and waits on.
    Lead(Lead),
}

impl Seat {
    /// Waits until there is something to do. `leads`: he who asks made the call.
    pub(crate) async fn next(&mut self, leads: bool) -> Next {
        let flight = Arc::clone(&self.flight);
        let Some(state) = &mut self.state else { return Next::Landed(lost()) };
        let waited = tokio::time::sleep(PATIENCE);
        tokio::pin!(waited);
        let mut patient = leads;
        loop {
            let now = state.borrow_and_update().clone();
            match now {
                State::Landed(landed) => return Next::Landed(landed),
                // Whoever else waits is about to take over, or to leave, and says so.
                State::Adrift(_) if leads && flight.state.receiver_count() > 1 => {}
                State::Adrift(failure) if leads => {
                    return Next::Landed(Landed::Failed(failure));
                }
                State::Adrift(_) => {
                    if let Some(lead) = take_over(&self.space, &flight) {
                        return Next::Lead(lead);
                    }
                }
                State::Flying => {}
            }
            tokio::select! {
                biased;
                changed = state.changed() => {
                    if changed.is_err() {
                        return Next::Landed(lost());
                    }
                }
                () = &mut waited, if !patient => {
                    if let Some(lead) = take_over(&self.space, &flight) {
                        return Next::Lead(lead);
                    }
                    patient = true;
                }
            }
        }
    }
}

fn take_over(space: &Arc<Space>, flight: &Arc<Flight>) -> Option<Lead> {
    if flight.taken_over.swap(true, Ordering::AcqRel) {
        return None;
    }
    let lead = flight.lead(space);
    flight.state.send_if_modified(|state| match state {
        State::Adrift(_) => {
            *state = State::Flying;
            true
        }
        State::Flying | State::Landed(_) => false,
    });
    Some(lead)
}

fn lost() -> Landed {
    Landed::Failed(Arc::new(Failure::lost()))
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !matches!(*self.flight.state.borrow(), State::Adrift(_)) {
            return;
        }
        // The last one who leaves a flight that nobody flies takes it away; the last but one may
        // leave him whose call it was alone.
        let mut table = self.space.table();
        self.state = None;
        if self.flight.state.receiver_count() == 0 {
            table.give_up(&self.flight.key, &self.flight);
        } else {
            self.flight.state.send_modify(|_| {});
        }
    }
}

impl Lead {
    /// The key of the question.
    pub(crate) fn key(&self) -> &Arc<[u8]> {
        &self.flight.key
    }

    /// Everybody who waits has his answer.
    pub(crate) fn land(mut self, landed: Landed) {
        self.landed = true;
        self.flight.leads.fetch_sub(1, Ordering::AcqRel);
        self.end(landed);
    }

    /// The call failed, perhaps by bad luck: one of those who wait tries once more, unless
    /// somebody is at it or has been; then everybody has the failure.
    pub(crate) fn fail(mut self, failure: Failure) {
        self.landed = true;
        self.adrift(failure);
    }

    fn adrift(&self, failure: Failure) {
        let flight = &self.flight;
        if flight.leads.fetch_sub(1, Ordering::AcqRel) > 1 {
            // Another call is under way.
            return;
        }
        if flight.taken_over.load(Ordering::Acquire) {
            return self.end(Landed::Failed(Arc::new(failure)));
        }
        let mut table = self.space.table();
        flight.state.send_if_modified(|state| match state {
            State::Flying => {
                *state = State::Adrift(Arc::new(failure));
                true
            }
            State::Adrift(_) | State::Landed(_) => false,
        });
        if flight.state.receiver_count() == 0 {
            table.give_up(&flight.key, flight);
        }
    }

    fn end(&self, landed: Landed) {
        self.space.table().give_up(&self.flight.key, &self.flight);
        self.flight.state.send_if_modified(|state| match state {
            State::Flying | State::Adrift(_) => {
                *state = State::Landed(landed);
                true
            }
            // Of two calls the first one counts.
            State::Landed(_) => false,
        });
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if !self.landed {
            self.adrift(Failure::lost());
        }
    }
}
