//! One `grpc.binarylog.v1.GrpcLogEntry`, as far as it is used.
//!
//! Source: gRPC proposal A16, "Binary Logging"; numbers of fields as there.

use std::time::Duration;

use tandem_contract::fields::{self, put_bytes, put_number};

/// What an entry says that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) call: u64,
    pub(super) at: Option<Duration>,
    pub(super) event: Event<'a>,
    /// The logger left out a part of the payload.
    pub(super) truncated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// The call began; its method.
    Began(&'a str),
    /// A message of the caller, and whether its length is the one that is told.
    Sent(&'a [u8], bool),
    HalfClosed,
    Ended(u32),
    Cancelled,
    /// What the service sent, and what is not known here.
    Other,
}

const CLIENT_HEADER: u64 = 1;
const CLIENT_MESSAGE: u64 = 3;
const HALF_CLOSE: u64 = 5;
const TRAILER: u64 = 6;
const CANCEL: u64 = 7;

/// Reads an entry.
///
/// # Errors
/// A sentence about what makes it none.
pub(super) fn read(bytes: &[u8]) -> Result<Entry<'_>, &'static str> {
    let (mut call, mut kind, mut truncated) = (0, 0, false);
    let (mut timestamp, mut payload) = (None, None);
    for field in fields::each(bytes) {
        let field = field?;
        match field.number {
            1 => timestamp = Some(field.bytes),
            2 => call = field.value,
            4 => kind = field.value,
            // A oneof: what comes last holds.
            6..=9 => payload = Some((field.number, field.bytes)),
            10 => truncated = field.value != 0,
            _ => {}
        }
    }
    if call == 0 || kind == 0 {
        return Err("it has no call and no type, so it is no GrpcLogEntry");
    }
    let at = timestamp.map(moment).transpose()?.flatten();
    let of = |number| payload.filter(|(found, _)| *found == number).map(|(_, bytes)| bytes);
    let event = match kind {
        CLIENT_HEADER => Event::Began(method(of(6).ok_or("a call begins without a header")?)?),
        CLIENT_MESSAGE => {
            let (data, length) = message(of(8).unwrap_or_default())?;
            Event::Sent(data, data.len() as u64 == length)
        }
        HALF_CLOSE => Event::HalfClosed,
        TRAILER => Event::Ended(status(of(9).unwrap_or_default())?),
        CANCEL => Event::Cancelled,
        _ => Event::Other,
    };
    Ok(Entry { call, at, event, truncated })
}

/// A `google.protobuf.Timestamp` that is not before 1970; none for the zero that is written where
/// nobody looked at a clock.
fn moment(bytes: &[u8]) -> Result<Option<Duration>, &'static str> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in fields::each(bytes) {
        let field = field?;
        match field.number {
            1 => seconds = field.value,
            2 => nanos = field.value,
            _ => {}
        }
    }
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    // The year 10000, where timestamps end.
    let seconds = Some(seconds).filter(|seconds| *seconds < 253_402_300_800);
    let (Some(seconds), Some(nanos)) = (seconds, nanos) else {
        return Err("its time is out of range");
    };
    Ok(Some(Duration::new(seconds, nanos)).filter(|at| !at.is_zero()))
}

/// Of a `ClientHeader`: `/package.Service/Method`, the slash in front not asked for.
fn method(header: &[u8]) -> Result<&str, &'static str> {
    let mut name: &[u8] = b"";
    for field in fields::each(header) {
        let field = field?;
        if field.number == 2 {
            name = field.bytes;
        }
    }
    let name = std::str::from_utf8(name).map_err(|_| "its method is no text")?;
    let name = name.strip_prefix('/').unwrap_or(name);
    let is_method = name.split_once('/').is_some_and(|(service, method)| {
        !service.is_empty() && !method.is_empty() && !method.contains('/')
    });
    let is_plain = name.bytes().all(|byte| byte.is_ascii_graphic());
    match is_method && is_plain && name.len() <= METHOD_BYTES_MOST {
        true => Ok(name),
        false => Err("its method is no `package.Service/Method`"),
    }
}

/// Bytes of a method's name.
pub(super) const METHOD_BYTES_MOST: usize = 1_024;

/// Of a `Message`: its data and its length.
fn message(bytes: &[u8]) -> Result<(&[u8], u64), &'static str> {
    let (mut data, mut length): (&[u8], u64) = (b"", 0);
    for field in fields::each(bytes) {
        let field = field?;
        match field.number {
            1 => length = field.value,
            2 => data = field.bytes,
            _ => {}
        }
    }
    Ok((data, length))
}

