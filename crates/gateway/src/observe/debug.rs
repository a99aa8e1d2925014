//! What a caller who may ask is told of its own call: where its time went, who answered it.
//!
//! `x-tandem-debug: timing, served-by` asks; `auth: { debug: true }` of the method allows it.
//! Without that right nothing is read and nothing is told. Implementations are named as their
//! team named them, never by address (protocols E-12), and neither is which endpoint it was.
//!
//! Source: Server Timing, W3C Working Draft, section 3 (the grammar of the header);
//! experience UX-35.

use std::fmt::Write as _;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::way::{CACHE, Outcome, Room, Way};
use crate::cache::CacheUse;

const ASKED: HeaderName = HeaderName::from_static("x-tandem-debug");
const TIMING: HeaderName = HeaderName::from_static("server-timing");
const SERVED_BY: HeaderName = HeaderName::from_static("x-tandem-served-by");

/// What a caller wants to know and may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Debug {
    timing: bool,
    served_by: bool,
}

impl Debug {
    pub(crate) const NOTHING: Debug = Debug { timing: false, served_by: false };

    /// What the headers ask for; words that nobody knows ask for nothing.
    pub(crate) fn asked(headers: &HeaderMap) -> Debug {
        let values = headers.get_all(ASKED).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).fold(Debug::NOTHING, |debug, word| {
            match word.trim() {
                "timing" => Debug { timing: true, ..debug },
                "served-by" => Debug { served_by: true, ..debug },
                _ => debug,
            }
        })
    }
}

/// What is known when the head goes out.
pub(super) fn put_in_head(
    debug: Debug,
    way: &Way,
    so_far: Duration,
    served_by: Option<&str>,
    headers: &mut HeaderMap,
) {
    if debug.timing {
        // The room in which the call is now has only begun.
        put_timing(way, so_far, |room| room.name != "write", headers);
    }
    if let Some(name) = served_by.filter(|_| debug.served_by)
        && let Ok(name) = HeaderValue::from_str(name)
    {
        headers.insert(SERVED_BY, name);
    }
}

/// All of it, for callers who read trailers.
pub(super) fn put_in_trailers(debug: Debug, way: &Way, took: Duration, trailers: &mut HeaderMap) {
    if debug.timing {
        put_timing(way, took, |_| true, trailers);
    }
}

fn put_timing(way: &Way, took: Duration, told: impl Fn(&Room) -> bool, headers: &mut HeaderMap) {
    let mut text = String::new();
    for room in way.rooms(took).iter().filter(|room| told(room)) {
        let made = way.cache.filter(|_| room.name == CACHE).map(CacheUse::name);
        put_room(room, made, &mut text);
        room.rooms.iter().for_each(|inner| put_room(inner, None, &mut text));
    }
    put_metric("total", took, None, &mut text);
    if let Ok(value) = HeaderValue::from_str(&text) {
        // What a service says of its own time stays beside ours.
        headers.append(TIMING, value);
    }
}

fn put_room(room: &Room, made: Option<&str>, text: &mut String) {
    let said = room.attempt.map(|attempt| attempt.outcome).and_then(Outcome::name).or(made);
    put_metric(room.name, room.took, said, text);
}

/// `name;dur=1.234;desc="…"`, milliseconds.
fn put_metric(name: &str, took: Duration, said: Option<&str>, text: &mut String) {
    let comma = if text.is_empty() { "" } else { ", " };
    // Writing into a string does not fail.
    let _ = write!(text, "{comma}{name};dur={:.3}", took.as_secs_f64() * 1e3);
    if let Some(said) = said {
        let _ = write!(text, ";desc=\"{said}\"");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(values: &[&str]) -> Debug {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ASKED, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Debug::asked(&headers)
    }

    #[test]
    fn only_the_two_known_words_ask_for_something() {
        let all = Debug { timing: true, served_by: true };
        assert_eq!(asked(&["timing, served-by"]), all);
        assert_eq!(asked(&["served-by", " timing "]), all);
        assert_eq!(asked(&["timing"]), Debug { timing: true, ..Debug::NOTHING });
        for nothing in [&[][..], &[""], &["Timing"], &["all"], &["timing;x"], &["ti\u{e9}"]] {
            assert_eq!(asked(nothing), Debug::NOTHING, "{nothing:?}");
        }
    }
}
