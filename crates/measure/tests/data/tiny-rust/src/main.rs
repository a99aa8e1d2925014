//! Answers every call by gRPC with the message `08 01`, which is how health says that it serves.

use std::io::{Read, Write};
use std::net::TcpListener;

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    [&[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream], payload].concat()
}

fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).unwrap_or_default();
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    for connection in listener.incoming() {
        let mut connection = connection?;
        let mut begin = [0; 24];
        if connection.read_exact(&mut begin).is_err() || leaf::first(b"PRI ") != begin[0] {
            continue;
        }
        connection.write_all(&frame(4, 0, 0, &[]))?;
        let mut head = [0; 9];
        while connection.read_exact(&mut head).is_ok() {
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            connection.read_exact(&mut payload)?;
            if head[3] == 0 && head[4] & 1 == 1 {
                let stream = head[8];
                connection.write_all(&frame(1, 4, stream, &[0x88]))?;
                connection.write_all(&frame(0, 0, stream, b"\0\0\0\0\x02\x08\x01"))?;
                connection.write_all(&frame(1, 5, stream, &[0x88]))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_frame_says_its_length() {
        assert_eq!(super::frame(0, 1, 3, b"ab"), [0, 0, 2, 0, 1, 0, 0, 0, 3, b'a', b'b']);
    }
}
