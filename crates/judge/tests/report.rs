//! A report of a simulated comparison: table, file and page against their golden files.
//!
//! `TANDEM_REWRITE_GOLDEN=1` writes the golden files anew.

#![expect(clippy::disallowed_methods, reason = "golden files are files")]

mod simulated;

use std::collections::BTreeMap;
use std::path::Path;

use simulated::{Model, quartets};
use tandem_judge::cost::{self, Metric, Quartet, floor, logs_by_quartet, measure};
use tandem_judge::noise::{Class, PathEvidence, Sample};
use tandem_judge::report::{self, Document};
use tandem_judge::stats::counts::Counts;
use tandem_judge::stats::draws::Draws;
use tandem_judge::stats::ranks;
use tandem_judge::verdict::{self, CellInput, Evidence, Fact, Must};

const SEED: u64 = 7;

fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("TANDEM_REWRITE_GOLDEN").is_some() {
        std::fs::write(&path, found).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = expected.lines().zip(found.lines()).find(|(one, other)| one != other);
    assert!(expected == found, "{name} differs: {differs:?}");
}

/// A side's merged counts over all quartets.
fn counts(series: &[Quartet], side: cost::Side) -> Counts {
    let blocks = series.iter().flat_map(|quartet| &quartet.blocks);
    Counts::merged(blocks.filter(|block| block.side == side).map(|block| &block.latency_us))
}

fn path(name: &str, class: Class, counts: (u64, u64, u64), bound: f64) -> report::PathLine {
    let evidence = PathEvidence {
        path: name.into(),
        class,
        candidate_only: counts.0,
        twin_only: counts.1,
        both: counts.2,
        calls: 12_000,
        e_value: 0.7,
        bound,
        critical: 0,
    };
    let sample = Sample {
        place: name.replace("[]", "[id=17]"),
        what: tandem_judge::diff::What::Value,
        primary: Some("<b>1.25</b>".into()),
        other: Some("1.5 & more".into()),
    };
    let samples = if counts.0 > 0 { vec![sample; 2] } else { Vec::new() };
    let proposed_rule = (name == "node").then(|| "ignore node    # host & port".to_owned());
    report::PathLine { proposed_rule, ..report::PathLine::new(&evidence, &samples) }
}

