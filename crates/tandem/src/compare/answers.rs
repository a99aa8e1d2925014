//! Whether both sides answer the same: each call to primary, candidate and twin, compared.
//!
//! The three are called at the same instant, in an order that is drawn for each call, so that none
//! of them is always the one that finds the caches warm (compare N-1). In blocks of load the calls
//! of a quartet are the same in all four, so there the primary's second block is the twin of its
//! first, and one of the candidate's two is drawn.
//!
//! Not here: what a difference is and what it means (`tandem_judge::{diff, noise}`).

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tandem_config::Tnd;
use tandem_contract::Method;
use tandem_judge::diff::{Differ, RowId, Rules};
use tandem_judge::noise::{Ledger, Outcome, PathEvidence, Proposals, Samples, Settings, Source};
use tandem_judge::pair::{Loss, Reply, Trial};
use tandem_judge::report::PathLine;
use tandem_judge::stats::draws::Draws;
use tandem_measure::load::Call;
use tandem_transcode::Plans;

use super::ask::Noise;
use super::rules::PathRule;
use super::wire::{KeptReply, Wire};
use crate::failure::{Exit, Failure};

/// What the answers of all methods have shown so far.
pub(crate) struct Answers {
    methods: Vec<OfMethod>,
    source: Source,
    /// Of the primary: anything but OK.
    failed: u64,
    /// Of the primary: nobody answered, so there was nothing to compare with.
    lost: u64,
    /// Of streams: only the shorter prefix of the two was compared.
    cut: u64,
}

struct OfMethod {
    name: String,
    differ: Differ,
    ledger: Ledger,
    samples: Samples,
    proposals: Proposals,
}

impl Answers {
    /// For `methods`, under the rules that fit them.
    ///
    /// # Errors
    /// A rule that fits none of them.
    pub(crate) fn new(
        plans: &Arc<Plans>,
        methods: &[Method],
        rules: &[PathRule],
        noise: Noise,
        seed: u64,
    ) -> Result<Answers, Failure> {
        let source = match noise {
            Noise::Twin => Source::Twin,
            Noise::Twice => Source::Twice,
            Noise::Rules => Source::Rules,
        };
        let fits = |rule: &PathRule, method: &Method| {
            Differ::new(Arc::clone(plans), method.output, rule.add(Rules::new()))
        };
        for rule in rules {
            let tried: Vec<_> = methods.iter().map(|method| fits(rule, method)).collect();
            if tried.iter().all(Result::is_err) {
                let why = tried.into_iter().find_map(Result::err).unwrap_or_default();
                let why: Vec<String> = why.iter().map(ToString::to_string).collect();
                return Err(Failure::new(
                    Exit::Usage,
                    format!("`{} {}` fits no answer", rule.at, rule.path),
                )
                .coded(Tnd::UnknownKey)
                .at(&rule.at)
                .because(why.join("; "))
                .fix("name fields with dots, as the contract has them: `products.price`"));
            }
        }
        let of_method = |method: &Method| {
            let fitting = rules.iter().filter(|rule| fits(rule, method).is_ok());
            let all = fitting.fold(Rules::new(), |all, rule| rule.add(all));
            let differ = Differ::new(Arc::clone(plans), method.output, all)
                .map_err(|faults| conflict(&faults))?;
            let ledger = Ledger::new(&differ, source, Settings::default());
            let name = method.full_name().to_owned();
            let (samples, proposals) = (Samples::new(seed), Proposals::default());
            Ok(OfMethod { name, differ, ledger, samples, proposals })
        };
        let methods = methods.iter().map(of_method).collect::<Result<_, Failure>>()?;
        Ok(Answers { methods, source, failed: 0, lost: 0, cut: 0 })
    }

    /// Takes in the answers to one call. Without the twin's it counts only where noise is declared
    /// and not learned.
    pub(crate) fn observe(
        &mut self,
        method: usize,
        primary: &KeptReply,
        candidate: &KeptReply,
        twin: Option<&KeptReply>,
    ) {
        let OfMethod { differ, ledger, samples, proposals, .. } = &mut self.methods[method];
        self.failed += u64::from(primary.is_failed());
        // A stream that was cut before its first message, although there was one: as one that
        // timed out.
        let late = KeptReply::Lost(Loss::TimedOut);
        let in_time = |other| if KeptReply::is_late_beside(other, primary) { &late } else { other };
        let (candidate, twin) = (in_time(candidate), twin.map(in_time));
        // Of which pair only a prefix is known is a matter of the two, so the other one carries it.
        let cut = |other: &KeptReply| other.is_cut_beside(primary);
        let seen = primary.judged(false, |primary| {
            let Reply::Answered(primary) = primary else { return None };
            candidate.judged(cut(candidate), |candidate| {
                let Some(twin) = twin else {
                    let trial = Trial { primary, candidate, twin: None };
                    return Some(ledger.observe(differ, &trial).0);
                };
                twin.judged(cut(twin), |twin| {
                    let trial = Trial { primary, candidate, twin: Some(twin) };
                    let (seen, of_twin) = ledger.observe(differ, &trial);
                    if let (Reply::Answered(twin), Some(Outcome::Compared(diff))) = (twin, of_twin)
                    {
                        // Whose call it was is in no answer of a comparison.
                        proposals.observe(differ, (&primary, &twin), &diff, "");
                    }
                    Some(seen)
                })
            })
        });
        match seen {
            None => self.lost += 1,
            Some(Outcome::Compared(diff)) => {
                self.cut += u64::from(diff.cut);
                samples.offer(&diff);
            }
            Some(Outcome::Lost(_)) => {}
        }
    }

