//! Files of records, read: from bytes to calls.
//!
//! Which kind of file it is shows in its first bytes, and no kind can be taken for another. Our own
//! begin with a skippable frame that says so. Anything else of zstd is a log that somebody packed.
//! Plain logs: no entry is empty and none has 16 MiB, so a log of grpc-go begins with a zero, the
//! highest byte of the first length, and one that is delimited by varints never does.
//!
//! Not here: entries (`entry`), the index (`index`).

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read as _};

use bytes::Bytes;

use super::entry::{self, Entry, Event};
use super::index::{self, Index};
use super::{ENTRY_BYTES_MOST, Framing, RecordFault, RecordedCall, Whole};

/// How much of a log is read. What lies beyond is left, which [`Log::is_partial`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Calls that are kept, and calls under way at once.
    pub calls: usize,
    /// Bytes of all messages that are kept.
    pub message_bytes: u64,
    /// Bytes of all entries, unpacked.
    pub plain_bytes: u64,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub framing: Framing,
    /// Whether the entries were packed with zstd.
    pub packed: bool,
    /// `package.Service/Method`, in the order of their first calls; those that were wanted.
    pub methods: Vec<String>,
    /// In the order in which they began.
    pub calls: Vec<RecordedCall>,
    /// Calls of methods that were not wanted.
    pub others: u64,
    /// These methods, in order.
    pub other_methods: Vec<String>,
    /// Entries of calls whose beginning is not in the log.
    pub strays: u64,
    /// There was more than the bounds allow.
    pub is_partial: bool,
    /// Of our own files.
    pub index: Option<Index>,
}

/// zstd's own: its first bytes (RFC 8878, section 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// As a power of two: the largest window that is unpacked, 128 MiB, which is also zstd's own limit.
const WINDOW_MOST: u32 = 27;

/// The calls in `file` whose methods are wanted, by `package.Service/Method`.
///
/// # Errors
/// A file that is none of those above, is cut short or damaged.
pub fn read(
    file: &[u8],
    bounds: &Bounds,
    wants: impl Fn(&str) -> bool,
) -> Result<Log, RecordFault> {
    let whole = |what: &str, fix: &str| RecordFault {
        entry: None,
        offset: 0,
        what: what.to_owned(),
        fix: fix.to_owned(),
    };
    if file.is_empty() {
        return Err(whole("it is empty", "record some calls, or name another file"));
    }
    let (framing, packed, index) = if is_ours(file) {
        let index =
            Index::of(file, bounds.calls.max(INDEXED_LEAST)).map_err(|what| whole(what, AGAIN))?;
        (Some(Framing::Records), true, Some(index))
    } else {
        (None, file.starts_with(&ZSTD), None)
    };
    let entries = if packed {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(file)
            .map_err(|error| whole(&error.to_string(), AGAIN))?;
        decoder.window_log_max(WINDOW_MOST).map_err(|error| whole(&error.to_string(), AGAIN))?;
        let plain: Box<dyn BufRead + '_> = Box::new(BufReader::new(decoder));
        Entries::new(plain, framing, packed)?
    } else {
        Entries::new(Box::new(file), None, packed)?
    };
    let framing = framing.unwrap_or(entries.framing);
    let mut log = Log {
        framing,
        packed,
        methods: Vec::new(),
        calls: Vec::new(),
        others: 0,
        other_methods: Vec::new(),
        strays: 0,
        is_partial: false,
        index,
    };
    let begun = Collecting::new(&mut log, bounds, wants).all(entries)?;
    let told = log.index.as_ref().filter(|_| !log.is_partial).map(|index| index.calls.len() as u64);
    if told.is_some_and(|told| told != begun) {
        return Err(whole("its index and its entries have different numbers of calls", AGAIN));
    }
    Ok(log)
}

/// Calls of an index that are read in any case.
const INDEXED_LEAST: usize = 1 << 20;
const AGAIN: &str = "copy the file again, or record again";

fn is_ours(file: &[u8]) -> bool {
    let head = index::skippable(index::MARK);
    // Cut within its mark it is nobody else's either.
    file.starts_with(&head) || (file.len() >= 4 && head.starts_with(file))
}

