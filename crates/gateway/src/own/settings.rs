//! `tandem.settings.v1.Settings`: services are told their own values and say what became of them.
//!
//! A watcher is told at once, unless it has the values already, and again with each change; its
//! stream ends with the gateway, with the caller, or when no contract declares the settings any
//! longer. It has no clock: silence is what it is for, and a caller that is no longer there is
//! found by the connection's own pings.
//!
//! Who may ask (security T-9): a service is told what it names, on the internal listener and from
//! this machine. Who calls from elsewhere would have to show who it is, and connections that do
//! are not built yet: such callers are refused.
//!
//! Source: proto/tandem/settings/v1/settings.proto; hybrid SE-2.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tandem_contract::directory::Audience;
use tandem_contract::fields;
use tandem_protocol::status::{Code, Status};

use super::board::{Board, Current, NotFound, Published, Topic};
use super::instances::{Full, INSTANCES_MOST, Outcome, Values};
use super::{Polled, Questions, data, one_message, trailers};
use crate::body::{BodyError, Source};
use crate::path::Call;
use crate::snapshot::Snapshot;
use crate::thread::Drain;

/// Bytes of an instance's name.
const INSTANCE_BYTES_MOST: usize = 128;

/// Who asks, and whom.
pub(super) struct Asker {
    board: Arc<Board>,
    drain: Drain,
    snapshot: Arc<Snapshot>,
    authority: String,
    listener_hosts: Vec<String>,
    /// It calls from this machine.
    local: bool,
}

impl Asker {
    pub(super) fn of(call: &Call, audience: Audience<'_>) -> Asker {
        Asker {
            board: Arc::clone(&call.thread.settings),
            drain: call.thread.drain(),
            snapshot: Arc::clone(&call.snapshot),
            authority: audience.authority.to_owned(),
            listener_hosts: audience.listener_hosts.to_vec(),
            local: is_local(call.origin.peer.ip()),
        }
    }

    fn find(&self, service: &str) -> Result<(Arc<Topic>, Current), Status> {
        if !self.local {
            return Err(Status::new(
                Code::PermissionDenied,
                "settings are told to callers on the gateway's own machine",
            ));
        }
        let found = self.board.find(service, || self.namespace_of(service));
        found.map_err(|why| match why {
            NotFound::Undeclared if !self.snapshot.waiting.is_empty() => {
                Status::new(Code::Unavailable, "the contract of a service is not known yet")
            }
            NotFound::Undeclared => {
                Status::new(Code::NotFound, "no contract declares settings for this service")
            }
            NotFound::Several => Status::new(
                Code::NotFound,
                "several namespaces have this service; name the host of one as the authority",
            ),
        })
    }

    /// The namespace whose service a call of this caller would reach.
    fn namespace_of(&self, service: &str) -> Option<Arc<str>> {
        let directory = &self.snapshot.directory;
        let audience = Audience {
            internal: true,
            authority: &self.authority,
            listener_hosts: &self.listener_hosts,
        };
        directory.methods().iter().find_map(|indexed| {
            let method = indexed.contract.method(indexed.method);
            if *method.service != *service {
                return None;
            }
            let found = directory.find_rpc(audience, &method.path)?;
            Some(Arc::clone(&directory.method(found).namespace_name))
        })
    }

    /// Answers one `ReportRequest`.
    pub(super) fn report(&self, question: &Bytes) -> Result<Vec<u8>, Status> {
        let ReportRequest { service, instance, values, outcome } = ReportRequest::read(question)?;
        let (topic, current) = self.find(&service)?;
        let current = Arc::clone(&current.borrow());
        self.board.report(&topic, &current, &instance, values, outcome).map_err(full)?;
        Ok(Vec::new())
    }

    /// Begins to watch.
    fn watch(&self, question: &Bytes) -> Result<Watcher, Status> {
        let WatchRequest { service, have, instance } = WatchRequest::read(question)?;
        let (topic, mut current) = self.find(&service)?;
        let published = Arc::clone(&current.borrow_and_update());
        let has = have == Some(published.values);
        topic.came(&instance, published.values, has).map_err(full)?;
        let owed = (!has).then_some(published);
        let next = Box::pin(heard(current, self.drain.clone()));
        Ok(Watcher { topic, instance, owed, next })
    }
}

