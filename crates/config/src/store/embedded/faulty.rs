//! Disks that refuse, and files that others wrote (security CR-4, S-3, S-5).

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

use super::super::{Revision, Scope, check};
use super::*;
use crate::access::Claims;
use crate::history::{Checked, History};
use crate::probe::{act, gateway, owner};

/// A file in memory that writes down what is done to it, and fails when told to.
#[derive(Clone, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    log: Vec<Operation>,
    /// Operations until the fault; `None`: no fault.
    left: Option<u64>,
    fault: Option<Fault>,
}

/// What was done to the file.
#[derive(Clone)]
pub(super) enum Operation {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// One operation fails, those behind it do not.
    Once(i32),
    /// Nothing works any more.
    Always(i32),
    /// One sync fails; everything else works.
    OneSync(i32),
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk")
    }
}

impl Disk {
    pub(super) fn of(bytes: Vec<u8>) -> Disk {
        Disk(Arc::new(Mutex::new(State { bytes, ..State::default() })))
    }

    /// With a new store on it.
    pub(super) fn with_store() -> Disk {
        let disk = Disk::default();
        drop(create(disk.clone()).unwrap());
        disk
    }

    pub(super) fn store(&self) -> Result<Embedded, StoreFault> {
        let disk = self.clone();
        Embedded::with(move || open(disk.clone()), None)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().bytes.clone()
    }

    /// Bytes and what was done since, from now on.
    pub(super) fn record(&self) -> Vec<u8> {
        let mut state = self.0.lock().unwrap();
        state.log.clear();
        state.bytes.clone()
    }

    pub(super) fn log(&self) -> Vec<Operation> {
        self.0.lock().unwrap().log.clone()
    }

    pub(super) fn logged(&self) -> usize {
        self.0.lock().unwrap().log.len()
    }

    fn fail(&self, after: u64, fault: Fault) {
        let mut state = self.0.lock().unwrap();
        (state.left, state.fault) = (Some(after), Some(fault));
    }

    /// Whether the fault came.
    fn heal(&self) -> bool {
        let mut state = self.0.lock().unwrap();
        state.fault = None;
        state.left.take() == Some(0)
    }

    fn change(&self, operation: Operation) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let sync = matches!(operation, Operation::Sync);
        match (state.fault, state.left) {
            (Some(Fault::Always(code)), Some(0)) => return Err(io::Error::from_raw_os_error(code)),
            (Some(Fault::OneSync(_)), Some(_)) if !sync => {}
            (Some(Fault::OneSync(code) | Fault::Once(code)), Some(1)) => {
                (state.left, state.fault) = (Some(0), None);
                return Err(io::Error::from_raw_os_error(code));
            }
            (Some(_), Some(left)) if left > 0 => state.left = Some(left - 1),
            _ => {}
        }
        apply(&mut state.bytes, &operation);
        state.log.push(operation);
        Ok(())
    }
}

