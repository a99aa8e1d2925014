//! Live pairs as people and programs read them: figures of the moment, a verdict with what it
//! rests on, differences, noise.
//!
//! The verdict is a document of the schema `tandem.compare/v1`, as that of a measured comparison,
//! so that what was predicted can be held against what came (compare §11). What is not known is
//! null or left out, never zero.
//!
//! Not here: judging (`tandem_judge::live`), who may look (`crate::admin`).

mod cost;
mod document;

use std::time::SystemTime;

use serde_json::{Value, json};
use tandem_gateway::{Lane, MethodPairs, UpstreamCost};
use tandem_judge::diff::What;
use tandem_judge::live::{self, Cpu, Judged, Open, Seen};
use tandem_judge::noise::{Class, PathEvidence, Proposal, Sample, Settings, Source};
use tandem_judge::pair::Loss;
use tandem_judge::stats::ranks::{Quantile, Shown};

use self::cost::LaneCost;
pub(crate) use self::document::document;

/// A pair with what follows from it at this moment.
pub(crate) struct Pair {
    pub(crate) pairs: MethodPairs,
    pub(crate) judged: Judged,
    /// Of the primary, the candidate and the twin, where their upstreams name a `cost`.
    costs: [Option<LaneCost>; 3],
    /// Since the evidence began.
    pub(crate) seconds: f64,
    /// Pairs a second at present.
    pub(crate) per_second: Option<f64>,
}

impl Pair {
    /// Judges `pairs` at `now`; `extra_most` is the rate of extra differences that is as good as
    /// none, where the team wrote one.
    /// `costs` are the readings of all upstreams.
    pub(crate) fn new(
        pairs: MethodPairs,
        extra_most: Option<f64>,
        costs: &[UpstreamCost],
        now: SystemTime,
    ) -> Pair {
        let seconds = now.duration_since(pairs.since).unwrap_or_default().as_secs_f64();
        let per_second = pairs.per_second;
        let settings = Settings::default();
        let extra_most = extra_most.unwrap_or(settings.extra_most);
        let lane = |lane| lane_of(lane);
        let lanes = &pairs.lanes;
        let twin = lanes.twin.as_ref();
        let costs = [Some(&lanes.primary), Some(&lanes.candidate), twin]
            .map(|lane| LaneCost::of(costs, &pairs.namespace, &lane?.upstream));
        let [of_primary, of_candidate, _] = &costs;
        let both = of_primary.as_ref().zip(of_candidate.as_ref());
        let logs = both.map(|(primary, candidate)| cost::logs(primary, candidate));
        let judged = live::judge(&Seen {
            source: pairs.source,
            settings: Settings { extra_most, ..settings },
            paths: &pairs.paths,
            rows: pairs.rows,
            critical: pairs.critical,
            pairs: pairs.calls,
            pairs_per_s: per_second,
            primary: lane(&pairs.lanes.primary),
            candidate: lane(&pairs.lanes.candidate),
            twin: pairs.lanes.twin.as_ref().map(lane),
            cpu: both.zip(logs.as_ref()).map(|((primary, candidate), logs)| Cpu {
                per_call_s: (primary.per_call_s, candidate.per_call_s),
                calls: (primary.calls, candidate.calls),
                logs,
            }),
        });
        Pair { pairs, judged, costs, seconds, per_second }
    }

    /// What moves, in little: sent each second.
    pub(crate) fn figures(&self) -> Value {
        let Pair { pairs, judged, costs, seconds, per_second } = self;
        let of = |wanted: &dyn Fn(&PathEvidence) -> bool| {
            pairs.paths.iter().filter(|path| wanted(path)).count()
        };
        let lanes: Vec<Value> = [("primary", Some(&pairs.lanes.primary))]
            .into_iter()
            .chain([
                ("candidate", Some(&pairs.lanes.candidate)),
                ("twin", pairs.lanes.twin.as_ref()),
            ])
            .zip(costs)
            .filter_map(|((role, lane), cost)| {
                lane.map(|lane| lane_json(role, lane, cost.as_ref()))
            })
            .collect();
        json!({
            "namespace": pairs.namespace,
            "method": pairs.method,
            "primary": pairs.primary,
            "candidate": pairs.candidate,
            "twin": pairs.twin,
            "noise": source(pairs.source),
            "since": since(pairs.since),
            "seconds": seconds,
            "pairs": pairs.calls,
            "pairs_per_second": per_second,
            "critical": pairs.critical,
            "sampled_after_cache": pairs.sampled_after_cache,
            "classes": {
                "worse": of(&|path| path.class.is_worse()),
                "noise": of(&|path| matches!(path.class, Class::NoisyEqual | Class::Masked)),
                "identical": of(&|path| path.class == Class::Identical),
                "unknown": of(&|path| path.class == Class::Unknown),
            },
            // The path that differs most; a pair may differ in several, so the sum would be more.
            "differing": self.differing(),
            "lost": self.lost(),
            "dropped": self.dropped(),
            "lanes": lanes,
            "word": judged.verdict.word,
            "evidence": judged.evidence,
        })
    }