/// Whether the address is one of this machine's own, by which nobody else can call.
fn is_local(peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
}

fn full(Full: Full) -> Status {
    Status::new(
        Code::ResourceExhausted,
        format!("the service has {INSTANCES_MOST} instances already, and no more are taken"),
    )
}

/// The answer to a `WatchRequest`.
pub(super) struct Watch {
    asker: Asker,
    /// `None` once the caller has said that nothing more comes.
    questions: Option<Questions>,
    /// There from the first question on.
    watcher: Option<Watcher>,
    ended: bool,
}

impl Watch {
    /// Waits for the question.
    ///
    /// # Errors
    /// How it is refused.
    pub(super) async fn begin(asker: Asker, questions: Questions) -> Result<Watch, Status> {
        let mut watch = Watch { asker, questions: Some(questions), watcher: None, ended: false };
        poll_fn(|cx| match watch.poll_questions(cx) {
            Ok(Ok(())) if watch.watcher.is_none() => Poll::Pending,
            Ok(outcome) => Poll::Ready(outcome),
            // Nobody is there any longer to hear why.
            Err(error) => Poll::Ready(Err(Status::new(Code::Cancelled, error.to_string()))),
        })
        .await?;
        Ok(watch)
    }

    /// What the caller sends: the one question, then nothing.
    fn poll_questions(&mut self, cx: &mut Context<'_>) -> Result<Result<(), Status>, BodyError> {
        while let Some(questions) = &mut self.questions {
            match questions.poll_next(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(question))) => {
                    let begun = question.and_then(|question| match &self.watcher {
                        Some(_) => Err(one_message("more came")),
                        None => self.asker.watch(&question),
                    });
                    match begun {
                        Ok(watcher) => self.watcher = Some(watcher),
                        Err(status) => return Ok(Err(status)),
                    }
                }
                Poll::Ready(Some(Err(error))) => return Err(error),
                Poll::Ready(None) => {
                    self.questions = None;
                    if self.watcher.is_none() {
                        return Ok(Err(one_message("none came")));
                    }
                }
            }
        }
        Ok(Ok(()))
    }

    fn end(&mut self, status: &Status) -> Polled {
        self.ended = true;
        self.watcher = None;
        trailers(status)
    }
}

impl Source for Watch {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Polled {
        if self.ended {
            return Poll::Ready(None);
        }
        match self.poll_questions(cx) {
            Ok(Ok(())) => {}
            Ok(Err(status)) => return self.end(&status),
            Err(error) => return Poll::Ready(Some(Err(error))),
        }
        let Some(watcher) = &mut self.watcher else { return Poll::Pending };
        match std::task::ready!(watcher.poll_next(cx)) {
            Ok(frame) => data(frame),
            Err(status) => self.end(&status),
        }
    }
}

/// One stream by which an instance watches.
struct Watcher {
    topic: Arc<Topic>,
    instance: String,
    /// What it is told at once.
    owed: Option<Arc<Published>>,
    // One allocation for each change that it hears of.
    next: Pin<Box<dyn Future<Output = (Current, Drain, Heard)>>>,
}

/// What ends the wait for other values.
enum Heard {
    Changed,
    Undeclared,
    Draining,
}

async fn heard(mut current: Current, mut drain: Drain) -> (Current, Drain, Heard) {
    let heard = tokio::select! {
        biased;
        () = drain.begun() => Heard::Draining,
        changed = current.changed() => match changed {
            Ok(()) => Heard::Changed,
            Err(_gone) => Heard::Undeclared,
        },
    };
    (current, drain, heard)
}