/// A comparison as `tandem compare` would hand it over.
fn document() -> Document {
    let mut draws = Draws::new(SEED);
    let model = Model {
        cpu_us: [41.0, 67.0],
        latency_us: [710.0, 730.0],
        peak_bytes: [38.0 * 1_048_576.0, 162.0 * 1_048_576.0],
        drift: 0.1,
        ..Model::equal()
    };
    let series = quartets(&model, 30, &mut draws);
    let aa = quartets(&Model { drift: 0.1, ..Model::equal() }, 12, &mut draws);
    let judged = [
        (Metric::Cpu, "s", 1.0, 0.03, true, true),
        (Metric::P50, "s", 1e-6, 0.10, false, false),
        (Metric::P99, "s", 1e-6, 0.10, true, true),
        (Metric::PeakMemory, "B", 1.0, 0.03, true, true),
        (Metric::Throughput, "1/s", 1.0, 0.03, false, false),
    ];
    let mut measured = Vec::new();
    let mut inputs = Vec::new();
    let mut floors = BTreeMap::new();
    for (metric, _, _, margin, headline, counts) in judged {
        let found = measure(&series, metric, &mut draws).unwrap_or_else(|| panic!("{metric:?}"));
        let noise = floor(&aa, metric, &mut draws).unwrap_or_else(|| panic!("{metric:?}"));
        floors.insert(metric.id().to_owned(), report::Aa { rms: noise.rms, floor: noise.log });
        inputs.push(CellInput {
            id: metric.id().into(),
            ratio: found.ratio,
            interval: found.interval,
            p: found.p,
            quartets: found.quartets,
            smaller_is_better: metric.smaller_is_better(),
            margin,
            floor: noise.log,
            headline,
            counts,
        });
        measured.push(found);
    }
    let rows = verdict::cells(&inputs);
    let must = Must::parse("p99<=20ms@2000/s").unwrap_or_else(|fault| panic!("{fault}"));
    let advisories = Must::parse("advisories(high)=0").unwrap_or_else(|fault| panic!("{fault}"));
    let results = [must.judged(&Fact::Interval(0.001, 0.004)), advisories.judged(&Fact::NotRun)];
    let answers = [
        path("hits[].score", Class::Unknown, (1, 0, 0), 0.000_52),
        path("node", Class::Masked, (9_000, 9_010, 2_900), 1.0),
        path("took_ms", Class::NoisyEqual, (411, 398, 50), 0.04),
        path("total", Class::Identical, (0, 0, 0), 0.000_33),
    ];
    let drawn = verdict::verdict(&Evidence {
        invalid: &[],
        answers: &[],
        critical: 0,
        must: (&results, &results),
        rows: &rows,
    });
    let metrics = measured.iter().zip(&rows).zip(judged).zip(&inputs);
    let metrics = metrics.map(|(((measured, row), (_, unit, scale, margin, ..)), input)| {
        report::Metric::new(measured, row, unit, scale, margin, input.floor, Some(2_000.0))
    });
    let names = ("rust 1.4.0", "go 1.4.0");
    let sentence = verdict::sentence(&drawn, &rows, names, Some(2_000.0));
    let side = |role: &str, name: &str, target: &str, gogc: Option<&str>| report::Side {
        role: role.into(),
        name: name.into(),
        version: "1.4.0".into(),
        target: target.into(),
        build: report::Build { toolchain: "1".into(), flags: "-O".into(), profile: "plain".into() },
        runtime: report::Runtime {
            parallelism: Some(1),
            gogc: gogc.map(Into::into),
            allocator: None,
            gc_cycles: gogc.map(|_| 211),
            kind: Some(if gogc.is_some() { "go" } else { "tokio" }.into()),
            gc_stop_p99_s: gogc.map(|_| 0.0004),
            gc_share_of_user: gogc.map(|_| 0.043),
            polls: gogc.is_none().then_some(12_000),
            polls_long: gogc.is_none().then_some(3),
            polls_long_from_s: gogc.is_none().then_some(0.001),
        },
    };
    Document {
        schema: report::SCHEMA_NAME.into(),
        run: report::Run {
            id: "0001".into(),
            seed: SEED.to_string(),
            started: "2026-01-05T10:00:00Z".into(),
            seconds: 401.0,
            budget_s: Some(600.0),
            partial: false,
            method: "search.v1.Search/Query".into(),
            argv: vec!["tandem".into(), "compare".into(), "search.v1.Search/Query".into()],
            block_s: 2.0,
            machine: report::Machine { cpu: "a processor".into(), cores: 2, ..Default::default() },
            generator: report::Generator { rate_most: Some(90_000.0), lag_p99_s: Some(14e-6) },
            data: Some(report::Data {
                source: "corpus".into(),
                calls: 3,
                arrivals: "trace".into(),
                recorded_rate: Some(40.0),
                redacted: Some(1),
                left_out: Some(0),
            }),
            notes: vec!["a note with <markup>".into()],
        },
        sides: [
            side("primary", "rust", "pid 811", None),
            side("candidate", "go", "pid 907", Some("100")),
        ],
        aa: floors,
        validity: report::Validity {
            blocks: 120,
            void_blocks: 1,
            steal: 0.001,
            ..Default::default()
        },
        answers: report::Answers {
            calls: 12_000,
            noise: "twin".into(),
            paths: answers.to_vec(),
            ..Default::default()
        },
        metrics: metrics.collect(),
        capacity: Some(report::Capacity {
            slo: "p99≤20ms".into(),
            threshold_s: Some(0.020),
            primary: report::CapacitySide { lo: 8_900.0, hi: Some(9_300.0), cpu_cores: Some(0.4) },
            candidate: report::CapacitySide {
                lo: 5_600.0,
                hi: Some(5_900.0),
                cpu_cores: Some(0.4),
            },
            probes: vec![report::CapacityProbe {
                role: "candidate".into(),
                rate: 4_200.0,
                passed: true,
                void: true,
                p99_s: Some(0.006),
            }],
        }),
        slopes: Some(report::Slopes {
            primary: report::SideSlope { idle: 0.002, marginal: 40e-6, interval: None },
            candidate: report::SideSlope { idle: 0.011, marginal: 62e-6, interval: None },
        }),
        pauses: Some(report::Pauses {
            primary: report::PausesSide {
                longest_s: 0.0006,
                threshold_s: 0.001,
                ..Default::default()
            },
            candidate: report::PausesSide {
                per_minute: 7.0,
                longest_s: 0.0029,
                share: 0.0004,
                threshold_s: 0.001,
            },
        }),
        memory: Some(report::Memory {
            primary: report::MemoryPoint { idle: 9e6, peak: 38e6, after_60s: 31e6 },
            candidate: report::MemoryPoint { idle: 14e6, peak: 162e6, after_60s: 118e6 },
        }),
        histograms: Vec::new(),
        rubric: vec![report::Rubric {
            row: "advisories".into(),
            role: "primary".into(),
            command: "cargo audit --json --no-fetch".into(),
            value: "not_run".into(),
            note: "no database".into(),
            output: String::new(),
        }],
        cost: Some(money()),
        must: [("primary", &results[0]), ("candidate", &results[0]), ("primary", &results[1])]
            .map(|(role, result)| report::Must::new(role, result))
            .to_vec(),
        verdict: report::VerdictLine::new(&drawn, sentence),
        ledger: vec![report::Ledger {
            id: "0000".into(),
            started: "2026-01-05T09:00:00Z".into(),
            word: "not-enough-evidence".into(),
        }],
        series: plots(&series, &aa),
    }
}

