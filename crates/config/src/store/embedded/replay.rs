//! Crashes at every place of a history of changes, replayed (security CR-1 to CR-3).
//!
//! Everything that is done to the file is written down. Between two syncs any part of the writes
//! may have reached the disk, in any order, each whole or torn. Every image of that kind must open
//! to the state before or after the change in flight, and lose nothing that was acknowledged. With
//! `TANDEM_LONG=1` that is every write of 200 changes, each whole and torn, and every part of what
//! lies between two syncs (4,096 drawn ones where it has more than 12 writes); otherwise a few
//! images of each stretch.

#![expect(clippy::print_stdout, reason = "how much was tried is part of the result")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

use super::super::{Digest, Revision, Scope, Store, ThingName, check, dump};
use super::faulty::{Disk, Operation, apply};
use super::image::Image;
use super::*;
use crate::access::{Claims, Role, Who, members};
use crate::history::{Checked, History, VERSIONS_MOST};
use crate::probe::{act, owner};
use crate::secret::{self, Secret};

/// Writes between two syncs up to which every subset is tried.
const ALL_SUBSETS: usize = 12;
/// What a disk and what a system write at once.
const SECTOR: usize = 512;
const PAGE: usize = 4_096;

fn long() -> bool {
    std::env::var_os("TANDEM_LONG").is_some()
}

/// One of several sorts of change; `number` of version is kept by the caller.
fn change(store: &Embedded, random: &mut StdRng, live: &mut u32) {
    let shop = Scope::namespace("shop").unwrap();
    let Scope::Namespace(name) = &shop else { unreachable!() };
    let who = owner("shop");
    let history = History::new(store);
    let size = random.random_range(10..6_000);
    let text = format!("version {}\n{}", *live + 1, "x".repeat(size));
    match random.random_range(0..6) {
        0..3 => {
            let checked = Checked::for_tests(&shop, &text, Claims::default());
            *live = history.publish(act(&who), &checked, *live).unwrap().number;
        }
        3 if *live > 1 => {
            let to = random.random_range(live.saturating_sub(20).max(1)..=*live);
            let old = history.version(&who, &shop, to).unwrap();
            let checked = Checked::for_tests(&shop, &old.text, Claims::default());
            *live = history.roll_back(act(&who), &checked, to, *live).unwrap().number;
        }
        3 | 4 => {
            let name = ThingName::new(["a", "b"][random.random_range(0..2)]).unwrap();
            let keys = crate::probe::sealing_keys();
            let fill = |bytes: &mut [u8]| {
                bytes.fill(size as u8);
                Ok(())
            };
            let value = Secret::new(text.into_bytes());
            secret::set(store, &keys, &fill, act(&who), &shop, &name, &value).unwrap();
        }
        _ => {
            let member = Who::parse(&format!("user:{}", random.random_range(0..9))).unwrap();
            members::set(store, act(&who), name, &member, Role::Editor).unwrap();
        }
    }
}

/// Everything that stands in the store.
fn state(store: &Embedded) -> Result<Digest, StoreFault> {
    let view = store.read(&[], &dump::everything())?;
    let parts = view.entries.iter().flat_map(|(key, entry)| {
        [
            key.as_str().as_bytes().to_vec(),
            entry.revision.0.to_be_bytes().to_vec(),
            entry.value.clone(),
        ]
    });
    let parts: Vec<Vec<u8>> = parts.chain([view.revision.0.to_be_bytes().to_vec()]).collect();
    Ok(Digest::of_parts(parts.iter().map(Vec::as_slice)))
}

/// Each key and its bytes as they lie in the file, revisions and digests among them.
type Bytes = Vec<(String, Arc<[u8]>)>;

/// The bytes of all keys; those that are also in `before` are shared with it.
fn bytes_of(database: &Database, before: &Bytes) -> Bytes {
    let transaction = database.begin_read().unwrap();
    let table = transaction.open_table(TABLE).unwrap();
    let all = table.iter().unwrap().map(|item| {
        let (key, value) = item.unwrap();
        let place = before.binary_search_by(|(known, _)| known.as_str().cmp(key.value()));
        let known = place.ok().map(|place| &before[place].1);
        match known.filter(|known| ***known == *value.value()) {
            Some(known) => (key.value().to_owned(), Arc::clone(known)),
            None => (key.value().to_owned(), value.value().into()),
        }
    });
    all.collect()
}

/// A state that was acknowledged.
struct Acknowledged {
    digest: Digest,
    bytes: Bytes,
}

impl Acknowledged {
    fn now(store: &Embedded, before: &Bytes) -> Acknowledged {
        let bytes = store.with_database(|database| Ok(bytes_of(database, before))).unwrap();
        Acknowledged { digest: state(store).unwrap(), bytes }
    }