pub(super) fn apply(bytes: &mut Vec<u8>, operation: &Operation) {
    match operation {
        Operation::Write(offset, data) => {
            let offset = *offset as usize;
            let end = offset + data.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[offset..end].copy_from_slice(data);
        }
        Operation::SetLen(length) => bytes.resize(*length as usize, 0),
        Operation::Sync => {}
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        if let (Some(Fault::Always(code)), Some(0)) = (state.fault, state.left) {
            return Err(io::Error::from_raw_os_error(code));
        }
        let range = offset as usize..offset as usize + out.len();
        let bytes = state.bytes.get(range).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Operation::SetLen(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(Operation::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Operation::Write(offset, data.to_vec()))
    }
}

fn publish(store: &Embedded, read: u32) -> Result<u32, String> {
    let shop = Scope::namespace("shop").unwrap();
    let text = format!("text {}", read + 1);
    let checked = Checked::for_tests(&shop, &text, Claims::default());
    let who = owner("shop");
    let version = History::new(store).publish(act(&who), &checked, read);
    version.map(|version| version.number).map_err(|fault| fault.to_string())
}

fn live(store: &Embedded) -> u32 {
    let shop = Scope::namespace("shop").unwrap();
    let content = History::new(store).live(&gateway(), &shop).unwrap();
    content.map_or(0, |content| {
        assert_eq!(*content.text, format!("text {}", content.version.number));
        content.version.number
    })
}

/// Publishes with the fault after each number of operations until it no longer comes.
fn a_fault_at_every_operation(fault: Fault) {
    let disk = Disk::with_store();
    let store = disk.store().unwrap();
    publish(&store, 0).unwrap();
    let mut refused = 0;
    for after in 1.. {
        let before = live(&store);
        disk.fail(after, fault);
        let published = publish(&store, before);
        let came = disk.heal();
        let now = live(&store);
        match &published {
            Ok(number) => assert_eq!(*number, now, "{fault:?} after {after}"),
            Err(why) => {
                refused += 1;
                assert!(came, "{fault:?} after {after}: {why}");
                let unsure = why.contains("not known");
                assert!(now == before || unsure && now == before + 1, "{fault:?}, {after}: {why}");
            }
        }
        assert_eq!(check(&store).unwrap(), [], "{fault:?} after {after}");
        // The disk is well again: so is the store, at once and without being told.
        assert_eq!(publish(&store, now), Ok(now + 1), "{fault:?} after {after}");
        if !came {
            break;
        }
    }
    // Two syncs make a change safe.
    assert!(refused >= 2, "{fault:?} was met {refused} times");
    let last = live(&store);
    drop(store);
    assert_eq!(live(&disk.store().unwrap()), last);
}

#[test]
fn security_s_3_an_error_of_the_disk_refuses_the_change_and_the_next_one_is_made() {
    a_fault_at_every_operation(Fault::Once(EIO));
    a_fault_at_every_operation(Fault::Once(ENOSPC));
}

#[test]
fn security_s_3_after_a_sync_that_failed_the_file_is_opened_anew() {
    a_fault_at_every_operation(Fault::OneSync(EIO));
}

#[test]
fn security_s_3_a_disk_that_is_gone_refuses_everything_until_it_is_back() {
    let disk = Disk::with_store();
    let store = disk.store().unwrap();
    assert_eq!(publish(&store, 0), Ok(1));
    for after in 0..40 {
        let before = live(&store);
        disk.fail(after, Fault::Always(EIO));
        let published = publish(&store, before);
        if published.is_err() && after == 0 {
            // Nobody can say what is live while the disk is gone; nobody claims to.
            let shop = Scope::namespace("shop").unwrap();
            assert!(History::new(&store).live(&gateway(), &shop).is_err());
        }
        disk.heal();
        let now = live(&store);
        match published {
            Ok(number) => assert_eq!(number, now),
            Err(_) => assert!(now == before || now == before + 1, "after {after}"),
        }
        assert_eq!(check(&store).unwrap(), []);
    }
}

#[test]
fn security_s_3_a_read_that_failed_is_followed_by_one_that_does_not() {
    let disk = Disk::with_store();
    let store = disk.store().unwrap();
    let key = Key::draft(&Scope::Platform);
    let mut change = Change::new();
    // More than is held in memory, so that it must be read.
    change.put(key.clone(), vec![1; VALUE_BYTES]);
    store.commit(&change).unwrap();
    disk.fail(0, Fault::Always(EIO));
    let fault = store.read(std::slice::from_ref(&key), &[]).unwrap_err();
    assert!(matches!(fault, StoreFault::Io(_)), "{fault}");
    disk.heal();
    assert!(store.read(std::slice::from_ref(&key), &[]).is_ok());
}

#[test]
fn security_s_5_a_store_of_another_format_is_refused_and_not_touched() {
    let disk = Disk::with_store();
    {
        let database = open(disk.clone()).unwrap();
        let transaction = begin(&database).unwrap();
        {
            let mut table = transaction.open_table(TABLE).unwrap();
            let meta = envelope::close(META, Revision(7), &2_u32.to_be_bytes());
            table.insert(META, meta.as_slice()).unwrap();
        }
        transaction.commit().unwrap();
    }
    let fault = disk.store().unwrap_err();
    assert_eq!(fault.to_string(), "the store is damaged: it has format 2, and this build reads 1");
}

#[test]
fn security_s_5_foreign_and_hostile_values_are_refused_by_name() {
    let hostile: [(&str, Vec<u8>, &str); 5] = [
        ("live/shop/-", b"7".to_vec(), "is cut"),
        ("live/shop/-", vec![0; 100], "does not have the SHA-256"),
        ("live/shop/-", vec![0; VALUE_BYTES + 41], "is larger than any value may be"),
        ("live/../-", envelope::close("live/../-", Revision(1), b"7"), "is no key"),
        ("live/shop/-", envelope::close("live/search/-", Revision(1), b"7"), "SHA-256"),
    ];
    for (key, bytes, expected) in hostile {
        let disk = Disk::with_store();
        let database = open(disk.clone()).unwrap();
        let transaction = begin(&database).unwrap();
        transaction.open_table(TABLE).unwrap().insert(key, bytes.as_slice()).unwrap();
        transaction.commit().unwrap();
        drop(database);
        let fault = check(&disk.store().unwrap()).unwrap_err().to_string();
        assert!(fault.contains(expected), "{fault}");
    }
}

const VALUE_BYTES: usize = super::super::VALUE_BYTES_MOST;

#[test]
fn security_s_5_what_is_no_store_is_refused() {
    for bytes in [Vec::new(), b"no store".to_vec(), vec![0; 100_000], vec![0xff; 100_000]] {
        let disk = Disk::of(bytes.clone());
        assert!(matches!(disk.store(), Err(StoreFault::Damaged(_) | StoreFault::Io(_))));
        assert_eq!(disk.bytes(), bytes, "nothing was written over it");
    }
    // A file of the same library that somebody else made.
    let disk = Disk::default();
    drop(builder().create_with_backend(disk.clone()).unwrap());
    assert!(matches!(disk.store(), Err(StoreFault::Damaged(_))));
}