/// The entries of a file, one after the other.
struct Entries<'a> {
    plain: Box<dyn BufRead + 'a>,
    framing: Framing,
    packed: bool,
    number: u64,
    offset: u64,
    bytes: Vec<u8>,
}

impl<'a> Entries<'a> {
    fn new(
        plain: Box<dyn BufRead + 'a>,
        framing: Option<Framing>,
        packed: bool,
    ) -> Result<Entries<'a>, RecordFault> {
        let framing = framing.unwrap_or(Framing::Varint);
        let mut entries =
            Entries { plain, framing, packed, number: 0, offset: 0, bytes: Vec::new() };
        if framing == Framing::Varint {
            let first = entries.plain.fill_buf().map(|bytes| bytes.first().copied());
            match first.map_err(|error| entries.broken(&error))? {
                Some(0) => entries.framing = Framing::BigEndian,
                Some(_) => {}
                None => return Err(entries.fault("it is empty", "name another file".into())),
            }
        }
        Ok(entries)
    }

    /// Reads the next one into `bytes`; false at the end.
    fn next(&mut self) -> Result<bool, RecordFault> {
        let Some((head, length)) = self.length()? else { return Ok(false) };
        if length == 0 || length > ENTRY_BYTES_MOST as u64 {
            let what = format!("it would have {length} bytes, which no GrpcLogEntry has");
            return Err(self.fault(&what, FOREIGN.into()));
        }
        self.bytes.clear();
        // What is taken grows with what is there, not with what a length promises.
        let read = self.plain.by_ref().take(length).read_to_end(&mut self.bytes);
        let read = read.map_err(|error| self.broken(&error))? as u64;
        if read < length {
            return Err(self.cut(&format!("it has {length} bytes, and {read} are there")));
        }
        self.offset += head + length;
        self.number += 1;
        Ok(true)
    }

    /// The length of the next entry and the bytes that say it; `None` at the end of the file.
    fn length(&mut self) -> Result<Option<(u64, u64)>, RecordFault> {
        let mut value = 0_u64;
        let most = if self.framing == Framing::BigEndian { 4 } else { 5 };
        for place in 0..most {
            let mut byte = [0];
            let read = self.plain.read(&mut byte).map_err(|error| self.broken(&error))?;
            match (read, place) {
                (0, 0) => return Ok(None),
                (0, _) => return Err(self.cut("its length is not all there")),
                _ => {}
            }
            if self.framing == Framing::BigEndian {
                value = value << 8 | u64::from(byte[0]);
                continue;
            }
            value |= u64::from(byte[0] & 0x7f) << (7 * place);
            if byte[0] & 0x80 == 0 {
                return Ok(Some((place + 1, value)));
            }
        }
        match self.framing {
            Framing::BigEndian => Ok(Some((most, value))),
            Framing::Varint | Framing::Records => {
                Err(self.fault("its length is no number that an entry has", FOREIGN.into()))
            }
        }
    }

    fn fault(&self, what: &str, fix: String) -> RecordFault {
        let (entry, offset) = (Some(self.number), self.offset);
        RecordFault { entry, offset, what: what.to_owned(), fix }
    }

    /// The file ends within an entry, as it does when the process that writes it is killed.
    fn cut(&self, why: &str) -> RecordFault {
        let fix = match self.packed {
            // Nothing of it is whole, so most likely it is something else.
            _ if self.number == 0 => FOREIGN.to_owned(),
            true => AGAIN.to_owned(),
            false => format!(
                "copy the file when its writer has closed it, or keep what is whole: `head -c {}`",
                self.offset
            ),
        };
        self.fault(&format!("the file ends in it: {why}"), fix)
    }

    /// What is packed cannot be unpacked.
    fn broken(&self, error: &io::Error) -> RecordFault {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                self.fault("the file ends in it: its zstd frame is not all there", AGAIN.into())
            }
            _ => self.fault(&format!("it cannot be unpacked: {error}"), AGAIN.into()),
        }
    }
}