    fn is_in(&self, database: &Database) -> bool {
        let transaction = database.begin_read().unwrap();
        let table = transaction.open_table(TABLE).unwrap();
        let mut expected = self.bytes.iter();
        for item in table.iter().unwrap() {
            let (key, value) = item.unwrap();
            let same = expected
                .next()
                .is_some_and(|(known, bytes)| key.value() == known && *value.value() == **bytes);
            if !same {
                return false;
            }
        }
        expected.next().is_none()
    }
}

#[test]
fn security_s_2_every_image_of_a_crash_opens_to_old_or_new() {
    let seed = std::env::var("TANDEM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    let mut random = StdRng::seed_from_u64(seed);
    let disk = Disk::with_store();
    let store = disk.store().unwrap();
    let mut live = 0;
    let changes = if long() {
        // So many that old versions are pruned in what is replayed.
        while (live as usize) < VERSIONS_MOST {
            let shop = Scope::namespace("shop").unwrap();
            let who = owner("shop");
            let checked = Checked::for_tests(&shop, &live.to_string(), Claims::default());
            live = History::new(&store).publish(act(&who), &checked, live).unwrap().number;
        }
        200
    } else {
        24
    };
    let image = disk.record();
    let first = store.read(&[], &[]).unwrap().revision;
    let mut states = BTreeMap::from([(first, Acknowledged::now(&store, &Bytes::new()))]);
    let mut acknowledged = vec![(0, first)];
    for _ in 0..changes {
        change(&store, &mut random, &mut live);
        let revision = store.read(&[], &[]).unwrap().revision;
        acknowledged.push((disk.logged(), revision));
        let now = Acknowledged::now(&store, &states.last_key_value().unwrap().1.bytes);
        states.insert(revision, now);
        // Whatever opens to this state is sound, its audit chain among it.
        assert_eq!(check(&store).unwrap(), []);
    }
    let log = disk.log();

    let crash = Crash { seed, log, states, acknowledged };
    let begun = Instant::now();
    let images = crash.replay(image);
    let (operations, took) = (crash.log.len(), begun.elapsed().as_secs());
    println!("{images} images of {operations} operations of {changes} changes in {took} s");
    assert!(images >= 150, "{images} images were tried");
    if long() {
        assert!(images > 100_000, "{images} images were tried");
    }
}

/// A recorded history of changes.
struct Crash {
    seed: u64,
    log: Vec<Operation>,
    states: BTreeMap<Revision, Acknowledged>,
    /// Length of the log when each change was acknowledged.
    acknowledged: Vec<(usize, Revision)>,
}

impl Crash {
    /// Judges what may be left of it by a crash anywhere, beginning with `image`: several stretches
    /// between two syncs at once. How many images that were.
    fn replay(&self, image: Vec<u8>) -> u64 {
        let next = Mutex::new((0, image));
        let images = AtomicU64::new(0);
        let hands = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..hands {
                scope.spawn(|| {
                    loop {
                        let stretch = self.next_stretch(&mut next.lock().unwrap());
                        let Some((image, stretch)) = stretch else { return };
                        images.fetch_add(self.judge_stretch(&image, stretch), Ordering::Relaxed);
                    }
                });
            }
        });
        images.into_inner()
    }

    /// The operations up to the next sync, and the file as it is before them.
    fn next_stretch(&self, next: &mut (usize, Vec<u8>)) -> Option<(Arc<Vec<u8>>, Range<usize>)> {
        let (begin, image) = next;
        if *begin >= self.log.len() {
            return None;
        }
        let sync = self.log[*begin..].iter().position(|done| matches!(done, Operation::Sync));
        let stretch = *begin..sync.map_or(self.log.len(), |sync| *begin + sync);
        let before = Arc::new(image.clone());
        self.log[stretch.clone()].iter().for_each(|done| apply(image, done));
        *begin = stretch.end + 1;
        Some((before, stretch))
    }

    /// The revision that was acknowledged last when the log had this length.
    fn least(&self, place: usize) -> Revision {
        let before = self.acknowledged.iter().rev().find(|(length, _)| *length <= place);
        before.map(|(_, revision)| *revision).unwrap()
    }

    /// The revision of what an image opened to, which must be an allowed one.
    fn allowed(&self, revision: Revision, place: usize, told: &str) -> &Acknowledged {
        let least = self.least(place);
        assert!(
            revision == least || revision.0 == least.0 + 1,
            "{told}: revision {revision}, and {least} was acknowledged"
        );
        self.states.get(&revision).unwrap_or_else(|| panic!("{told}: {revision} never was"))
    }

    /// Opens an image as a gateway would, and reads everything.
    fn judge(&self, image: &Image, place: usize, told: &str) {
        let opened = image.clone();
        let store = Embedded::with(move || open(opened.clone()), None);
        let store = store.unwrap_or_else(|fault| panic!("{told}: {fault}"));
        let revision = store.read(&[], &[]).unwrap().revision;
        assert_eq!(state(&store).unwrap(), self.allowed(revision, place, told).digest, "{told}");
    }

    /// The same about the bytes alone: those that equal an acknowledged state's byte for byte,
    /// digests and revisions among them, are read as that state was.
    fn judge_bytes(&self, image: &Image, place: usize, told: &str) {
        let database = guarded(|| open(image.clone()));
        let database = database.unwrap_or_else(|fault| panic!("{told}: {fault}"));
        let revision = guarded(|| revision(&database)).unwrap();
        let expected = self.allowed(revision, place, told);
        assert!(expected.is_in(&database), "{told}: not what {revision} was");
        image.gone();
    }

    fn judge_stretch(&self, image: &Arc<Vec<u8>>, stretch: Range<usize>) -> u64 {
        let Range { start: begin, end } = stretch;
        let pending = &self.log[begin..end];
        let mut random = StdRng::seed_from_u64(self.seed ^ ((begin as u64) << 16));
        let mut images = 0;
        let told = |told: &str| format!("seed {}, {begin}..{end} {told}", self.seed);
        // What was done up to a place, exactly; and the write there, torn.
        let places: Vec<usize> = match long() {
            true => (0..=pending.len()).collect(),
            false => vec![random.random_range(0..=pending.len())],
        };
        for place in places {
            let exact = || {
                let exact = Image::of(image);
                pending[..place].iter().for_each(|done| exact.apply(done));
                exact
            };
            if long()
                && let Some(Operation::Write(offset, data)) = pending.get(place)
            {
                for unit in [SECTOR, PAGE].into_iter().filter(|unit| *unit < data.len()) {
                    let cut = exact();
                    cut.apply(&Operation::Write(*offset, data[..unit].to_vec()));
                    self.judge(&cut, begin + place, &told(&format!("+{place}, cut at {unit}")));
                    images += 1;
                }
            }
            self.judge(&exact(), begin + place, &told(&format!("+{place}")));
            images += 1;
        }
        // Any part of it, in any order, torn.
        let subsets = match (long(), pending.len() <= ALL_SUBSETS) {
            (true, true) => 1_u64 << pending.len(),
            (true, false) => 4_096,
            (false, _) => 3,
        };
        for subset in 0..subsets {
            let chosen: u64 = match long() && pending.len() <= ALL_SUBSETS {
                true => subset,
                false => random.next_u64(),
            };
            let mut part: Vec<&Operation> = pending
                .iter()
                .enumerate()
                .filter(|(index, _)| chosen >> (index % 64) & 1 == 1)
                .map(|(_, done)| done)
                .collect();
            part.shuffle(&mut random);
            let crashed = Image::of(image);
            for done in part {
                crashed.apply(&torn(done, &mut random));
            }
            self.judge_bytes(&crashed, end, &told(&format!("part {chosen:x}")));
            images += 1;
        }
        images
    }
}

