//! The grammar of HTTP/1 requests on the wire, judged before the library reads them.
//!
//! The library is lenient where another program in the chain may read otherwise: it drops a
//! `Content-Length` beside `Transfer-Encoding: chunked`, makes one of two that are equal, takes a
//! bare line feed for the end of a line, and a chunk size with blanks behind it. Once it has
//! parsed a head these doubts can no longer be seen. So every byte passes [`Grammar`] first, which
//! lets through whole heads and bodies that can be read in one way only, and says where a doubt
//! begins. What it lets through the library reads alike: one target, one length or one `chunked`.
//!
//! [`Grammar::judge`] is given what was not let through yet and says how much of it may pass. It
//! copies nothing; a head that is not complete stays with the caller, within `head_bytes_max`.
//!
//! Sources: RFC 9112, sections 2.2, 3, 5 and 6 to 7; security H-1 to H-5.
//!
//! Not here: what a head means (`strict`), answers.

use memchr::memchr;

/// A chunk's size and its extensions (RFC 9112, section 7.1.1).
const CHUNK_LINE_BYTES_MOST: usize = 4 * 1024;

/// Why the bytes from here on are not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// A head; the request never was one.
    Head(&'static str),
    /// A head of more bytes than are held.
    TooLarge,
    /// The framing of a body whose head has passed.
    Body(&'static str),
}

/// How much may pass, and what stands behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// Bytes that may pass, from the first one given.
    pub bytes: usize,
    /// The next byte begins something that is not read. The same is said from then on.
    pub doubt: Option<Doubt>,
}

/// Reads the requests of one connection.
#[derive(Debug)]
pub struct Grammar {
    state: State,
    head_bytes_max: usize,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// `seen`: so many bytes of a head are whole lines that were looked at.
    Head {
        seen: usize,
    },
    Length {
        left: u64,
    },
    ChunkSize,
    ChunkData {
        left: u64,
    },
    /// The line break behind a chunk's data.
    ChunkEnd,
    Trailers {
        bytes: usize,
    },
    Doubt(Doubt),
}

/// How much was decided.
enum Step {
    Passed(usize),
    /// More must come.
    Incomplete,
}

impl Grammar {
    /// Of a connection whose first byte comes next. A head, and the trailers of a request, may
    /// have so many bytes.
    pub fn new(head_bytes_max: usize) -> Grammar {
        Grammar { state: State::Head { seen: 0 }, head_bytes_max }
    }

    /// Judges bytes; what did not pass must be given again, with more behind it.
    pub fn judge(&mut self, bytes: &[u8]) -> Judged {
        let mut passed = 0;
        loop {
            let rest = &bytes[passed..];
            if let State::Doubt(doubt) = self.state {
                return Judged { bytes: passed, doubt: Some(doubt) };
            }
            if rest.is_empty() {
                return Judged { bytes: passed, doubt: None };
            }
            match self.step(rest) {
                Ok(Step::Passed(bytes)) => passed += bytes,
                Ok(Step::Incomplete) => return Judged { bytes: passed, doubt: None },
                Err(doubt) => self.state = State::Doubt(doubt),
            }
        }
    }

    /// Whether the next byte begins a head.
    pub fn is_between_requests(&self) -> bool {
        matches!(self.state, State::Head { seen: 0 })
    }