const FOREIGN: &str = "name a file of length-delimited grpc.binarylog.v1.GrpcLogEntry: of \
                       `tandem compare --out`, or of the binary log of a gRPC library";

/// Entries on their way to calls.
struct Collecting<'l, W> {
    log: &'l mut Log,
    bounds: &'l Bounds,
    wants: W,
    /// By the log's own number of the call; `None` for one that is not wanted.
    open: BTreeMap<u64, Option<usize>>,
    numbers: BTreeMap<String, Option<u32>>,
    begun: u64,
    bytes: u64,
}

impl<'l, W: Fn(&str) -> bool> Collecting<'l, W> {
    fn new(log: &'l mut Log, bounds: &'l Bounds, wants: W) -> Collecting<'l, W> {
        let (open, numbers) = Default::default();
        Collecting { log, bounds, wants, open, numbers, begun: 0, bytes: 0 }
    }

    /// Reads to the end or to the bounds; how many calls began.
    fn all(mut self, mut entries: Entries<'_>) -> Result<u64, RecordFault> {
        loop {
            let (number, offset) = (entries.number, entries.offset);
            if !entries.next()? {
                break;
            }
            let entry = entry::read(&entries.bytes).map_err(|what| RecordFault {
                entry: Some(number),
                offset,
                what: what.to_owned(),
                fix: FOREIGN.to_owned(),
            })?;
            if entries.offset > self.bounds.plain_bytes || !self.take(&entry) {
                self.log.is_partial = true;
                break;
            }
        }
        let unwanted = self.numbers.into_iter().filter(|(_, number)| number.is_none());
        self.log.other_methods = unwanted.map(|(name, _)| name).collect();
        Ok(self.begun)
    }

    /// Takes in one entry; false where the bounds are met.
    fn take(&mut self, entry: &Entry<'_>) -> bool {
        if let Event::Began(method) = entry.event {
            return self.begin(entry, method);
        }
        let Some(place) = self.open.get(&entry.call).copied() else {
            self.log.strays += 1;
            return true;
        };
        let ends = matches!(entry.event, Event::Ended(_) | Event::Cancelled);
        if ends {
            self.open.remove(&entry.call);
        }
        let Some(place) = place else { return true };
        let call = &mut self.log.calls[place];
        match entry.event {
            Event::Began(_) | Event::Other => {}
            Event::Sent(data, all) => {
                if entry.truncated || !all {
                    call.whole = Whole::Cut;
                }
                self.bytes += data.len() as u64;
                if self.bytes > self.bounds.message_bytes {
                    // It would be sent without its end.
                    self.log.calls.truncate(place);
                    return false;
                }
                call.messages.push(Bytes::copy_from_slice(data));
            }
            Event::HalfClosed | Event::Ended(_) | Event::Cancelled => {
                if call.whole == Whole::Open {
                    call.whole = Whole::Yes;
                }
                match entry.event {
                    Event::Ended(status) => call.status = Some(status),
                    // CANCELLED, unless the service was faster.
                    Event::Cancelled => call.status = call.status.or(Some(1)),
                    _ => {}
                }
            }
        }
        true
    }

    fn begin(&mut self, entry: &Entry<'_>, method: &str) -> bool {
        let known = match self.numbers.get(method) {
            Some(known) => *known,
            None => {
                if self.numbers.len() >= self.bounds.calls {
                    return false;
                }
                let number = (self.wants)(method).then_some(self.log.methods.len() as u32);
                if number.is_some() {
                    self.log.methods.push(method.to_owned());
                }
                self.numbers.insert(method.to_owned(), number);
                number
            }
        };
        let is_full = match known {
            Some(_) => self.log.calls.len() >= self.bounds.calls,
            None => false,
        };
        if is_full || self.open.len() >= self.bounds.calls {
            return false;
        }
        let place = known.map(|method| {
            self.log.calls.push(RecordedCall {
                number: self.begun,
                method,
                at: entry.at,
                messages: Vec::new(),
                status: None,
                whole: Whole::Open,
            });
            self.log.calls.len() - 1
        });
        self.log.others += u64::from(place.is_none());
        self.open.insert(entry.call, place);
        self.begun += 1;
        true
    }
}