/// Whole, or only the first sectors or pages of it.
fn torn(done: &Operation, random: &mut StdRng) -> Operation {
    match done {
        Operation::Write(offset, data) if random.random_range(0..4) == 0 => {
            let unit = [SECTOR, PAGE][random.random_range(0..2)];
            let units = data.len().div_ceil(unit);
            let kept = (random.random_range(0..=units) * unit).min(data.len());
            Operation::Write(*offset, data[..kept].to_vec())
        }
        other => other.clone(),
    }
}

#[test]
fn security_cr_3_a_flipped_bit_is_found_or_harmless() {
    let disk = Disk::with_store();
    let store = disk.store().unwrap();
    let mut random = StdRng::seed_from_u64(11);
    let mut live = 0;
    let mut states = Vec::new();
    for _ in 0..12 {
        change(&store, &mut random, &mut live);
        states.push(state(&store).unwrap());
    }
    drop(store);
    let whole = disk.bytes();
    let flips = if long() { 40_000 } else { 600 };
    let (mut found, mut harmless, mut older) = (0, 0, 0);
    for _ in 0..flips {
        let bit = random.random_range(0..whole.len() * 8);
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let Ok(store) = Disk::of(flipped).store() else {
            found += 1;
            continue;
        };
        let Ok(now) = state(&store) else {
            found += 1;
            continue;
        };
        match states.iter().rev().position(|state| *state == now) {
            Some(0) => harmless += 1,
            Some(1) => older += 1,
            _ => panic!("bit {bit} gave a state that never was"),
        }
    }
    println!("{flips} flips: {found} found, {harmless} harmless, {older} one change back");
    assert!(found > 0 && harmless > 0);
    assert_eq!(older, 0, "an acknowledged change was lost without a word");
}