fn money() -> report::Cost {
    let prices = cost::Prices::new(0.04, 0.005, 0.17);
    let side = |cpu_s, mib, capacity| {
        let input = cost::CostInput {
            rate: 2_000.0,
            cpu_s,
            cpu_interval_s: None,
            memory_gib: mib / 1_024.0,
            capacity: Some(capacity),
        };
        let cost = cost::cost(&prices, &input).unwrap_or_else(|| panic!("a rate"));
        report::CostSide {
            packed: cost.packed,
            packed_interval: cost.packed_interval,
            provisioned: cost.provisioned.map(|(provisioned, _)| provisioned),
            instances: cost.provisioned.map(|(_, count)| count),
            cpu_s,
            memory_gib: mib / 1_024.0,
            capacity: Some(capacity),
        }
    };
    report::Cost {
        prices: report::Prices {
            cpu_hour: prices.cpu_hour,
            gib_hour: prices.gib_hour,
            instance_hour: prices.instance_hour,
            headroom: prices.headroom,
            instances_least: prices.instances_least,
        },
        rate: 2_000.0,
        primary: side(41e-6, 38.0, 9_000.0),
        candidate: side(67e-6, 162.0, 5_700.0),
    }
}

fn plots(series: &[Quartet], aa: &[Quartet]) -> report::Series {
    let roles = [(cost::Side::Primary, "primary"), (cost::Side::Candidate, "candidate")];
    let curve = |(side, role): (cost::Side, &str)| {
        let counts = counts(series, side);
        let parts = [0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999];
        let points = parts.iter().filter_map(|part| {
            let found = ranks::quantile(&counts, *part)?;
            let (low, high) = found.interval.unwrap_or((found.value, found.value));
            let [value_s, low_s, high_s] = [found.value, low, high].map(|us| us as f64 / 1e6);
            Some(report::CurvePoint { part: *part, value_s, low_s, high_s })
        });
        report::Curve { role: role.into(), n: counts.total(), points: points.collect() }
    };
    let mut clock = 0.0;
    let blocks =
        series.iter().flat_map(|quartet| quartet.blocks.iter().map(move |block| (quartet, block)));
    let blocks = blocks.enumerate().map(|(place, (quartet, block))| {
        clock += 2.5;
        report::Block {
            role: roles
                .iter()
                .find(|(side, _)| *side == block.side)
                .map_or("", |(_, role)| role)
                .into(),
            restart: quartet.restart,
            start_s: clock,
            seconds: block.seconds,
            rate: quartet.offered,
            calls: block.calls,
            cpu_s: block.cpu_s,
            p99_s: block.latency_us.quantile(0.99).map(|us| us as f64 / 1e6),
            memory_bytes: block.peak_bytes,
            steal: 0.001,
            set_aside: 3,
            void: (place == 41).then(|| "the host took time away".into()),
        }
    });
    let load = |role: &str, end: f64, marginal: f64| {
        (1..=4)
            .map(move |part| {
                let rate = end * 0.2 * f64::from(part);
                let p99_s = 0.0015 / (1.0 - rate / end).powi(1);
                report::LoadPoint {
                    role: role.into(),
                    rate,
                    p99_s,
                    cpu_cores: Some(0.005 + rate * marginal),
                }
            })
            .collect::<Vec<_>>()
    };
    let logs = |quartets: &[Quartet], metric: Metric| {
        (metric.id().to_owned(), logs_by_quartet(quartets, metric).unwrap_or_default())
    };
    report::Series {
        blocks: blocks.collect(),
        curves: roles.map(curve).to_vec(),
        load: [load("primary", 9_100.0, 40e-6), load("candidate", 5_700.0, 62e-6)].concat(),
        quartets: BTreeMap::from([logs(series, Metric::Cpu), logs(series, Metric::Throughput)]),
        aa_quartets: BTreeMap::from([logs(aa, Metric::Cpu), logs(aa, Metric::Throughput)]),
    }
}

