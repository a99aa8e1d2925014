//! One gRPC call on a fresh connection, without a library that has to warm up itself.
//!
//! Enough of HTTP/2 to ask and to see whether a message came back: no flow control beyond the
//! first 64 KiB, no reading of headers. Frames of any content are skipped, and what is too large or
//! late is an error.
//!
//! Not here: calls under load; those go through `load::Sender`.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
/// The largest frame that a peer may send who was told nothing.
const FRAME_BYTES_MAX: usize = 16_384;
const ANSWER_BYTES_MAX: usize = 65_535;

/// A connection by which calls are made one after another.
pub(crate) struct Connection {
    stream: TcpStream,
    authority: String,
    next: u32,
}

impl Connection {
    /// # Errors
    /// Nobody listens there yet.
    pub(crate) fn open(address: SocketAddr, timeout: Duration) -> io::Result<Connection> {
        let mut stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        let mut begin = PREFACE.to_vec();
        begin.extend(frame(SETTINGS, 0, 0, &[]));
        stream.write_all(&begin)?;
        Ok(Connection { stream, authority: address.to_string(), next: 1 })
    }

    /// The message that answers; `None` when the service answered without one, as it does when it
    /// refuses.
    ///
    /// # Errors
    /// The connection broke, the call was reset, or the answer is larger than 64 KiB.
    pub(crate) fn call(&mut self, path: &str, message: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let id = self.next;
        self.next += 2;
        let mut body = vec![0];
        let length = u32::try_from(message.len()).map_err(io::Error::other)?;
        body.extend(length.to_be_bytes());
        body.extend(message);
        if body.len() > FRAME_BYTES_MAX {
            return Err(io::Error::other("the request is larger than one frame"));
        }
        let mut out = frame(HEADERS, END_HEADERS, id, &head(path, &self.authority));
        out.extend(frame(DATA, END_STREAM, id, &body));
        self.stream.write_all(&out)?;

        let mut answer = Vec::new();
        loop {
            let (kind, flags, stream, payload) = self.read()?;
            match kind {
                SETTINGS if flags & ACK == 0 => {
                    self.stream.write_all(&frame(SETTINGS, ACK, 0, &[]))?
                }
                PING if flags & ACK == 0 => {
                    self.stream.write_all(&frame(PING, ACK, 0, &payload))?
                }
                GOAWAY => return Err(io::Error::other("the service closes the connection")),
                RESET if stream == id => return Err(io::Error::other("the call was reset")),
                DATA if stream == id => answer.extend(unpadded(flags, &payload)?),
                _ => {}
            }
            if answer.len() > ANSWER_BYTES_MAX {
                return Err(io::Error::other("the answer is larger than 64 KiB"));
            }
            if stream == id && flags & END_STREAM != 0 && (kind == DATA || kind == HEADERS) {
                break;
            }
        }
        let Some((prefix, message)) = answer.split_at_checked(5) else { return Ok(None) };
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        match message.get(..length) {
            Some(message) => Ok(Some(message.to_vec())),
            None => Err(io::Error::other("the answer broke off")),
        }
    }

    fn read(&mut self) -> io::Result<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let [high, middle, low, kind, flags, id @ ..] = head;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        if length > FRAME_BYTES_MAX {
            return Err(io::Error::other("a frame larger than allowed: no HTTP/2 there"));
        }
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        Ok((kind, flags, u32::from_be_bytes(id) & 0x7fff_ffff, payload))
    }
}

fn unpadded(flags: u8, payload: &[u8]) -> io::Result<&[u8]> {
    if flags & PADDED == 0 {
        return Ok(payload);
    }
    let wrong = || io::Error::other("more padding than there is");
    let (&padding, rest) = payload.split_first().ok_or_else(wrong)?;
    rest.len().checked_sub(padding.into()).map(|end| &rest[..end]).ok_or_else(wrong)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("payloads here are small").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The head of a call: indexes of the static table (RFC 7541, appendix A) and plain literals.
fn head(path: &str, authority: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86]; // :method POST, :scheme http
    for (name, value) in [(4_u8, path), (1, authority)] {
        block.push(name);
        text(&mut block, value);
    }
    block.extend([0x0f, 0x10]); // content-type is 31, beyond a prefix of four bits
    text(&mut block, "application/grpc");
    block.push(0);
    text(&mut block, "te");
    text(&mut block, "trailers");
    block
}

/// A literal without Huffman's code; its length has a prefix of seven bits (RFC 7541, 5.1).
fn text(block: &mut Vec<u8>, value: &str) {
    match value.len() {
        #[expect(clippy::cast_possible_truncation, reason = "under 127")]
        short @ 0..=126 => block.push(short as u8),
        long => {
            block.push(127);
            let mut rest = long - 127;
            while rest >= 128 {
                block.push(0x80 | (rest % 128) as u8);
                rest /= 128;
            }
            #[expect(clippy::cast_possible_truncation, reason = "under 128")]
            block.push(rest as u8);
        }
    }
    block.extend(value.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers one call with `frames` and gives back what it read.
    fn asked(frames: Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let server = std::thread::spawn(move || -> io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            let mut begin = [0; PREFACE.len()];
            stream.read_exact(&mut begin)?;
            assert_eq!(begin, PREFACE);
            stream.write_all(&frames)?;
            // Until the caller leaves.
            let _ = io::copy(&mut stream, &mut io::sink());
            Ok(())
        });
        let answer = Connection::open(address, Duration::from_secs(20))
            .and_then(|mut connection| connection.call("/a.B/C", b"x"));
        server.join().expect("it does not panic")?;
        answer
    }

    #[test]
    fn an_answer_is_a_message_none_or_an_error() {
        let settings = frame(SETTINGS, 0, 0, &[]);
        let headers = frame(HEADERS, END_HEADERS, 1, &[0x88]);
        let trailers = frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x88]);
        let message = frame(DATA, 0, 1, b"\0\0\0\0\x02\x08\x01");
        let padded = frame(DATA, PADDED, 1, b"\x01\0\0\0\0\x02\x08\x01\0");
        let whole = |middle: &[u8]| [&settings, &headers, middle, &trailers].concat();

        assert_eq!(asked(whole(&message)).unwrap(), Some(vec![8, 1]));
        assert_eq!(asked(whole(&padded)).unwrap(), Some(vec![8, 1]));
        assert_eq!(asked([&settings[..], &trailers].concat()).unwrap(), None);
        for (frames, why) in [
            (whole(&frame(DATA, 0, 1, b"\0\0\0\0\x09\x08\x01")), "broke off"),
            (whole(&frame(DATA, PADDED, 1, b"\x09\0")), "padding"),
            (whole(&frame(RESET, 0, 1, &[0, 0, 0, 2])), "reset"),
            (whole(&frame(GOAWAY, 0, 0, &[0; 8])), "closes"),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "no HTTP/2"),
        ] {
            let error = asked(frames).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_long_text_says_its_length() {
        for (length, expected) in [(126, vec![126]), (127, vec![127, 0]), (300, vec![127, 0xad, 1])]
        {
            let mut block = Vec::new();
            text(&mut block, &"a".repeat(length));
            assert_eq!(block[..expected.len()], expected, "{length}");
        }
    }
}
