//! All figures in the text form that Prometheus reads: OpenMetrics 1.0.
//!
//! Label values are configured names and words of closed sets, so the number of series is bounded
//! by the configuration: nothing that a caller sends becomes one (security W-8). Every family is
//! there from the start, also without a series, and stands in `docs/manual/metrics.md`; a test
//! compares the two.
//!
//! Source: OpenMetrics 1.0, "Text format".

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use tandem_protocol::refusal::{Limit, Reason};
use tandem_protocol::status::Code;

use super::durations::DurationFigures;
use super::metrics::{CODES, Metrics};
use super::shard::OwnService;
use super::upstreams::{EndpointState, RetryReason, UpstreamFigures};
use crate::cache::{CacheFigures, CacheUse};
use crate::mirror::Mirrors;
use crate::mirror::counts::{DROPPED, LOST, MirrorFigures, Trial};
use crate::own::instances::InstanceState;
use crate::policy::auth::TokenCheck;

impl Metrics {
    /// All figures as OpenMetrics text.
    pub fn text(&self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut out = Families(encoder);
        self.encode_methods(&mut out)?;
        self.encode_process(&mut out)?;
        self.encode_upstreams(&mut out)?;
        self.encode_costs(&mut out)?;
        self.encode_mirrors(&mut out)?;
        self.encode_settings(&mut out)
    }
}