    fn step(&mut self, rest: &[u8]) -> Result<Step, Doubt> {
        match self.state {
            State::Head { seen } => self.head(rest, seen),
            State::Length { left } => {
                let (taken, left) = take(rest, left);
                self.state = if left == 0 { FRESH } else { State::Length { left } };
                Ok(Step::Passed(taken))
            }
            State::ChunkSize => {
                let Some(line) = line(rest).map_err(Doubt::Body)? else {
                    return match rest.len() > CHUNK_LINE_BYTES_MOST {
                        true => Err(Doubt::Body("a chunk's size has no end")),
                        false => Ok(Step::Incomplete),
                    };
                };
                let left = chunk_size(line).map_err(Doubt::Body)?;
                self.state = match left {
                    0 => State::Trailers { bytes: 0 },
                    left => State::ChunkData { left },
                };
                Ok(Step::Passed(line.len() + 2))
            }
            State::ChunkData { left } => {
                let (taken, left) = take(rest, left);
                self.state = if left == 0 { State::ChunkEnd } else { State::ChunkData { left } };
                Ok(Step::Passed(taken))
            }
            State::ChunkEnd => match rest {
                [b'\r', b'\n', ..] => {
                    self.state = State::ChunkSize;
                    Ok(Step::Passed(2))
                }
                [b'\r'] => Ok(Step::Incomplete),
                _ => Err(Doubt::Body("a chunk is longer than it says")),
            },
            State::Trailers { bytes } => {
                let whole = line(rest).map_err(Doubt::Body)?;
                let most = self.head_bytes_max;
                if bytes + whole.map_or(rest.len(), |line| line.len() + 2) > most {
                    return Err(Doubt::Body("the trailers are too large"));
                }
                let Some(line) = whole else { return Ok(Step::Incomplete) };
                self.state = if line.is_empty() {
                    FRESH
                } else {
                    field(line).map_err(Doubt::Body)?;
                    State::Trailers { bytes: bytes + line.len() + 2 }
                };
                Ok(Step::Passed(line.len() + 2))
            }
            State::Doubt(doubt) => Err(doubt),
        }
    }

    fn head(&mut self, rest: &[u8], mut seen: usize) -> Result<Step, Doubt> {
        // Line breaks in front of a request are skipped (RFC 9112, section 2.2).
        let begin = rest.chunks_exact(2).take_while(|pair| *pair == b"\r\n").count() * 2;
        seen = seen.max(begin);
        while let Some(line) = line(&rest[seen..]).map_err(Doubt::Head)? {
            let end = seen + line.len() + 2;
            if end > self.head_bytes_max {
                return Err(Doubt::TooLarge);
            }
            if line.is_empty() {
                self.state = framing(&rest[begin..seen]).map_err(Doubt::Head)?;
                return Ok(Step::Passed(end));
            }
            seen = end;
        }
        if rest.len() > self.head_bytes_max {
            return Err(Doubt::TooLarge);
        }
        self.state = State::Head { seen };
        Ok(Step::Incomplete)
    }
}

/// The next byte begins a head.
const FRESH: State = State::Head { seen: 0 };

fn take(rest: &[u8], left: u64) -> (usize, u64) {
    let taken = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
    (taken, left - taken as u64)
}

/// The first line without its break; `None` while it has no end.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, &'static str> {
    let Some(end) = memchr(b'\n', bytes) else { return Ok(None) };
    let Some(line) = bytes[..end].strip_suffix(b"\r") else {
        return Err("a line ends with a bare line feed");
    };
    match memchr::memchr2(b'\r', b'\0', line) {
        Some(_) => Err("a carriage return or NUL within a line"),
        None => Ok(Some(line)),
    }
}

/// What follows a head of whole lines, the empty one left out.
fn framing(head: &[u8]) -> Result<State, &'static str> {
    let (mut length, mut chunked) = (None, false);
    let mut rest = head;
    let mut version_1_1 = false;
    let mut first = true;
    while let Some(line) = line(rest)? {
        rest = &rest[line.len() + 2..];
        if std::mem::replace(&mut first, false) {
            version_1_1 = request_line(line)?;
            continue;
        }
        let (name, value) = field(line)?;
        if name.eq_ignore_ascii_case(b"content-length") {
            if length.replace(content_length(value)?).is_some() {
                return Err("two lengths");
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding")
            && (std::mem::replace(&mut chunked, true) || value != b"chunked")
        {
            return Err("a transfer coding other than one `chunked`");
        }
    }
    match (length, chunked) {
        (Some(_), true) => Err("both a length and a transfer coding"),
        (None, true) if !version_1_1 => Err("a transfer coding in HTTP/1.0"),
        (None, true) => Ok(State::ChunkSize),
        (None | Some(0), false) => Ok(FRESH),
        (Some(left), false) => Ok(State::Length { left }),
    }
}

/// Whether it is of HTTP/1.1; else it is of HTTP/1.0.
fn request_line(line: &[u8]) -> Result<bool, &'static str> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("the request line is not a method, a target and a version");
    };
    if method.is_empty() || !method.iter().all(is_token) {
        return Err("the method is malformed");
    }
    if target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
        return Err("the target is malformed");
    }
    match version {
        b"HTTP/1.1" => Ok(true),
        b"HTTP/1.0" => Ok(false),
        _ => Err("the version of HTTP is neither 1.1 nor 1.0"),
    }
}

