//! Two answers to one call, as the side path hands them over.
//!
//! A pair may be given up only for a reason that was known before either trial answer came
//! (compare N-6): [`Abandoned`] names those, and such a call leaves no trace in the evidence.
//! Whatever happens afterwards is an event: a candidate that answered too late, too long or not
//! at all is [`Reply::Lost`], and counts.
//!
//! Not here: what the answers' differences are (`diff`), what they mean (`noise`).

/// What one side sent back for a call, decoded no further than to messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The gRPC status code, 0 to 16.
    pub code: u32,
    /// `grpc-status-details-bin`: a `google.rpc.Status`; empty where there is none.
    pub details: &'a [u8],
    /// Trailers in lower case, the status among them or not; only those of the rules are read.
    pub trailers: &'a [(&'a str, &'a [u8])],
    /// The messages in their order; of a unary method at most one.
    pub messages: &'a [&'a [u8]],
    /// The caller left before the end, so the rest of the answer is not known.
    pub cut: bool,
}

impl<'a> Answer<'a> {
    /// An answer that went well.
    pub fn ok(messages: &'a [&'a [u8]]) -> Answer<'a> {
        Answer { code: 0, details: b"", trailers: &[], messages, cut: false }
    }

    /// An answer with an error.
    pub fn failed(code: u32, details: &'a [u8]) -> Answer<'a> {
        Answer { code, details, trailers: &[], messages: &[], cut: false }
    }
}

/// What became of a copy that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply<'a> {
    Answered(Answer<'a>),
    Lost(Loss),
}

/// Why a copy that was sent has no answer to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loss {
    /// Nothing, or no end, by the deadline of the copy.
    TimedOut,
    /// The stream or the connection ended first.
    Reset,
    /// More bytes than an answer may have.
    TooLarge,
    /// No connection could be made.
    Unreachable,
}

/// Why a call was not compared at all. Closed: a label of a metric (compare M-12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Abandoned {
    QueueFull,
    BytesFull,
    BodyTooLarge,
    Shed,
    NoCandidate,
    OutOfOrder,
    Stopped,
}

impl Abandoned {
    /// The value of the label `reason`.
    pub fn label(self) -> &'static str {
        match self {
            Abandoned::QueueFull => "queue_full",
            Abandoned::BytesFull => "bytes_full",
            Abandoned::BodyTooLarge => "body_too_large",
            Abandoned::Shed => "shed",
            Abandoned::NoCandidate => "no_candidate",
            Abandoned::OutOfOrder => "out_of_order",
            Abandoned::Stopped => "stopped",
        }
    }
}

/// One mirrored call: the caller's answer and what the two trial sides made of the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial<'a> {
    pub primary: Answer<'a>,
    pub candidate: Reply<'a>,
    /// The second instance of the primary's build; `None` where there is none (compare N-9).
    pub twin: Option<Reply<'a>>,
}