    /// The share of pairs in which only the candidate differs, in the path where it is largest.
    fn differing(&self) -> Option<f64> {
        let counted = self.pairs.paths.iter().filter(|path| path.calls > 0);
        let shares = counted.map(|path| path.candidate_only as f64 / path.calls as f64);
        shares.reduce(f64::max)
    }

    fn lost(&self) -> Value {
        let lost = self.pairs.lost.iter().map(|(loss, (candidate, twin))| {
            let name = match loss {
                Loss::TimedOut => "timed_out",
                Loss::Reset => "reset",
                Loss::TooLarge => "too_large",
                Loss::Unreachable => "unreachable",
            };
            (name.to_owned(), json!({ "candidate": candidate, "twin": twin }))
        });
        Value::Object(lost.collect())
    }

    fn dropped(&self) -> Value {
        let dropped = self.pairs.dropped.iter();
        Value::Object(dropped.map(|(why, count)| (why.label().to_owned(), json!(count))).collect())
    }

    /// The verdict with what is known and what is open, and the document that it follows from.
    pub(crate) fn verdict(&self, with_samples: bool) -> Value {
        let mut shown = self.figures();
        shown["sentence"] = json!(self.judged.sentence);
        shown["known"] = json!(self.judged.known);
        shown["open"] = self.judged.open.iter().map(open_json).collect();
        shown["document"] = json!(document(self, with_samples));
        shown
    }

    /// Every path that has differed, what speaks against the candidate first; of each at most
    /// `samples` pairs of values.
    pub(crate) fn differences(&self, only: Option<&str>, samples: usize) -> Value {
        let pairs = &self.pairs;
        let mut groups: Vec<&PathEvidence> = pairs
            .paths
            .iter()
            .filter(|path| path.candidate_only + path.twin_only + path.both + path.critical > 0)
            .filter(|path| only.is_none_or(|only| is_at_or_below(&path.path, only)))
            .collect();
        groups.sort_by_key(|path| {
            let weight = match path.class {
                Class::DifferentAlways => 0,
                Class::Worse => 1,
                Class::Unknown => 2,
                Class::Masked | Class::NoisyEqual | Class::Identical => 3,
            };
            (path.critical == 0, weight, std::cmp::Reverse(path.candidate_only))
        });
        let shown: Vec<Value> = groups.iter().map(|path| self.group(path, samples)).collect();
        json!({
            "namespace": pairs.namespace,
            "method": pairs.method,
            "primary": pairs.primary,
            "candidate": pairs.candidate,
            "noise": source(pairs.source),
            "pairs": pairs.calls,
            "critical": pairs.critical,
            "paths": shown,
        })
    }

    fn group(&self, evidence: &PathEvidence, samples: usize) -> Value {
        let place = self.pairs.paths.iter().position(|path| path.path == evidence.path);
        let row = place.and_then(|place| u32::try_from(place).ok());
        let lines: Vec<Value> = self
            .pairs
            .differences
            .iter()
            .filter(|(_, line)| Some(line.row.0) == row)
            .map(|(path, line)| {
                let what: Vec<&str> = line.what.iter().map(|what| what_name(*what)).collect();
                json!({ "path": path, "count": line.count, "what": what })
            })
            .collect();
        let samples: Vec<Value> = self
            .samples_of(&evidence.path)
            .take(samples)
            .map(|sample| {
                json!({
                    "place": sample.place,
                    "what": what_name(sample.what),
                    "primary": sample.primary,
                    "candidate": sample.other,
                })
            })
            .collect();
        let mut shown = path_json(evidence);
        self.add_proposed(&mut shown, &evidence.path);
        shown["lines"] = json!(lines);
        shown["samples"] = json!(samples);
        shown
    }

    /// Samples of one tested path.
    fn samples_of<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.pairs.samples.iter().filter(move |sample| self.row_of(&sample.place) == Some(path))
    }

    /// The tested path that a place of one pair belongs to: the longest that leads there.
    fn row_of(&self, place: &str) -> Option<&str> {
        let template = template(place);
        let leads = self.pairs.paths.iter().filter(|row| is_at_or_below(&template, &row.path));
        leads.max_by_key(|row| row.path.len()).map(|row| &*row.path)
    }

    fn proposed(&self, path: &str) -> Option<&Proposal> {
        self.pairs.proposals.get(path)
    }

    /// What its values look like, and the rule that somebody may make of it.
    fn add_proposed(&self, shown: &mut Value, path: &str) {
        let proposed = self.proposed(path);
        shown["why"] = match proposed {
            Some(Proposal::Ignore(why)) => json!(why.text()),
            Some(Proposal::Tolerance(_) | Proposal::Unordered | Proposal::Keyed(_)) | None => {
                Value::Null
            }
        };
        shown["proposed"] = proposed.map_or(Value::Null, |proposal| {
            json!({
                "as": proposal.says(),
                "rule": proposal.rule(path),
                "why": proposal.why(),
            })
        });
    }

    /// What was learned of noise, and what is declared to be none of our business.
    pub(crate) fn noise(&self, ignored: &[String]) -> Value {
        let seen = |path: &&PathEvidence| path.twin_only + path.both > 0;
        let learned: Vec<Value> = self
            .pairs
            .paths
            .iter()
            .filter(|path| seen(path) || self.proposed(&path.path).is_some())
            .map(|path| {
                let mut shown = path_json(path);
                self.add_proposed(&mut shown, &path.path);
                // It looks like noise and never was: the twin's values are the primary's.
                shown["flagged"] = json!(!seen(&path) && !shown["why"].is_null());
                shown
            })
            .collect();
        json!({
            "namespace": self.pairs.namespace,
            "method": self.pairs.method,
            "noise": source(self.pairs.source),
            "pairs": self.pairs.calls,
            "learned": learned,
            "ignored": ignored,
        })
    }
}

