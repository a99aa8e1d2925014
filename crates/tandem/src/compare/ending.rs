//! How a run ends for scripts: from the verdict, and from what stopped it, to an exit code
//! (compare C-5).
//!
//! Not here: which number wins where several hold (`tandem_judge::verdict`).

use tandem_judge::verdict::{Ending, Stopped, Verdict, Word, exit_code};

use super::run::Halt;
use crate::failure::Exit;

/// What was found beside the verdict.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Beside {
    /// A row is worse than in the baseline.
    pub(crate) has_regressed: bool,
    /// A must-have was neither kept nor broken.
    pub(crate) unproven: bool,
}

/// The exit, and the number that it would be without `--fail-on`.
pub(crate) fn exit(
    verdict: &Verdict,
    beside: Beside,
    halt: Option<&Halt>,
    fail_on: Option<&[u8]>,
) -> (Exit, u8) {
    let (interrupted, stopped) = match halt {
        None => (false, None),
        Some(Halt::Interrupted) => (true, None),
        Some(Halt::Failed(failure)) => (false, Some(stopped(failure.exit))),
    };
    let ending = Ending {
        interrupted,
        stopped,
        answers_differ: verdict.word == Word::AnswersDiffer || !verdict.differing.is_empty(),
        invalid: !verdict.invalid.is_empty(),
        must_failed: !verdict.failed.is_empty() || beside.has_regressed,
        not_enough_evidence: verdict.word == Word::NotEnoughEvidence || beside.unproven,
    };
    let (told, found) = exit_code(&ending, fail_on);
    (exit_of(told), found)
}

fn stopped(exit: Exit) -> Stopped {
    match exit {
        Exit::Usage => Stopped::Usage,
        Exit::Unreachable => Stopped::Unreachable,
        Exit::Refused => Stopped::Refused,
        Exit::Fine
        | Exit::Failed
        | Exit::Different
        | Exit::Gate
        | Exit::NotEnough
        | Exit::Invalid
        | Exit::Interrupted => Stopped::Failed,
    }
}

fn exit_of(code: u8) -> Exit {
    match code {
        0 => Exit::Fine,
        2 => Exit::Usage,
        3 => Exit::Different,
        4 => Exit::Gate,
        5 => Exit::NotEnough,
        6 => Exit::Unreachable,
        7 => Exit::Refused,
        8 => Exit::Invalid,
        130 => Exit::Interrupted,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use tandem_judge::verdict::{self, Cell, Evidence, MustResult, Row, Value};

    use super::*;
    use crate::failure::Failure;

    /// All that an end may follow from.
    #[derive(Default)]
    struct Found {
        invalid: Vec<String>,
        critical: u64,
        must: Vec<MustResult>,
        cell: Option<Cell>,
        beside: Beside,
        halt: Option<Halt>,
    }

    impl Found {
        fn must(&mut self, value: Value) {
            self.must.push(MustResult { text: "p99<=20ms".into(), value });
        }

        fn code(&self, fail_on: Option<&[u8]>) -> (i32, u8) {
            let row = Row {
                id: "cpu".into(),
                ratio: 1.5,
                interval: Some((1.4, 1.6)),
                cell: self.cell.unwrap_or(Cell::Worse),
                counts: true,
                headline: true,
                p_holm: None,
                settling: None,
            };
            let verdict = verdict::verdict(&Evidence {
                invalid: &self.invalid,
                answers: &[],
                critical: self.critical,
                must: (&self.must, &[]),
                rows: &[row],
            });
            let (exit, found) = exit(&verdict, self.beside, self.halt.as_ref(), fail_on);
            (exit as i32, found)
        }
    }

    type Cause = (u8, fn(&mut Found));

    /// From the mildest on. Of causes with one number each stands alone; those that exclude each
    /// other come last and replace the one before.
    const CAUSES: [Cause; 12] = [
        (5, |found| found.cell = Some(Cell::Unknown)),
        (5, |found| found.beside.unproven = true),
        (4, |found| found.must(Value::Fail)),
        (4, |found| found.beside.has_regressed = true),
        (8, |found| found.invalid.push("3 of 4 quartets are void".into())),
        (3, |found| found.critical = 1),
        (1, |found| found.halt = Some(Halt::Failed(Failure::new(Exit::Failed, "no timer")))),
        (2, |found| found.halt = Some(Halt::Failed(Failure::new(Exit::Usage, "no plan")))),
        (6, |found| found.halt = Some(Halt::Failed(Failure::new(Exit::Unreachable, "gone")))),
        (7, |found| found.halt = Some(Halt::Failed(Failure::new(Exit::Refused, "not yours")))),
        // As a failure of any other kind in the middle of a run.
        (1, |found| found.halt = Some(Halt::Failed(Failure::new(Exit::Gate, "odd")))),
        (130, |found| found.halt = Some(Halt::Interrupted)),
    ];

    #[test]
    fn compare_t_18_each_exit_is_there_alone_and_wins_over_all_milder_ones() {
        let mut all = Found::default();
        assert_eq!(all.code(None), (0, 0));
        for (code, cause) in CAUSES {
            let mut alone = Found::default();
            cause(&mut alone);
            cause(&mut all);
            assert_eq!(alone.code(None), (i32::from(code), code));
            assert_eq!(all.code(None), (i32::from(code), code));
            // Left out, it is 0, and with it all that are milder; only these can be.
            let told = if matches!(code, 3 | 4 | 5 | 8) { 0 } else { i32::from(code) };
            for (found, fail_on) in [(&alone, &[][..]), (&all, &[])] {
                assert_eq!(found.code(Some(fail_on)), (told, code));
            }
            assert_eq!(all.code(Some(&[code])), (i32::from(code), code));
        }
    }

    #[test]
    fn compare_c_5_a_verdict_that_was_reached_is_0_whatever_it_is() {
        for cell in [Cell::Better, Cell::Worse, Cell::Same] {
            assert_eq!(Found { cell: Some(cell), ..Found::default() }.code(None), (0, 0));
        }
        // A must-have that is kept says nothing more.
        let mut kept = Found::default();
        kept.must(Value::Pass);
        assert_eq!(kept.code(None), (0, 0));
    }
}
