//! A file as a crash may have left it: bytes that many images share, and what was written over
//! them.
//!
//! A million images of a file of two megabytes are judged one after another; copying each of them
//! whole cost as much as judging it.
//!
//! Not here: which images there are, and what they must open to (`replay`).

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use rand::{RngExt as _, SeedableRng as _};

use super::faulty::Operation;
use super::*;

/// What is copied before it is written to.
const BLOCK: usize = 4_096;

/// One image; clones are the same file.
#[derive(Clone, Debug)]
pub(super) struct Image(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    shared: Arc<Vec<u8>>,
    /// Of the shared bytes, those that still belong to the file: fewer after it was cut.
    kept: usize,
    length: usize,
    written: BTreeMap<usize, Box<[u8; BLOCK]>>,
    gone: bool,
}

impl State {
    /// The part of a block that lies in the shared bytes.
    fn shared_block(&self, block: usize) -> &[u8] {
        let begin = (block * BLOCK).min(self.kept);
        let end = (begin + BLOCK).min(self.kept);
        &self.shared[begin..end]
    }

    fn write(&mut self, offset: usize, data: &[u8]) {
        self.length = self.length.max(offset + data.len());
        let mut at = offset;
        while at < offset + data.len() {
            let (block, inside) = (at / BLOCK, at % BLOCK);
            let count = (BLOCK - inside).min(offset + data.len() - at);
            if !self.written.contains_key(&block) {
                let mut bytes = Box::new([0; BLOCK]);
                let before = self.shared_block(block);
                bytes[..before.len()].copy_from_slice(before);
                self.written.insert(block, bytes);
            }
            if let Some(bytes) = self.written.get_mut(&block) {
                bytes[inside..inside + count].copy_from_slice(&data[at - offset..][..count]);
            }
            at += count;
        }
    }

    fn set_len(&mut self, length: usize) {
        if length < self.length {
            self.kept = self.kept.min(length);
            self.written.retain(|block, _| block * BLOCK < length);
            if let Some(bytes) = self.written.get_mut(&(length / BLOCK)) {
                bytes[length % BLOCK..].fill(0);
            }
        }
        self.length = length;
    }

    fn read(&self, offset: usize, out: &mut [u8]) {
        let mut at = offset;
        let end = offset + out.len();
        while at < end {
            let (block, inside) = (at / BLOCK, at % BLOCK);
            let count = (BLOCK - inside).min(end - at);
            let out = &mut out[at - offset..][..count];
            match self.written.get(&block) {
                Some(bytes) => out.copy_from_slice(&bytes[inside..inside + count]),
                None => {
                    let shared = self.shared_block(block);
                    let shared = &shared[inside.min(shared.len())..];
                    let shared = &shared[..count.min(shared.len())];
                    out[..shared.len()].copy_from_slice(shared);
                    out[shared.len()..].fill(0);
                }
            }
            at += count;
        }
    }
}

impl Image {
    pub(super) fn of(shared: &Arc<Vec<u8>>) -> Image {
        let length = shared.len();
        Image(Arc::new(Mutex::new(State {
            shared: Arc::clone(shared),
            kept: length,
            length,
            written: BTreeMap::new(),
            gone: false,
        })))
    }

    pub(super) fn apply(&self, done: &Operation) {
        let mut state = self.0.lock().unwrap();
        match done {
            Operation::Write(offset, data) => state.write(*offset as usize, data),
            Operation::SetLen(length) => state.set_len(*length as usize),
            Operation::Sync => {}
        }
    }

    /// Refuses from now on whatever would change it, so that closing it costs nothing.
    pub(super) fn gone(&self) {
        self.0.lock().unwrap().gone = true;
    }

    fn change(&self, change: impl FnOnce(&mut State)) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if state.gone {
            return Err(io::Error::other("the image was judged"));
        }
        change(&mut state);
        Ok(())
    }
}

impl StorageBackend for Image {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().length as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        if state.length < offset as usize + out.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        state.read(offset as usize, out);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(|state| state.set_len(length as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(|_| {})
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(|state| state.write(offset as usize, data))
    }
}

#[test]
fn an_image_is_what_a_file_with_the_same_writes_is() {
    let mut random = rand::rngs::StdRng::seed_from_u64(5);
    for _ in 0..200 {
        let mut file: Vec<u8> = (0..random.random_range(0..20_000)).map(|at| at as u8).collect();
        let image = Image::of(&Arc::new(file.clone()));
        for fill in 1..20 {
            let done = match random.random_range(0..4) {
                0 => Operation::SetLen(random.random_range(0..30_000)),
                _ => {
                    let data = vec![fill; random.random_range(1..9_000)];
                    Operation::Write(random.random_range(0..25_000), data)
                }
            };
            super::faulty::apply(&mut file, &done);
            image.apply(&done);
            assert_eq!(image.len().unwrap(), file.len() as u64);
            let begin = random.random_range(0..=file.len());
            let end = random.random_range(begin..=file.len());
            let mut read = vec![0xee; end - begin];
            image.read(begin as u64, &mut read).unwrap();
            assert!(read == file[begin..end], "{begin}..{end} of {}", file.len());
        }
        let beyond = image.read(file.len() as u64, &mut [0]);
        assert_eq!(beyond.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