#[test]
fn table_file_and_page_are_those_of_the_golden_files() {
    let document = document();
    golden("table.txt", &report::table(&document));
    golden("result.json", &report::json(&document));
    golden("report.html", &report::html(&document));
    golden("blocks.csv", &report::blocks_csv(&document));
}

#[test]
fn the_file_is_read_again_as_it_was_written_and_keeps_its_schema() {
    let document = document();
    let text = report::json(&document);
    let again: Document = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again, document);
    let schema: serde_json::Value =
        serde_json::from_str(report::SCHEMA).unwrap_or_else(|error| panic!("{error}"));
    let mut value: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(faults(&schema, &value, "$"), [""; 0]);
    // The check can fail.
    value["verdict"]["word"] = "winner".into();
    value["sides"][0]["name"] = 7.into();
    if let Some(object) = value.as_object_mut() {
        object.remove("run");
    }
    assert_eq!(faults(&schema, &value, "$").len(), 3);
}

/// What of the JSON Schema the document uses: types, required and known keys, enums.
fn faults(schema: &serde_json::Value, value: &serde_json::Value, path: &str) -> Vec<String> {
    use serde_json::Value;
    let mut found = Vec::new();
    let fits = |name: &Value| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        _ => false,
    };
    let right = match &schema["type"] {
        Value::Null => true,
        Value::Array(names) => names.iter().any(fits),
        name => fits(name),
    };
    let listed = schema["enum"].as_array().is_none_or(|values| values.contains(value));
    if !right || !listed || (!schema["const"].is_null() && schema["const"] != *value) {
        found.push(format!("{path}: {value} is not {schema}"));
    }
    if let Some(object) = value.as_object() {
        for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(key) {
                found.push(format!("{path} lacks {key}"));
            }
        }
        for (key, inner) in object {
            let of_key = match &schema["properties"][key] {
                Value::Null => &schema["additionalProperties"],
                of_key => of_key,
            };
            if of_key.is_null() {
                found.push(format!("{path}.{key} is in no schema"));
            } else {
                found.extend(faults(of_key, inner, &format!("{path}.{key}")));
            }
        }
    }
    for (place, inner) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(faults(&schema["items"], inner, &format!("{path}[{place}]")));
    }
    found
}

#[test]
fn the_page_asks_nobody_for_anything_and_takes_no_markup_from_elsewhere() {
    let mut document = document();
    let hostile = "<img src=x onerror=alert(1)>\"'</script>\u{1b}[31m";
    document.sides[0].name = hostile.into();
    document.run.method = hostile.into();
    document.answers.paths[0].path = hostile.into();
    document.answers.paths[0].samples[0].place = hostile.into();
    document.verdict.sentence = hostile.into();
    document.rubric[0].note = hostile.into();
    document.rubric[0].output = hostile.into();
    document.must[0].expr = hostile.into();
    document.series.blocks[0].void = Some(hostile.into());
    document.metrics[0].id = hostile.into();
    let page = report::html(&document);
    assert!(!page.contains("<img") && page.contains("&lt;img"));
    assert_eq!(page.matches("</script>").count(), 1);
    for asked in ["http://", "https://", "src=", "url(", "@import", "<link", "<iframe", "fetch("] {
        let page = page.replace("&lt;img src=x", "");
        assert!(!page.contains(asked), "{asked}");
    }
    let table = report::table(&document);
    assert!(!table.contains('\u{1b}'));
}

#[test]
fn a_partial_report_with_nothing_in_it_is_still_a_report() {
    let document = document();
    let empty = Document {
        run: report::Run { partial: true, ..document.run },
        aa: BTreeMap::new(),
        metrics: Vec::new(),
        capacity: None,
        slopes: None,
        pauses: None,
        memory: None,
        cost: None,
        must: Vec::new(),
        rubric: Vec::new(),
        series: report::Series::default(),
        answers: report::Answers { noise: "rules".into(), ..Default::default() },
        ..document
    };
    assert!(report::table(&empty).contains("partial"));
    let page = report::html(&empty);
    assert!(page.contains("ended before its plan") && !page.contains("NaN"));
    let again: Result<Document, _> = serde_json::from_str(&report::json(&empty));
    assert_eq!(again.unwrap_or_else(|error| panic!("{error}")), empty);
}