fn path_json(evidence: &PathEvidence) -> Value {
    let PathEvidence {
        path,
        class,
        candidate_only,
        twin_only,
        both,
        calls,
        e_value,
        bound,
        critical,
    } = evidence;
    json!({
        "path": path,
        "class": class,
        "candidate_only": candidate_only,
        "twin_only": twin_only,
        "both": both,
        "pairs": calls,
        "e_value": e_value.min(f64::MAX),
        "bound": bound,
        "critical": critical,
    })
}

fn open_json(open: &Open) -> Value {
    let Open { id, what, pairs, seconds } = open;
    json!({ "id": id, "what": what, "pairs": pairs, "seconds": seconds })
}

fn lane_of(lane: &Lane) -> live::Lane<'_> {
    let Lane { upstream, calls, errors, latency_us } = lane;
    live::Lane { name: upstream, calls: *calls, errors: *errors, latency_us }
}

fn lane_json(role: &str, lane: &Lane, cost: Option<&LaneCost>) -> Value {
    let quantile = |part| {
        let found = live::quantile(&lane_of(lane), part);
        // Too few values beyond it say nothing (compare I-10).
        found.filter(|found| found.shown != Shown::No || part <= 0.5).map(|found| {
            let Quantile { value, interval, count, shown } = found;
            let seconds = |micros: u64| micros as f64 * 1e-6;
            json!({
                "value_s": seconds(value),
                "interval": interval.map(|(low, high)| [seconds(low), seconds(high)]),
                "n": count,
                "dimmed": shown != Shown::Yes,
            })
        })
    };
    json!({
        "role": role,
        "upstream": lane.upstream,
        "calls": lane.calls,
        "errors": lane.errors,
        "p50": quantile(0.5),
        "p99": quantile(0.99),
        "cpu_s": cost.and_then(|cost| cost.per_call_s),
        "idle_cpu": cost.and_then(|cost| cost.idle),
        "memory_bytes": cost.and_then(|cost| cost.memory_bytes),
    })
}

/// `twin`, `twice` or `rules`, as in the document.
pub(crate) fn source(source: Source) -> &'static str {
    match source {
        Source::Twin => "twin",
        Source::Twice => "twice",
        Source::Rules => "rules",
    }
}

fn what_name(what: What) -> &'static str {
    match what {
        What::Value => "value",
        What::Presence => "presence",
        What::Case => "case",
        What::Type => "type",
        What::Length => "length",
        What::Order => "order",
        What::Unknown => "unknown field",
        What::Unreadable => "unreadable",
        What::Code => "code",
        What::Details => "details",
        What::Trailer => "trailer",
        What::Cost => "too much to compare",
    }
}

fn since(since: SystemTime) -> String {
    let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    crate::admin::when(tandem_config::audit::Timestamp(millis))
}

/// `orders[id=17].labels{eu}` as `orders[].labels{}`.
fn template(place: &str) -> String {
    let (mut text, mut closer) = (String::new(), None);
    for letter in place.chars() {
        // A key may hold any sign but the one that ends it.
        if closer.is_some_and(|closer| closer != letter) {
            continue;
        }
        text.push(letter);
        closer = match letter {
            '[' => Some(']'),
            '{' => Some('}'),
            _ => None,
        };
    }
    text
}

/// Whether `path` is `above`, or something in it.
fn is_at_or_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', '{']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_belongs_to_the_path_that_leads_to_it() {
        for (place, expected) in [
            ("price", "price"),
            ("orders[id=17].labels{eu}.tags[3]", "orders[].labels{}.tags[]"),
            ("labels{a.b[c}", "labels{}"),
        ] {
            assert_eq!(template(place), expected);
        }
        assert!(is_at_or_below("orders[].price", "orders"));
        assert!(is_at_or_below("orders[].price", "orders[]"));
        assert!(!is_at_or_below("orders_total", "orders"));
    }
}
