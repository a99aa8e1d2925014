//! `tandem compare`: two implementations of the same methods, measured against each other.
//!
//! The order is fixed (compare C-1): both contracts are the same → what the generator can do alone
//! → two processes of the primary, for the noise floor → some calls for answers → warm-up →
//! quartets → capacity, if asked → pauses → the verdict. Whatever ends a run early, what it has is
//! a report, marked as partial. All of it happens on one thread, the generator's own, so that
//! nothing runs while a block is sent.
//!
//! Rooms: what was asked (`ask`, `rules`, `plan`), whom (`target`, `configured`, `process`, `side`,
//! `contract`, `meter`), what is sent (`requests`, `corpus`, `streams`, `wire`, `blocks`,
//! `quartets`), what is found (`answers`, `runtime`, `rubric`, `evidence`), and how it is told
//! (`document`, `figures`, `report`, `progress`).
//!
//! Not here: what figures mean (`tandem_judge`), clocks and counters (`tandem_measure`).

mod answers;
pub(crate) mod ask;
mod baseline;
mod blocks;
mod calibrate;
mod capacity;
mod configured;
mod contract;
pub(crate) mod corpus;
mod document;
mod ending;
mod evidence;
mod figures;
mod interrupt;
mod meter;
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
pub(crate) mod streams;
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
    /// Of the primary and of the other one, where both are called at the same time.
    pub(crate) each: Option<[Vec<usize>; 2]>,
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
        Layout { generator, services, each: None, all: allowed.to_vec() }
    }

    /// For both sides at once: a core for the generator, one to spare for the rest of the machine,
    /// and for each side as many as for the other, none of them in common (compare I-3).
    ///
    /// # Errors
    /// There are too few.
    fn duet(cores: &Cores, allowed: &[usize]) -> Result<Layout, Failure> {
        let failed = |why: String, fix: &str| {
            Failure::new(Exit::Usage, "both sides cannot be called at once here")
                .at("--duet")
                .because(why)
                .fix(fix)
        };
        const LEAVE: &str = "leave `--duet` out: blocks of the two sides take turns";
        if allowed.len() < DUET_CORES_LEAST {
            let count = allowed.len();
            let why = format!(
                "it takes {DUET_CORES_LEAST} cores, one each for the generator, the primary, the \
                 candidate and the rest of the machine, and this process may use {count}"
            );
            return Err(failed(why, LEAVE));
        }
        let (generator, services) = match cores {
            Cores::Usual => (vec![allowed[0]], allowed[2..4].to_vec()),
            Cores::Given { generator, services } => (generator.clone(), services.clone()),
            Cores::Free => {
                return Err(failed("`--cpus none` gives nobody a core of its own".into(), LEAVE));
            }
        };
        const RIGHT: &str = "write `--cpus gen=0,svc=2-3`, and leave a core out";
        let is_used = |core: &usize| generator.contains(core) || services.contains(core);
        let own = generator.iter().all(|core| !services.contains(core));
        if !own || services.len() < 2 || services.len() % 2 == 1 {
            let why = "`svc` is an even number of cores, none of which is in `gen`";
            return Err(failed(why.into(), RIGHT));
        }
        if allowed.iter().all(is_used) {
            return Err(failed("no core is left for the rest of the machine".into(), RIGHT));
        }
        let (primary, other) = services.split_at(services.len() / 2);
        let each = Some([primary.to_vec(), other.to_vec()]);
        Ok(Layout { generator, services, each, all: allowed.to_vec() })
    }
}

/// Cores below which both sides are not called at once.
const DUET_CORES_LEAST: usize = 4;

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
    let allowed = tandem_gateway::net::allowed_cores();
    let layout = match ask.duet {
        true => Layout::duet(&ask.cores, &allowed)?,
        false => Layout::of(&ask.cores, &allowed),
    };
    if let Some(side) = ask.sides.iter().find(|side| ask.duet && !side.is_started()) {
        let why = format!("`{}` runs already, and is not moved to cores of its own", side.name);
        return Err(Failure::new(Exit::Usage, "both sides cannot be called at once here")
            .at("--duet")
            .because(why)
            .fix("let both be started: `NAME=exec:\"CMD --port {port}\"`"));
    }
    if ask.plan_only {
        output::data(&plan::text(&ask, form));
        return Ok(Exit::Fine);
    }
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
            let Layout { generator, services, each: _, all } = Layout::of(cores, allowed);
            assert_eq!((generator, services), expected, "{cores:?} {allowed:?}");
            assert_eq!(all, allowed);
        }
    }

    #[test]
    fn compare_i_3_both_at_once_have_disjoint_cores_and_leave_one_to_the_machine() {
        let given = |generator: &[usize], services: &[usize]| Cores::Given {
            generator: generator.to_vec(),
            services: services.to_vec(),
        };
        for (cores, allowed, expected) in [
            (Cores::Usual, &[0, 1, 2, 3][..], Some((0, [&[2][..], &[3]]))),
            (Cores::Usual, &[4, 5, 8, 9, 10], Some((4, [&[8], &[9]]))),
            (given(&[0], &[1, 2, 3, 4]), &[0, 1, 2, 3, 4, 5], Some((0, [&[1, 2], &[3, 4]]))),
            (Cores::Usual, &[0, 1, 2], None),
            (Cores::Free, &[0, 1, 2, 3], None),
            (given(&[0], &[1, 2, 3]), &[0, 1, 2, 3, 4], None),
            (given(&[0], &[0, 1]), &[0, 1, 2, 3], None),
            (given(&[0], &[1]), &[0, 1, 2, 3], None),
            (given(&[0, 1], &[2, 3]), &[0, 1, 2, 3], None),
        ] {
            let found = Layout::duet(&cores, allowed).ok();
            let found = found.map(|found| (found.generator[0], found.each.unwrap()));
            let expected = expected.map(|(generator, each)| (generator, each.map(<[_]>::to_vec)));
            assert_eq!(found, expected, "{cores:?} {allowed:?}");
        }
        let failure = Layout::duet(&Cores::Usual, &[0, 1]).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.text().contains("takes 4 cores"), "{}", failure.text());
        assert!(failure.text().contains("may use 2"), "{}", failure.text());
    }
}