/// Name and value of a field line.
fn field(line: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let Some(colon) = memchr(b':', line) else { return Err("a header has no colon") };
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || !name.iter().all(is_token) {
        // Folded lines as well, which begin with a blank.
        return Err("the name of a header is malformed");
    }
    if value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return Err("a control byte in a header");
    }
    Ok((name, value.trim_ascii()))
}

fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

/// Digits without a sign, a list or a leading zero.
fn content_length(value: &[u8]) -> Result<u64, &'static str> {
    let digits = value.iter().all(u8::is_ascii_digit) && (1..=19).contains(&value.len());
    if !digits || (value.len() > 1 && value[0] == b'0') {
        return Err("the length is no number");
    }
    let number = value.iter().fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
    // What no body reaches, and what signed readers take for less than nothing.
    if number > i64::MAX as u64 { Err("the length is no number") } else { Ok(number) }
}

/// The size in a chunk's first line.
fn chunk_size(line: &[u8]) -> Result<u64, &'static str> {
    let end = memchr(b';', line).unwrap_or(line.len());
    let (digits, extension) = line.split_at(end);
    let hexadecimal = digits.iter().all(u8::is_ascii_hexdigit) && (1..=15).contains(&digits.len());
    if !hexadecimal {
        return Err("a chunk's size is no number");
    }
    if extension.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return Err("a control byte in a chunk's extension");
    }
    let value = |digit: &u8| char::from(*digit).to_digit(16).unwrap_or_default();
    Ok(digits.iter().fold(0, |size, digit| size * 16 + u64::from(value(digit))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 200;

    /// Gives the bytes in pieces of `step`; what passed, and the doubt.
    fn read(bytes: &[u8], step: usize) -> (usize, Option<Doubt>) {
        let mut grammar = Grammar::new(MOST);
        let (mut passed, mut doubt) = (0, None);
        let mut come = 0;
        while come < bytes.len() && doubt.is_none() {
            come = (come + step).min(bytes.len());
            let judged = grammar.judge(&bytes[passed..come]);
            passed += judged.bytes;
            doubt = judged.doubt;
        }
        (passed, doubt)
    }

    fn verdict(bytes: &str) -> (usize, Option<Doubt>) {
        let whole = read(bytes.as_bytes(), usize::MAX);
        for step in [1, 2, 3, 7] {
            assert_eq!(read(bytes.as_bytes(), step), whole, "{bytes:?} by {step}");
        }
        whole
    }

    #[test]
    fn protocols_h_1_requests_pass_whole_and_one_behind_the_other() {
        for requests in [
            "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n\r\n",
            "POST /a HTTP/1.1\r\ncontent-length:\t0 \r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
             2\r\n\r\n\r\n0A;x=\"y\"\r\n0123456789\r\n0\r\nx-t: 1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nhost: a\r\nx-empty:\r\nx-utf8: é\r\n\r\n",
        ] {
            assert_eq!(verdict(requests), (requests.len(), None), "{requests:?}");
        }
        // What is not complete waits, what is complete does not.
        let begun = "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n";
        assert_eq!(verdict(begun), (18, None));
    }

    #[test]
    fn protocols_h_1_a_head_with_a_doubt_never_passes() {
        for head in [
            // CL.TE, TE.CL (security H-1).
            "content-length: 4\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
            // Security H-2.
            "content-length: 5\r\ncontent-length: 5\r\n",
            "content-length: 5\r\nContent-Length: 6\r\n",
            "content-length: 5, 5\r\n",
            "content-length: +5\r\n",
            "content-length: -0\r\n",
            "content-length: 0x5\r\n",
            "content-length: 05\r\n",
            "content-length: 00\r\n",
            "content-length:\r\n",
            "content-length: 5 5\r\n",
            "content-length: 9223372036854775808\r\n",
            "content-length: 18446744073709551616\r\n",
            // Security H-3.
            "transfer-encoding: Chunked\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: gzip, chunked\r\n",
            "transfer-encoding: ,chunked\r\n",
            "transfer-encoding: identity\r\n",
            "transfer-encoding: \"chunked\"\r\n",
            "transfer-encoding:\r\n",
            // Security H-5.
            "x-a: 1\n",
            "x-a: 1\r2\r\n",
            "x-a: \0\r\n",
            "x-a: \x7f\r\n",
            "x-a: 1\r\n 2\r\n",
            "\tx-a: 1\r\n",
            "x-a : 1\r\n",
            ": 1\r\n",
            "x-a\r\n",
            "x a: 1\r\n",
            "\rx: 1\r\n",
        ] {
            let request = format!("POST / HTTP/1.1\r\nhost: a\r\n{head}\r\n0\r\n\r\n");
            let (passed, doubt) = verdict(&request);
            assert!(passed == 0 && matches!(doubt, Some(Doubt::Head(_))), "{head:?}: {doubt:?}");
        }
        for line in [
            "GET / HTTP/1.2",
            "GET / HTTP/2.0",
            "GET / http/1.1",
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            " GET / HTTP/1.1",
            "GET /",
            "GET /\u{e9} HTTP/1.1",
            "G(T / HTTP/1.1",
            "GET /\t HTTP/1.1",
        ] {
            let (passed, doubt) = verdict(&format!("{line}\r\nhost: a\r\n\r\n"));
            assert!(passed == 0 && matches!(doubt, Some(Doubt::Head(_))), "{line:?}: {doubt:?}");
        }
        let old = "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
        assert!(matches!(verdict(old), (0, Some(Doubt::Head(_)))));
        // What stands before it has passed.
        let behind = "GET / HTTP/1.1\r\n\r\nGET / HTTP/9.9\r\n\r\n";
        assert!(matches!(verdict(behind), (18, Some(Doubt::Head(_)))));
    }

    #[test]
    fn security_h_4_a_chunk_that_can_be_read_in_two_ways_does_not_pass() {
        let head = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
        for body in [
            "2 \r\n{}\r\n0\r\n\r\n",
            " 2\r\n{}\r\n0\r\n\r\n",
            "0x2\r\n{}\r\n0\r\n\r\n",
            "+2\r\n{}\r\n0\r\n\r\n",
            "\r\n{}\r\n0\r\n\r\n",
            "g\r\n",
            "1000000000000000\r\n",
            "2\n{}\r\n0\r\n\r\n",
            "2;a\nb\r\n{}\r\n0\r\n\r\n",
            "2;a\rb\r\n{}\r\n0\r\n\r\n",
            "2\r\n{}\n0\r\n\r\n",
            "2\r\n{}0\r\n\r\n",
            "0\r\nx\r\n\r\n",
            "0\r\nx: 1\n\r\n",
        ] {
            let (passed, doubt) = verdict(&format!("{head}{body}"));
            assert!(matches!(doubt, Some(Doubt::Body(_))), "{body:?}: {passed} {doubt:?}");
            assert!(passed >= head.len(), "{body:?}");
        }
    }

    #[test]
    fn security_li_9_a_head_has_its_most_and_not_a_byte_more() {
        let of = |bytes: usize| {
            let line = "GET / HTTP/1.1\r\n";
            let fill = "y".repeat(bytes - line.len() - "x: \r\n\r\n".len());
            format!("{line}x: {fill}\r\n\r\n")
        };
        assert_eq!(verdict(&of(MOST)), (MOST, None));
        assert_eq!(verdict(&of(MOST + 1)), (0, Some(Doubt::TooLarge)));
        // Without an end too, and of nothing but line breaks.
        assert_eq!(verdict(&"x".repeat(MOST)), (0, None));
        assert_eq!(verdict(&"x".repeat(MOST + 1)), (0, Some(Doubt::TooLarge)));
        assert_eq!(verdict(&"\r\n".repeat(MOST)), (0, Some(Doubt::TooLarge)));
        let chunked = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n";
        let trailers = format!("{chunked}{}\r\n", "x: yyyyyy\r\n".repeat(MOST / 10));
        assert!(matches!(verdict(&trailers).1, Some(Doubt::Body(_))));
    }
}