impl Watcher {
    /// The next values in their envelope, or how the stream ends.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Status>> {
        if let Some(owed) = self.owed.take() {
            self.topic.count_push();
            return Poll::Ready(Ok(owed.frame.clone()));
        }
        let (mut current, drain, heard_of) = std::task::ready!(self.next.as_mut().poll(cx));
        Poll::Ready(match heard_of {
            Heard::Changed => {
                let published = Arc::clone(&current.borrow_and_update());
                self.next = Box::pin(heard(current, drain));
                self.topic.told(&self.instance, published.values);
                self.topic.count_push();
                Ok(published.frame.clone())
            }
            Heard::Undeclared => Err(Status::new(
                Code::NotFound,
                "no contract declares settings for this service any longer",
            )),
            Heard::Draining => Err(Status::new(Code::Unavailable, "the gateway is stopping")),
        })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.topic.went(&self.instance);
    }
}

struct WatchRequest {
    service: String,
    /// `None` where it is none that we could have told.
    have: Option<Values>,
    instance: String,
}

impl WatchRequest {
    fn read(message: &Bytes) -> Result<WatchRequest, Status> {
        let (mut service, mut instance) = (String::new(), String::new());
        let (mut version, mut hash) = (0, &[][..]);
        for field in fields::each(message) {
            let field = field.map_err(|_cut| wrong("the message cannot be read"))?;
            match field.number {
                1 => service = text(field.bytes)?,
                2 => version = field.value,
                3 => hash = field.bytes,
                4 => instance = text(field.bytes)?,
                _ => {}
            }
        }
        check(&service, &instance)?;
        let have = hash.try_into().ok().map(|hash| Values { version, hash });
        Ok(WatchRequest { service, have, instance })
    }
}

struct ReportRequest {
    service: String,
    instance: String,
    values: Values,
    outcome: Outcome,
}

impl ReportRequest {
    fn read(message: &Bytes) -> Result<ReportRequest, Status> {
        let (mut service, mut instance) = (String::new(), String::new());
        let (mut version, mut hash, mut outcome) = (0, &[][..], None);
        for field in fields::each(message) {
            let field = field.map_err(|_cut| wrong("the message cannot be read"))?;
            match field.number {
                1 => service = text(field.bytes)?,
                2 => instance = text(field.bytes)?,
                3 => version = field.value,
                4 => hash = field.bytes,
                5 => outcome = Some(Outcome::Applied),
                6 => outcome = Some(Outcome::refused(reason(field.bytes)?)),
                _ => {}
            }
        }
        check(&service, &instance)?;
        let hash = hash.try_into().map_err(|_other| wrong("the hash must have 32 bytes"))?;
        let outcome = outcome.ok_or_else(|| wrong("applied or refused must be given"))?;
        Ok(ReportRequest { service, instance, values: Values { version, hash }, outcome })
    }
}

/// The text of a `Refused`.
fn reason(refused: &[u8]) -> Result<String, Status> {
    let mut reason = String::new();
    for field in fields::each(refused) {
        let field = field.map_err(|_cut| wrong("the message cannot be read"))?;
        if field.number == 1 {
            reason = text(field.bytes)?;
        }
    }
    Ok(reason)
}

fn text(bytes: &[u8]) -> Result<String, Status> {
    String::from_utf8(bytes.to_vec()).map_err(|_other| wrong("a text is not UTF-8"))
}

fn check(service: &str, instance: &str) -> Result<(), Status> {
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    if service.is_empty() {
        return Err(wrong("the service must be named"));
    }
    if !(1..=INSTANCE_BYTES_MOST).contains(&instance.len()) || !instance.bytes().all(named) {
        return Err(wrong("the instance must be 1 to 128 of [A-Za-z0-9._:-]"));
    }
    Ok(())
}

fn wrong(what: &str) -> Status {
    Status::new(Code::InvalidArgument, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_t_9_settings_are_told_on_this_machine_alone() {
        for (peer, local) in [
            ("127.0.0.1", true),
            ("127.8.9.10", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("10.0.0.1", false),
            ("0.0.0.0", false),
            ("::ffff:10.0.0.1", false),
            ("fe80::1", false),
            ("::2", false),
        ] {
            assert_eq!(is_local(peer.parse().unwrap()), local, "{peer}");
        }
    }
}
