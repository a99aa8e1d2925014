//! How many messages a call may hold, by the kind of its method (protocols D-6, G-6).
//!
//! The contract knows the kind, so the gateway keeps it for every caller and every upstream:
//! no message, or two, where one is due is UNIMPLEMENTED, whatever the other side would say.

use tandem_contract::MethodKind;

/// Why a number of messages does not fit the method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cardinality {
    #[error("the method takes one message, none came")]
    NoRequest,
    #[error("the method takes one message, more came")]
    TwoRequests,
    #[error("the method answers one message, none came")]
    NoAnswer,
    #[error("the method answers one message, more came")]
    TwoAnswers,
}

/// Judges the request's messages so far; `ended` when no more can come.
///
/// # Errors
/// When their number does not fit `kind`.
pub fn of_request(kind: MethodKind, messages: u64, ended: bool) -> Result<(), Cardinality> {
    match (kind.many_requests(), messages) {
        (false, 0) if ended => Err(Cardinality::NoRequest),
        (false, 2..) => Err(Cardinality::TwoRequests),
        _ => Ok(()),
    }
}

/// Judges the answer's messages so far; `ended_well` when the upstream ended with status OK.
///
/// # Errors
/// When their number does not fit `kind`.
pub fn of_answer(kind: MethodKind, messages: u64, ended_well: bool) -> Result<(), Cardinality> {
    match (kind.many_answers(), messages) {
        (false, 0) if ended_well => Err(Cardinality::NoAnswer),
        (false, 2..) => Err(Cardinality::TwoAnswers),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_g_6_one_is_one_and_many_is_any() {
        use MethodKind::{Bidi, ClientStream, ServerStream, Unary};
        for (kind, messages, ended, request, answer) in [
            (Unary, 0, false, Ok(()), Ok(())),
            (Unary, 0, true, Err(Cardinality::NoRequest), Err(Cardinality::NoAnswer)),
            (Unary, 1, true, Ok(()), Ok(())),
            (Unary, 2, false, Err(Cardinality::TwoRequests), Err(Cardinality::TwoAnswers)),
            (ServerStream, 0, true, Err(Cardinality::NoRequest), Ok(())),
            (ServerStream, 2, true, Err(Cardinality::TwoRequests), Ok(())),
            (ClientStream, 0, true, Ok(()), Err(Cardinality::NoAnswer)),
            (ClientStream, 2, true, Ok(()), Err(Cardinality::TwoAnswers)),
            (Bidi, 0, true, Ok(()), Ok(())),
            (Bidi, 9, true, Ok(()), Ok(())),
        ] {
            assert_eq!(of_request(kind, messages, ended), request, "{kind:?} {messages}");
            assert_eq!(of_answer(kind, messages, ended), answer, "{kind:?} {messages}");
        }
    }
}
