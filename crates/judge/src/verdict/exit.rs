//! How a comparison ends, as a number for scripts (compare C-5).

/// All that can be said about the end of a run; several may hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ending {
    pub interrupted: bool,
    pub stopped: Option<Stopped>,
    pub answers_differ: bool,
    pub invalid: bool,
    /// A must-have failed, or a row is worse than in the baseline.
    pub must_failed: bool,
    pub not_enough_evidence: bool,
}

/// Why there is no verdict at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    Failed,
    Usage,
    Unreachable,
    Refused,
}

/// The number, and the one before `fail_on` was asked: of the numbers 3, 4, 5 and 8 those that are
/// not in `fail_on` become 0; `None` leaves all of them.
pub fn exit_code(ending: &Ending, fail_on: Option<&[u8]>) -> (u8, u8) {
    let Ending { interrupted, stopped, answers_differ, invalid, must_failed, not_enough_evidence } =
        *ending;
    let stopped = stopped.map(|stopped| match stopped {
        Stopped::Failed => 1,
        Stopped::Usage => 2,
        Stopped::Unreachable => 6,
        Stopped::Refused => 7,
    });
    let found = interrupted
        .then_some(130)
        .or(stopped)
        .or(answers_differ.then_some(3))
        .or(invalid.then_some(8))
        .or(must_failed.then_some(4))
        .or(not_enough_evidence.then_some(5))
        .unwrap_or(0);
    let wanted = fail_on.is_none_or(|wanted| wanted.contains(&found));
    let told = if matches!(found, 3 | 4 | 5 | 8) && !wanted { 0 } else { found };
    (told, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_c_5_each_end_has_its_number_and_the_graver_one_wins() {
        let none = Ending::default();
        // From the gravest on: each is set beside all that come after it.
        let mut all = none;
        assert_eq!(exit_code(&none, None), (0, 0));
        type End = (u8, fn(&mut Ending));
        let ends: [End; 9] = [
            (5, |ending| ending.not_enough_evidence = true),
            (4, |ending| ending.must_failed = true),
            (8, |ending| ending.invalid = true),
            (3, |ending| ending.answers_differ = true),
            (1, |ending| ending.stopped = Some(Stopped::Failed)),
            (2, |ending| ending.stopped = Some(Stopped::Usage)),
            (6, |ending| ending.stopped = Some(Stopped::Unreachable)),
            (7, |ending| ending.stopped = Some(Stopped::Refused)),
            (130, |ending| ending.interrupted = true),
        ];
        for (code, set) in ends {
            let mut alone = none;
            set(&mut alone);
            set(&mut all);
            assert_eq!(exit_code(&alone, None), (code, code), "{alone:?}");
            assert_eq!(exit_code(&all, None), (code, code), "{all:?}");
            let can_be_left_out = matches!(code, 3 | 4 | 5 | 8);
            let told = if can_be_left_out { 0 } else { code };
            assert_eq!(exit_code(&alone, Some(&[])), (told, code), "{alone:?}");
            assert_eq!(exit_code(&alone, Some(&[code])), (code, code), "{alone:?}");
        }
    }
}
