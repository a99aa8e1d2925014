//! `tandem compare`: two implementations of the same methods, measured against each other.
//!
//! The order is fixed (compare C-1): both contracts are the same → what the generator can do alone
//! → two processes of the primary, for the noise floor → some calls for answers → warm-up →
//! quartets → capacity, if asked → pauses → the verdict. Whatever ends a run early, what it has is
//! a report, marked as partial. All of it happens on one thread, the generator's own, so that
//! nothing runs while a block is sent.
//!
//! Rooms: what was asked (`ask`, `rules`, `plan`), whom (`target`, `process`, `side`, `contract`), what is sent
//! (`requests`, `wire`, `blocks`, `quartets`), what is found (`answers`, `runtime`, `rubric`, `evidence`), and how it is
//! told (`document`, `figures`, `report`, `progress`).
//!
//! Not here: what figures mean (`tandem_judge`), clocks and counters (`tandem_measure`).

mod answers;
pub(crate) mod ask;
mod baseline;
mod blocks;
mod calibrate;
mod capacity;
mod contract;
mod document;
mod evidence;
mod figures;
mod interrupt;
mod pauses;
mod plan;
mod process;
mod progress;
mod quartets;
mod redact;
mod report;
mod requests;
pub(crate) mod rubric;
pub(crate) mod rules;
mod run;
mod runtime;
mod side;
pub(crate) mod target;
mod wire;

use tandem_config::Tnd;
use tandem_measure::load::on_own_thread;

use self::ask::{Ask, Cores};
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

/// Which cores whom belong to in this run; empty for anywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) generator: Vec<usize>,
    pub(crate) services: Vec<usize>,
    /// Those that this process may use, for what is done when the load is over.
    pub(crate) all: Vec<usize>,
}

impl Layout {
    /// The first core for the generator and the second for the sides, where there are two and
    /// nobody says otherwise (compare I-3).
    fn of(cores: &Cores, allowed: &[usize]) -> Layout {
        let (generator, services) = match (cores, allowed) {
            (Cores::Given { generator, services }, _) => (generator.clone(), services.clone()),
            (Cores::Usual, [first, second, ..]) => (vec![*first], vec![*second]),
            (Cores::Usual | Cores::Free, _) => Default::default(),
        };
        Layout { generator, services, all: allowed.to_vec() }
    }
}

/// Runs the comparison, or says what it would do.
///
/// # Errors
/// Before anything was measured: what is wrong with the sides, or with what was asked.
pub(crate) fn run(ask: Ask, form: Form) -> Result<Exit, Failure> {
    if let Some(side) = ask.sides.iter().find(|side| side.is_remote() && !ask.yes_remote) {
        return Err(Failure::new(Exit::Usage, format!("`{}` is not on this machine", side.name))
            .coded(Tnd::RemoteTarget)
            .at(side.flag)
            .because("a comparison sends load to it, as much as it is asked for")
            .fix("give `--yes-remote` where the load is welcome"));
    }
    if ask.plan_only {
        output::data(&plan::text(&ask, form));
        return Ok(Exit::Fine);
    }
    let layout = Layout::of(&ask.cores, &tandem_gateway::net::allowed_cores());
    let failed = |why: String| Failure::new(Exit::Failed, "the generator stopped").because(why);
    let cores = layout.generator.clone();
    let thread = on_own_thread(&cores, move || run::run(ask, layout, form))
        .map_err(|error| failed(error.to_string()))?;
    match thread.join() {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Err(failed(error.to_string()).at("--cpus")),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_i_3_the_generator_has_a_core_of_its_own_where_there_are_two() {
        let layout =
            |generator: &[usize], services: &[usize]| (generator.to_vec(), services.to_vec());
        let given = Cores::Given { generator: vec![3], services: vec![1, 2] };
        for (cores, allowed, expected) in [
            (&Cores::Usual, &[0, 1][..], layout(&[0], &[1])),
            (&Cores::Usual, &[2, 5, 6], layout(&[2], &[5])),
            (&Cores::Usual, &[0], layout(&[], &[])),
            (&Cores::Free, &[0, 1], layout(&[], &[])),
            (&given, &[0, 1], layout(&[3], &[1, 2])),
        ] {
            let Layout { generator, services, all } = Layout::of(cores, allowed);
            assert_eq!((generator, services), expected, "{cores:?} {allowed:?}");
            assert_eq!(all, allowed);
        }
    }
}
