//! Which instance of one service runs which values.
//!
//! An instance is a name. It is there while it watches, and for [`FORGOTTEN_AFTER`] longer, so that
//! one that has died is seen as gone and not as never there. The table is bounded: a name that
//! comes when it is full takes the place of the one that went first, and none takes the place of
//! one that still watches.
//!
//! Times are given, so that what is forgotten when can be told without waiting.
//!
//! Not here: the values themselves, and who is told of them (`board`).

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Instances of one service, and streams by which they watch. Twice what settings were measured
/// with (hybrid SE-3).
pub const INSTANCES_MOST: usize = 2_000;
/// One that does not watch is forgotten after this time.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);
/// Bytes that are kept of a refusal's reason.
const REASON_BYTES_MOST: usize = 1024;

/// What became of the values that an instance was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceState {
    /// It was told and has not answered.
    Pending,
    /// It runs by them.
    Applied,
    /// It goes on by those before.
    Refused {
        /// In its own words, at most 1,024 bytes.
        reason: String,
    },
    /// It no longer watches.
    Gone,
}

impl InstanceState {
    /// The names of all states, in the order of [`InstanceState::index`].
    pub const NAMES: [&'static str; 4] = ["pending", "applied", "refused", "gone"];

    /// Its place among [`InstanceState::NAMES`].
    pub fn index(&self) -> usize {
        match self {
            InstanceState::Pending => 0,
            InstanceState::Applied => 1,
            InstanceState::Refused { .. } => 2,
            InstanceState::Gone => 3,
        }
    }

    /// `applied` and the like.
    pub fn name(&self) -> &'static str {
        InstanceState::NAMES[self.index()]
    }
}

/// An instance as it is known now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub instance: String,
    /// What it was told last, or reported without being told.
    pub values: Values,
    pub state: InstanceState,
    /// When it was last heard of.
    pub seen: SystemTime,
}

/// Names one state of a service's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Values {
    /// The version of the namespace.
    pub version: u64,
    /// SHA-256 of the message.
    pub hash: [u8; 32],
}

/// The moment of something that happens to the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    clock: Instant,
    calendar: SystemTime,
}

impl Now {
    pub(crate) fn new() -> Now {
        Now { clock: Instant::now(), calendar: SystemTime::now() }
    }
}

/// What an instance says of values that it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Applied,
    /// With what is kept of the reason.
    Refused(String),
}

impl Outcome {
    /// Keeps at most [`REASON_BYTES_MOST`] of the reason, cut between characters.
    pub(crate) fn refused(mut reason: String) -> Outcome {
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MOST));
        Outcome::Refused(reason)
    }
}

/// There are as many as there may be, and all of them watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Instances {
    rows: BTreeMap<String, Row>,
    streams: usize,
}

#[derive(Debug)]
struct Row {
    values: Values,
    state: InstanceState,
    /// Streams by which it watches; 0 for one that is gone or never watched.
    streams: usize,
    heard: Now,
}

impl Instances {
    /// An instance begins to watch. It is about to be told `values`, unless it `has` them: what an
    /// instance has is what it applied last.
    pub(crate) fn came(
        &mut self,
        name: &str,
        values: Values,
        has: bool,
        now: Now,
    ) -> Result<(), Full> {
        if self.streams >= INSTANCES_MOST {
            return Err(Full);
        }
        let row = self.row(name, values, now)?;
        row.streams += 1;
        row.values = values;
        row.state = if has { InstanceState::Applied } else { InstanceState::Pending };
        row.heard = now;
        self.streams += 1;
        Ok(())
    }

    /// An instance that watches is told other values.
    pub(crate) fn told(&mut self, name: &str, values: Values, now: Now) {
        if let Some(row) = self.rows.get_mut(name) {
            (row.values, row.state, row.heard) = (values, InstanceState::Pending, now);
        }
    }

    /// What an instance says. An answer to values that it was told before the last ones says
    /// nothing of those.
    pub(crate) fn reported(
        &mut self,
        name: &str,
        values: Values,
        outcome: Outcome,
        now: Now,
    ) -> Result<(), Full> {
        let row = self.row(name, values, now)?;
        row.heard = now;
        if row.streams > 0 && row.values != values {
            return Ok(());
        }
        row.values = values;
        row.state = match outcome {
            Outcome::Applied => InstanceState::Applied,
            Outcome::Refused(reason) => InstanceState::Refused { reason },
        };
        Ok(())
    }

    /// A stream by which it watched has ended.
    pub(crate) fn went(&mut self, name: &str, now: Now) {
        if let Some(row) = self.rows.get_mut(name) {
            row.streams = row.streams.saturating_sub(1);
            self.streams = self.streams.saturating_sub(1);
            row.heard = now;
            if row.streams == 0 {
                row.state = InstanceState::Gone;
            }
        }
    }

    /// Streams by which instances watch.
    pub(crate) fn watchers(&self) -> usize {
        self.streams
    }

    /// All that are not forgotten, in the order of their names.
    pub(crate) fn list(&mut self, now: Now) -> Vec<Instance> {
        self.forget(now);
        let known = |(name, row): (&String, &Row)| Instance {
            instance: name.clone(),
            values: row.values,
            state: row.state.clone(),
            seen: row.heard.calendar,
        };
        self.rows.iter().map(known).collect()
    }

    /// How many are in each state, by [`InstanceState::index`].
    pub(crate) fn counts(&mut self, now: Now) -> [usize; 4] {
        self.forget(now);
        let mut counts = [0; 4];
        for row in self.rows.values() {
            counts[row.state.index()] += 1;
        }
        counts
    }