/// What a series is called beside its name.
type Labels = Vec<(&'static str, String)>;

fn with(labels: &Labels, name: &'static str, value: &str) -> Labels {
    let mut labels = labels.clone();
    labels.push((name, value.to_owned()));
    labels
}

/// Writes family after family.
struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    fn counters(
        &mut self,
        (name, help): (&str, &str),
        series: impl IntoIterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, count) in series {
            if labels.is_empty() {
                family.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            } else {
                let labels = labels.as_slice();
                family
                    .encode_family(&labels)?
                    .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        Ok(())
    }

    fn seconds(
        &mut self,
        (name, help): (&str, &str),
        series: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, seconds) in series {
            family
                .encode_family(&labels.as_slice())?
                .encode_counter::<NoLabelSet, _, u64>(&seconds, None)?;
        }
        Ok(())
    }

    fn gauges(
        &mut self,
        (name, help): (&str, &str),
        series: impl IntoIterator<Item = (Labels, i64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in series {
            if labels.is_empty() {
                family.encode_gauge(&value)?;
            } else {
                family.encode_family(&labels.as_slice())?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }

    fn durations(
        &mut self,
        (name, help): (&str, &str),
        series: impl IntoIterator<Item = (Labels, DurationFigures)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, figures) in series {
            let labels = labels.as_slice();
            encode_labelled(&mut family, &labels, &figures)?;
        }
        Ok(())
    }
}

fn encode_labelled(
    family: &mut prometheus_client::encoding::MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    figures: &DurationFigures,
) -> fmt::Result {
    family.encode_family(labels)?.encode_histogram::<NoLabelSet>(
        figures.sum.as_secs_f64(),
        figures.count(),
        &figures.by_bound(),
        None,
    )
}

/// The counts that are not zero, each with the name of its code.
fn by_code(labels: &Labels, codes: &[u64; CODES]) -> Vec<(Labels, u64)> {
    let counted = codes.iter().zip(0_u32..).filter(|(count, _)| **count > 0);
    counted
        .map(|(count, number)| (with(labels, "code", Code::from_number(number).name()), *count))
        .collect()
}

/// Name, help and how it is read of each figure of an upstream that has no further label.
type UpstreamFigure<T> = (&'static str, &'static str, fn(&UpstreamFigures) -> T);

const UPSTREAM_COUNTERS: [UpstreamFigure<u64>; 6] = [
    ("tandem_upstream_attempts", "Requests sent, further attempts included", |of| of.attempts),
    (
        "tandem_upstream_budget_exhausted",
        "Further attempts that were not made, the budget being spent",
        |of| of.budget_exhausted,
    ),
    ("tandem_upstream_ejections", "Endpoints left out for their calls", |of| of.ejections),
    ("tandem_upstream_resolve_failures", "Names that gave no address", |of| of.resolve_failures),
    ("tandem_upstream_connect_failures", "Connections not made", |of| of.connect_failures),
    ("tandem_upstream_connections_opened", "Connections made", |of| of.connections_opened),
];

impl Metrics {
    fn encode_methods(&self, out: &mut Families<'_>) -> fmt::Result {
        let all: Vec<_> = self
            .methods()
            .iter()
            .map(|method| {
                let namespace = ("namespace", method.namespace.to_string());
                let labels = vec![namespace, ("method", method.method.to_string())];
                (labels, method.figures())
            })
            .collect();
        out.counters(
            ("tandem_calls", "Calls that ended, by gRPC code"),
            all.iter().flat_map(|(labels, figures)| by_code(labels, &figures.codes)),
        )?;
        out.durations(
            (
                "tandem_call_duration_seconds",
                "From the end of the request's head to the answer's last byte",
            ),
            all.iter().map(|(labels, figures)| (labels.clone(), figures.durations)),
        )?;
        out.gauges(
            ("tandem_calls_in_flight", "Calls carried now"),
            all.iter().map(|(labels, figures)| (labels.clone(), figures.in_flight)),
        )?;
        out.counters(
            ("tandem_cache_calls", "Calls of methods that keep answers, by how they were answered"),
            all.iter()
                .filter(|(_, figures)| figures.cache.iter().any(|count| *count > 0))
                .flat_map(|(labels, figures)| {
                    CacheUse::ALL.map(|made| {
                        (with(labels, "answered", made.name()), figures.cache[made as usize])
                    })
                }),
        )?;
        self.encode_caches(out)
    }

    fn encode_caches(&self, out: &mut Families<'_>) -> fmt::Result {
        let all: Vec<_> = self
            .caches()
            .into_iter()
            .map(|figures| (vec![("namespace", figures.namespace.clone())], figures))
            .collect();
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        for ((name, help), count) in [
            (
                ("tandem_cache_entries", "Answers that are kept now"),
                (|of| of.entries) as fn(&CacheFigures) -> usize,
            ),
            (("tandem_cache_bytes", "Bytes of them, with all that belongs to them"), |of| of.bytes),
            (("tandem_cache_bytes_max", "Bytes that they may have"), |of| of.bytes_max),
        ] {
            let series = all.iter().map(|(labels, of)| (labels.clone(), gauge(count(of))));
            out.gauges((name, help), series)?;
        }
        out.counters(
            ("tandem_cache_stored", "Answers that were kept"),
            all.iter().map(|(labels, of)| (labels.clone(), of.stored)),
        )?;
        out.counters(
            ("tandem_cache_evicted", "Answers that went for want of room while they were good"),
            all.iter().map(|(labels, of)| (labels.clone(), of.evicted)),
        )
    }

    fn encode_process(&self, out: &mut Families<'_>) -> fmt::Result {
        let sum = self.shard_figures();
        let one = |count: u64| [(Labels::new(), count)];
        let now = |value: i64| [(Labels::new(), value)];
        let named = |label, name: &str, count| (vec![(label, name.to_owned())], count);
        for ((name, help), count) in [
            (("tandem_refused_calls", "Calls refused before a method was known"), sum.refused),
            (("tandem_abandoned_calls", "Calls that their callers left"), sum.abandoned),
            (
                ("tandem_request_trailers_dropped", "Requests whose trailers were dropped"),
                sum.request_trailers_dropped,
            ),
        ] {
            out.counters((name, help), one(count))?;
        }
        out.counters(
            ("tandem_refusals", "Calls that the gateway ended itself, by reason"),
            Reason::ALL.map(|reason| named("reason", reason.name(), sum.refusals[reason as usize])),
        )?;
        out.counters(
            ("tandem_limits_met", "How often a limit was met, by its key"),
            Limit::ALL.map(|limit| {
                let count = sum.limits[limit as usize] + self.totals().limit(limit);
                named("limit", limit.name(), count)
            }),
        )?;
        out.counters(
            ("tandem_own_calls", "Calls that the gateway answered itself"),
            OwnService::ALL
                .map(|service| named("service", service.name(), sum.own[service as usize])),
        )?;
        out.counters(
            ("tandem_token_checks", "Tokens that were shown, by what became of them"),
            TokenCheck::ALL.map(|check| named("result", check.name(), sum.tokens[check as usize])),
        )?;
        for ((name, help), count) in [
            (("tandem_connections", "Downstream connections accepted"), sum.connections),
            (("tandem_downstream_writes", "Writes to downstream sockets"), sum.writes),
            (
                ("tandem_connect_failures", "Connections to upstreams not made"),
                sum.connect_failures,
            ),
        ] {
            out.counters((name, help), one(count))?;
        }
        out.gauges(
            ("tandem_connections_open", "Downstream connections now"),
            now(sum.connections_open),
        )?;
        out.gauges(
            ("tandem_upstream_connections_open", "Connections to upstreams now"),
            now(sum.upstream_connections_open),
        )?;
        let (not_taken, not_written) = self.access_log().map_or((0, 0), |log| log.dropped());
        out.counters(
            ("tandem_access_log_lines_dropped", "Lines of the access log that were lost"),
            [named("reason", "queue_full", not_taken), named("reason", "not_written", not_written)],
        )?;
        let (sent, queue_full, not_taken) = self.exporter().map_or((0, 0, 0), |of| of.read());
        out.counters(("tandem_traces_sent", "Sampled calls that the collector took"), one(sent))?;
        out.counters(
            ("tandem_traces_dropped", "Sampled calls that did not reach the collector"),
            [named("reason", "queue_full", queue_full), named("reason", "not_taken", not_taken)],
        )
    }

    fn encode_settings(&self, out: &mut Families<'_>) -> fmt::Result {
        let all: Vec<_> = self
            .settings()
            .into_iter()
            .map(|figures| {
                let namespace = ("namespace", figures.namespace.to_string());
                (vec![namespace, ("service", figures.service.to_string())], figures)
            })
            .collect();
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        out.gauges(
            ("tandem_settings_watchers", "Streams by which instances watch their settings now"),
            all.iter().map(|(labels, figures)| (labels.clone(), gauge(figures.watchers))),
        )?;
        out.gauges(
            (
                "tandem_settings_instances",
                "Instances by what became of the settings they were told",
            ),
            all.iter().flat_map(|(labels, figures)| {
                let states = InstanceState::NAMES.into_iter().zip(figures.instances);
                states.map(|(state, count)| (with(labels, "state", state), gauge(count)))
            }),
        )?;
        out.counters(
            ("tandem_settings_pushes", "Settings sent to instances"),
            all.iter().map(|(labels, figures)| (labels.clone(), figures.pushes)),
        )?;
        out.counters(
            ("tandem_settings_reports", "What instances said of their settings"),
            all.iter().flat_map(|(labels, figures)| {
                [("applied", figures.applied), ("refused", figures.refused)]
                    .map(|(outcome, count)| (with(labels, "outcome", outcome), count))
            }),
        )?;
        out.gauges(
            ("tandem_settings_age_seconds", "Since the settings that are told now came"),
            all.iter().map(|(labels, figures)| {
                (labels.clone(), i64::try_from(figures.age.as_secs()).unwrap_or(i64::MAX))
            }),
        )
    }

    fn encode_mirrors(&self, out: &mut Families<'_>) -> fmt::Result {
        let all: Vec<(Labels, MirrorFigures)> = self
            .mirrors()
            .map(Mirrors::figures)
            .unwrap_or_default()
            .into_iter()
            .map(|(namespace, method, figures)| {
                (vec![("namespace", namespace), ("method", method)], figures)
            })
            .collect();
        out.counters(
            ("tandem_mirror_sent", "Copies of calls that were sent, by side"),
            all.iter().flat_map(|(labels, figures)| {
                Trial::ALL
                    .map(|side| (with(labels, "side", side.name()), figures.sent[side as usize]))
            }),
        )?;
        out.counters(
            ("tandem_mirror_compared", "Pairs of answers that were compared"),
            all.iter().map(|(labels, figures)| (labels.clone(), figures.compared)),
        )?;
        out.counters(
            ("tandem_mirror_dropped", "Copies that were never sent, by reason"),
            all.iter().flat_map(|(labels, figures)| {
                let reasons = DROPPED.into_iter().zip(figures.dropped);
                reasons.map(|(reason, count)| (with(labels, "reason", reason.label()), count))
            }),
        )?;
        out.counters(
            (
                "tandem_mirror_abandoned",
                "Copies that were sent and have no answer, by side and reason",
            ),
            all.iter().flat_map(|(labels, figures)| {
                Trial::ALL.into_iter().flat_map(move |side| {
                    let labels = with(labels, "side", side.name());
                    let reasons = LOST.into_iter().zip(figures.lost[side as usize]);
                    reasons
                        .map(move |((_, reason), count)| (with(&labels, "reason", reason), count))
                })
            }),
        )?;
        let copies = self.mirrors().map_or(0, Mirrors::copies);
        out.gauges(
            ("tandem_mirror_copies", "Copies that wait or are under way"),
            [(Labels::new(), i64::try_from(copies).unwrap_or(i64::MAX))],
        )
    }

    /// Upstreams of which nothing can be read have no line: no figure is not zero.
    fn encode_costs(&self, out: &mut Families<'_>) -> fmt::Result {
        let all: Vec<_> = self
            .costs()
            .into_iter()
            .map(|cost| {
                let namespace = ("namespace", cost.namespace.clone());
                (vec![namespace, ("upstream", cost.upstream.clone())], cost)
            })
            .collect();
        out.seconds(
            ("tandem_upstream_cpu_seconds", "CPU that its processes used since they are looked at"),
            all.iter().filter_map(|(labels, cost)| Some((labels.clone(), cost.total.cpu_s?))),
        )?;
        out.gauges(
            ("tandem_upstream_memory_bytes", "Anonymous memory of its processes now"),
            all.iter().filter_map(|(labels, cost)| {
                Some((labels.clone(), i64::try_from(cost.memory_bytes?).unwrap_or(i64::MAX)))
            }),
        )
    }

    fn encode_upstreams(&self, out: &mut Families<'_>) -> fmt::Result {
        let all: Vec<_> = self
            .upstreams()
            .iter()
            .map(|upstream| {
                let namespace = ("namespace", upstream.namespace.to_string());
                let labels = vec![namespace, ("upstream", upstream.upstream.to_string())];
                (labels, upstream.figures())
            })
            .collect();
        out.counters(
            ("tandem_upstream_calls", "Ended calls that went to it, by the code of the call"),
            all.iter().flat_map(|(labels, figures)| by_code(labels, &figures.codes)),
        )?;
        out.durations(
            (
                "tandem_upstream_answer_seconds",
                "From the request's being ready to the head of the answer",
            ),
            all.iter().map(|(labels, figures)| (labels.clone(), figures.answer_times)),
        )?;
        for (name, help, read) in UPSTREAM_COUNTERS {
            let series = all.iter().map(|(labels, figures)| (labels.clone(), read(figures)));
            out.counters((name, help), series)?;
        }
        out.counters(
            ("tandem_upstream_retries", "Attempts after the first, by reason"),
            all.iter().flat_map(|(labels, figures)| {
                RetryReason::ALL.map(|reason| {
                    (with(labels, "reason", reason.name()), figures.retries_for(reason))
                })
            }),
        )?;
        out.gauges(
            ("tandem_upstream_connections", "Connections to the upstream now"),
            all.iter().map(|(labels, figures)| (labels.clone(), figures.connections_open)),
        )?;
        out.gauges(
            (
                "tandem_upstream_endpoints",
                "Endpoints by state, as each data thread sees them, added up",
            ),
            all.iter().flat_map(|(labels, figures)| {
                EndpointState::ALL
                    .map(|state| (with(labels, "state", state.name()), figures.endpoints_in(state)))
            }),
        )
    }
}