/// Of a `Trailer`.
fn status(bytes: &[u8]) -> Result<u32, &'static str> {
    let mut code = 0;
    for field in fields::each(bytes) {
        let field = field?;
        if field.number == 2 {
            code = field.value;
        }
    }
    u32::try_from(code).map_err(|_| "its status is no code")
}

/// Writes the entries of one call.
pub(super) struct Put {
    call: u64,
    sequence: u64,
    at: Option<Duration>,
}

impl Put {
    /// `call` is its number in the file, from 1.
    pub(super) fn new(call: u64, at: Option<Duration>) -> Put {
        Put { call, sequence: 0, at }
    }

    pub(super) fn began(&mut self, method: &str) -> Vec<u8> {
        let mut header = Vec::new();
        put_bytes(2, format!("/{method}").as_bytes(), &mut header);
        self.entry(CLIENT_HEADER, Some((6, header)))
    }

    pub(super) fn sent(&mut self, data: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        put_number(1, data.len() as u64, &mut message);
        put_bytes(2, data, &mut message);
        self.entry(CLIENT_MESSAGE, Some((8, message)))
    }

    pub(super) fn half_closed(&mut self) -> Vec<u8> {
        self.entry(HALF_CLOSE, None)
    }

    pub(super) fn ended(&mut self, status: u32) -> Vec<u8> {
        let mut trailer = Vec::new();
        put_number(2, status.into(), &mut trailer);
        self.entry(TRAILER, Some((9, trailer)))
    }

    fn entry(&mut self, kind: u64, payload: Option<(u32, Vec<u8>)>) -> Vec<u8> {
        self.sequence += 1;
        let mut entry = Vec::new();
        if let Some(at) = self.at {
            let mut moment = Vec::new();
            put_number(1, at.as_secs(), &mut moment);
            put_number(2, at.subsec_nanos().into(), &mut moment);
            put_bytes(1, &moment, &mut entry);
        }
        put_number(2, self.call, &mut entry);
        put_number(3, self.sequence, &mut entry);
        put_number(4, kind, &mut entry);
        // LOGGER_CLIENT: who sends is the caller.
        put_number(5, 1, &mut entry);
        if let Some((number, bytes)) = payload {
            put_bytes(number, &bytes, &mut entry);
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Duration = Duration::new(1_700_000_000, 5);

    #[test]
    fn what_is_written_is_read_again() {
        let mut put = Put::new(3, Some(AT));
        let all = [put.began("a.B/C"), put.sent(b"xy"), put.half_closed(), put.ended(5)];
        let events: Vec<_> = all
            .iter()
            .map(|bytes| {
                let entry = read(bytes).unwrap();
                assert_eq!((entry.call, entry.at, entry.truncated), (3, Some(AT), false));
                entry.event
            })
            .collect();
        let expected =
            [Event::Began("a.B/C"), Event::Sent(b"xy", true), Event::HalfClosed, Event::Ended(5)];
        assert_eq!(events, expected);
    }

    #[test]
    fn what_is_no_entry_is_told_from_one_that_is_not_used() {
        let entry = |call: u64, kind: u64| {
            let mut bytes = Vec::new();
            put_number(2, call, &mut bytes);
            put_number(4, kind, &mut bytes);
            bytes
        };
        assert!(read(b"").is_err());
        assert!(read(b"#!/bin/sh").is_err());
        assert!(read(&entry(0, 5)).is_err());
        assert!(read(&entry(1, 0)).is_err());
        assert!(read(&entry(1, 1)).unwrap_err().contains("without a header"));
        assert_eq!(read(&entry(1, 4)).unwrap().event, Event::Other);
        assert_eq!(read(&entry(1, 99)).unwrap().event, Event::Other);
        let mut names = Put::new(1, None);
        for (name, expected) in
            [("a.B/C", true), ("B/C", true), ("", false), ("a.B", false), ("a/b/c", false)]
        {
            assert_eq!(read(&names.began(name)).is_ok(), expected, "{name}");
        }
        let long = format!("B/{}", "c".repeat(METHOD_BYTES_MOST));
        assert!(read(&names.began(&long)).is_err());
        assert!(read(&names.began(&long[..METHOD_BYTES_MOST])).is_ok());
    }

    #[test]
    fn a_message_whose_length_is_another_was_cut() {
        let mut message = Vec::new();
        put_number(1, 10, &mut message);
        put_bytes(2, b"xy", &mut message);
        let bytes = Put::new(1, None).entry(CLIENT_MESSAGE, Some((8, message)));
        assert_eq!(read(&bytes).unwrap().event, Event::Sent(b"xy", false));
    }
}
