//! What the services say of themselves: `tandem.runtime.v1.Runtime/Snapshot`, before and after the
//! stretches that are measured (compare ).
//!
//! A side is asked where `--runtime` says, else on the port that its command knows as
//! `{port:admin}`, else where it is called. Nobody has to have the service: a side without it has
//! no version and no detail in the report, and everything that is judged is read from outside.
//! Between two blocks nothing else is sent, so a stretch is from before the first block of a process
//! until after its last one.
//!
//! Not here: what is in a snapshot (`tandem_measure::probe::runtime`).

use std::time::Duration;

use http::HeaderMap;
use tandem_gateway::upstream::direct::Direct;
use tandem_measure::probe::runtime::{Counted, PATH, Snapshot};

use super::run::{Halt, Run};
use super::side::{Settings, Side};
use crate::failure::Failure;

/// For one answer, connecting included.
const LIMIT: Duration = Duration::from_secs(2);
/// Collections from which on a figure has what they cost in it (compare P-9).
const CYCLES_LEAST: u64 = 5;

/// What is known of the primary's runtime and of the candidate's.
#[derive(Default)]
pub(crate) struct Runtimes([Told; 2]);

#[derive(Default)]
struct Told {
    counted: Counted,
    /// At the beginning of a stretch that has not ended.
    begun: Option<Snapshot>,
    last: Option<Snapshot>,
}

impl Runtimes {
    /// Sides that have counters; the others are not asked again.
    fn counting(&self) -> [bool; 2] {
        [0, 1].map(|place: usize| {
            self.0[place].last.as_ref().is_some_and(|last| last.detail.is_some())
        })
    }
}

/// Asks both sides what they are, and puts it into the evidence.
pub(crate) async fn describe(run: &mut Run) -> Result<(), Halt> {
    let (asked, wanted) = ask(run, [true; 2]).await?;
    for (place, why) in wanted {
        let named = run.ask.sides[place].name.clone();
        run.note(&format!("`--runtime {named}=…` tells nothing: {why}"));
    }
    let mut said = Vec::new();
    for (place, snapshot) in asked.into_iter().enumerate() {
        let Some(snapshot) = snapshot else { continue };
        run.runtimes.0[place].last = Some(snapshot);
        fill(run, place);
        let side = &run.evidence.sides[place];
        let toolchain = &side.build.toolchain;
        said.push(format!("{} {toolchain}", side.title()).trim().to_owned());
    }
    if !said.is_empty() {
        run.progress.done("runtimes", &said.join(", "));
    }
    Ok(())
}

/// A stretch begins: the next block is the first one of these processes.
pub(crate) async fn begin(run: &mut Run) -> Result<(), Halt> {
    let counting = run.runtimes.counting();
    let (asked, _) = ask(run, counting).await?;
    for (told, snapshot) in run.runtimes.0.iter_mut().zip(asked) {
        told.begun = snapshot;
    }
    Ok(())
}

/// It ends, if one has begun.
pub(crate) async fn end(run: &mut Run) -> Result<(), Halt> {
    if run.runtimes.0.iter().all(|told| told.begun.is_none()) {
        return Ok(());
    }
    let counting = run.runtimes.counting();
    let (asked, _) = ask(run, counting).await?;
    count(run, asked);
    Ok(())
}

/// As [`end`], where the run was interrupted: what was counted until then.
pub(crate) async fn end_early(run: &mut Run) {
    if run.runtimes.0.iter().all(|told| told.begun.is_none()) {
        return;
    }
    let one = snapshot(&run.primary, &run.settings).await.ok();
    let other = snapshot(&run.candidate, &run.settings).await.ok();
    count(run, [one, other]);
}

/// Says where too little was collected to be in the figures.
pub(crate) fn judge(run: &mut Run) {
    for place in [0, 1] {
        let side = &run.evidence.sides[place];
        if let Some(cycles) = side.runtime.gc_cycles.filter(|cycles| *cycles < CYCLES_LEAST) {
            let times = match cycles {
                0 => "not once".to_owned(),
                1 => "once".to_owned(),
                more => format!("{more} times"),
            };
            let text = format!(
                "`{}` collected {times} in its measured blocks: what collections cost is hardly in \
                 its figures; send more, or for longer",
                side.name
            );
            run.note(&text);
        }
    }
}

fn count(run: &mut Run, asked: [Option<Snapshot>; 2]) {
    for (place, after) in asked.into_iter().enumerate() {
        let told = &mut run.runtimes.0[place];
        if let (Some(before), Some(after)) = (told.begun.take(), after) {
            told.counted.add(&before, &after);
            told.last = Some(after);
            fill(run, place);
        }
    }
}

fn fill(run: &mut Run, place: usize) {
    let Told { counted, last, begun: _ } = &run.runtimes.0[place];
    let Some(last) = last else { return };
    let side = &mut run.evidence.sides[place];
    let told = side.runtime.parallelism;
    side.version.clone_from(&last.version);
    side.build = last.build.clone();
    side.runtime = last.runtime(counted);
    side.runtime.parallelism = side.runtime.parallelism.or(told);
}

type Asked = ([Option<Snapshot>; 2], Vec<(usize, String)>);

/// Both answers, and why there is none where somebody said where to ask.
async fn ask(run: &mut Run, whom: [bool; 2]) -> Result<Asked, Halt> {
    let (mut asked, mut wanted) = ([None, None], Vec::new());
    for place in [0, 1].into_iter().filter(|place| whom[*place]) {
        let side = [&run.primary, &run.candidate][place];
        match run.interrupt.or(snapshot(side, &run.settings)).await? {
            Ok(snapshot) => asked[place] = Some(snapshot),
            Err(why) if side.named.runtime.is_some() => wanted.push((place, why)),
            Err(_nobody_promised_one) => {}
        }
    }
    Ok((asked, wanted))
}

async fn snapshot(side: &Side, settings: &Settings) -> Result<Snapshot, String> {
    let asking = async {
        let upstream = side.runtime(settings, LIMIT).await.map_err(text)?;
        let direct = Direct::to(&upstream, &settings.tasks).await;
        let direct = direct.map_err(|error| error.to_string())?;
        let answer = direct.unary(PATH, &HeaderMap::new(), &[], LIMIT).await;
        let answer = answer.map_err(|error| error.to_string())?;
        if answer.status.code != tandem_protocol::status::Code::Ok {
            return Err(format!("{PATH} answers with {:?}", answer.status.code));
        }
        Snapshot::parse(&answer.message).map_err(str::to_owned)
    };
    tokio::time::timeout(LIMIT, asking)
        .await
        .unwrap_or_else(|_| Err("no answer in time".to_owned()))
}

fn text(failure: Failure) -> String {
    failure.why.unwrap_or(failure.what)
}