    /// Full names of the methods, in their order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.methods.iter().map(|method| &method.name)
    }

    pub(crate) fn source(&self) -> Source {
        self.source
    }

    pub(crate) fn calls(&self) -> u64 {
        self.methods.iter().map(|method| method.ledger.calls()).sum()
    }

    pub(crate) fn critical(&self) -> u64 {
        self.methods.iter().map(|method| method.ledger.critical()).sum()
    }

    /// Calls that the primary answered with anything but OK, and those it did not answer.
    pub(crate) fn failed(&self) -> (u64, u64) {
        (self.failed, self.lost)
    }

    /// Calls of which only the shorter prefix of the two answers was compared (compare J-9).
    pub(crate) fn cut(&self) -> u64 {
        self.cut
    }

    /// Copies that were sent and not answered, by reason: the candidate's, the twin's.
    pub(crate) fn lost(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for (loss, (candidate, twin)) in self.methods.iter().flat_map(|it| it.ledger.lost()) {
            *all.entry(format!("candidate {loss:?}")).or_default() += candidate;
            *all.entry(format!("twin {loss:?}")).or_default() += twin;
        }
        all.retain(|_, count| *count > 0);
        all
    }

    /// All paths, with the method in front where there are several; `now_s` is the time since
    /// 1970, for guesses at what noise is.
    pub(crate) fn paths(&self, now_s: u64) -> (Vec<PathEvidence>, Vec<PathLine>) {
        let several = self.methods.len() > 1;
        let mut all = (Vec::new(), Vec::new());
        for method in &self.methods {
            let OfMethod { name, differ, ledger, samples, proposals } = method;
            let proposed = proposals.of(differ, now_s);
            for row in (0..differ.rows().len() as u32).map(RowId) {
                let Some(mut evidence) = ledger.evidence(row) else { continue };
                let path = evidence.path.clone();
                if several {
                    let (_, method) = name.rsplit_once('/').unwrap_or(("", name));
                    evidence.path = format!("{method}: {path}");
                }
                let line = PathLine {
                    proposed_rule: proposed.get(&row).map(|proposal| proposal.line(&path)),
                    ..PathLine::new(&evidence, samples.of(row))
                };
                all.0.push(evidence);
                all.1.push(line);
            }
        }
        all
    }
}

fn conflict(faults: &[tandem_judge::diff::RuleFault]) -> Failure {
    let why: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Failure::new(Exit::Usage, "the rules for answers contradict each other").because(why.join("; "))
}

/// A call under way.
type Asked<'w> = Pin<Box<dyn Future<Output = KeptReply> + 'w>>;

/// The answers of several sides to some calls: those to one call are sent at the same instant, in
/// an order that is drawn for it. By call, then by side.
pub(crate) async fn at_once(
    wires: &[&Wire],
    calls: &[&Call],
    draws: &mut Draws,
) -> Vec<Vec<KeptReply>> {
    let mut waiting: Vec<(usize, usize, Asked<'_>)> = Vec::new();
    for (place, call) in calls.iter().enumerate() {
        let mut order: Vec<usize> = (0..wires.len()).collect();
        for place in (1..order.len()).rev() {
            order.swap(place, draws.below(place + 1));
        }
        let asked =
            order.into_iter().map(|side| (place, side, Box::pin(wires[side].one(call)) as _));
        waiting.extend(asked);
    }
    let mut replies: Vec<Vec<Option<KeptReply>>> = vec![vec![None; wires.len()]; calls.len()];
    // A call leaves when it is first polled, so the order of polls is that of sending.
    std::future::poll_fn(|cx| {
        waiting.retain_mut(|(place, side, answer)| match answer.as_mut().poll(cx) {
            Poll::Ready(reply) => {
                replies[*place][*side] = Some(reply);
                false
            }
            Poll::Pending => true,
        });
        if waiting.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    replies.into_iter().map(|of_call| of_call.into_iter().flatten().collect()).collect()
}