    fn forget(&mut self, now: Now) {
        self.rows.retain(|_, row| {
            row.streams > 0 || now.clock.duration_since(row.heard.clock) < FORGOTTEN_AFTER
        });
    }

    /// The row of this name, made where there is none.
    fn row(&mut self, name: &str, values: Values, now: Now) -> Result<&mut Row, Full> {
        if !self.rows.contains_key(name) && self.rows.len() >= INSTANCES_MOST {
            self.forget(now);
            let first_gone = self
                .rows
                .iter()
                .filter(|(_, row)| row.streams == 0)
                .min_by_key(|(_, row)| row.heard.clock)
                .map(|(name, _)| name.clone());
            if self.rows.len() >= INSTANCES_MOST {
                self.rows.remove(&first_gone.ok_or(Full)?);
            }
        }
        let state = InstanceState::Pending;
        Ok(self.rows.entry(name.to_owned()).or_insert(Row {
            values,
            state,
            streams: 0,
            heard: now,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Values = Values { version: 1, hash: [1; 32] };
    const SECOND: Values = Values { version: 2, hash: [2; 32] };

    fn after(seconds: u64) -> Now {
        // One beginning for all, so that a table's times can be told from each other.
        static BEGAN: std::sync::LazyLock<Now> = std::sync::LazyLock::new(Now::new);
        let time = Duration::from_secs(seconds);
        Now { clock: BEGAN.clock + time, calendar: BEGAN.calendar + time }
    }

    fn states(table: &mut Instances, now: Now) -> Vec<(String, &'static str)> {
        table.list(now).into_iter().map(|one| (one.instance, one.state.name())).collect()
    }

    #[test]
    fn an_instance_is_pending_until_it_answers_what_it_was_told_last() {
        let mut table = Instances::default();
        table.came("a", FIRST, false, after(0)).unwrap();
        assert_eq!(states(&mut table, after(0)), [("a".into(), "pending")]);
        table.reported("a", FIRST, Outcome::Applied, after(1)).unwrap();
        assert_eq!(states(&mut table, after(1)), [("a".into(), "applied")]);
        table.told("a", SECOND, after(2));
        // An answer that was on its way when the next values came.
        table.reported("a", FIRST, Outcome::Refused("no".into()), after(3)).unwrap();
        assert_eq!(states(&mut table, after(3)), [("a".into(), "pending")]);
        table.reported("a", SECOND, Outcome::Refused("no".into()), after(4)).unwrap();
        let [one] = &table.list(after(4))[..] else { panic!("there is one") };
        assert_eq!(one.state, InstanceState::Refused { reason: "no".into() });
        assert_eq!((one.values, one.seen), (SECOND, after(4).calendar));
    }

    #[test]
    fn an_instance_that_has_the_values_when_it_comes_has_applied_them() {
        let mut table = Instances::default();
        table.came("a", FIRST, true, after(0)).unwrap();
        assert_eq!(states(&mut table, after(0)), [("a".into(), "applied")]);
        table.told("a", SECOND, after(1));
        assert_eq!(states(&mut table, after(1)), [("a".into(), "pending")]);
    }

    #[test]
    fn who_stops_watching_is_gone_and_then_forgotten() {
        let mut table = Instances::default();
        table.came("a", FIRST, false, after(0)).unwrap();
        // The next life of the same name comes before the end of the one before is seen.
        table.came("a", FIRST, false, after(1)).unwrap();
        table.went("a", after(2));
        assert_eq!(states(&mut table, after(2)), [("a".into(), "pending")]);
        table.went("a", after(3));
        assert_eq!(states(&mut table, after(602)), [("a".into(), "gone")]);
        assert_eq!(states(&mut table, after(603)), []);
        assert_eq!(table.watchers(), 0);
    }

    #[test]
    fn a_full_table_gives_up_who_went_first_and_nobody_who_watches() {
        let mut table = Instances::default();
        for number in 0..INSTANCES_MOST {
            table.came(&format!("{number}"), FIRST, false, after(0)).unwrap();
        }
        assert_eq!(table.came("one-more", FIRST, false, after(1)), Err(Full));
        assert_eq!(table.reported("one-more", FIRST, Outcome::Applied, after(1)), Err(Full));
        table.went("8", after(2));
        table.went("7", after(3));
        table.came("one-more", FIRST, false, after(4)).unwrap();
        let names: Vec<_> = table.list(after(4)).into_iter().map(|one| one.instance).collect();
        assert_eq!(names.len(), INSTANCES_MOST);
        assert!(!names.contains(&"8".to_owned()) && names.contains(&"7".to_owned()));
        assert_eq!(table.counts(after(4)), [INSTANCES_MOST - 1, 0, 0, 1]);
        // A name that watches already counts as one more stream.
        table.came("one-more", FIRST, false, after(5)).unwrap();
        assert_eq!(table.came("one-more", FIRST, false, after(5)), Err(Full));
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let kept = |reason: String| match Outcome::refused(reason) {
            Outcome::Refused(reason) => reason.len(),
            Outcome::Applied => panic!("it was refused"),
        };
        for (given, left) in [(1024, 1024), (1025, 1024), (0, 0)] {
            assert_eq!(kept("x".repeat(given)), left);
        }
        // Two bytes each: the 512th ends at 1,024, and one byte before it shifts that.
        assert_eq!(kept("é".repeat(600)), 1024);
        assert_eq!(kept(format!("x{}", "é".repeat(600))), 1023);
    }
}
