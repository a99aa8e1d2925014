//! What was asked for, read whole before anything is started.
//!
//! Everything here is text from a command line or from a small file turned into values; each fault
//! names its flag, what stood there and what to write.
//!
//! Not here: flags themselves (`cli::compare`), what targets are (`target`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tandem_config::Tnd;
use tandem_config::document::units::{parse_duration, parse_size};
use tandem_judge::cost::{self, Metric};
use tandem_judge::report::Document;
use tandem_judge::verdict::Must;

use super::meter::agent_of;
use super::rubric::{self, Wanted};
use super::rules::PathRule;
use super::streams::Cut;
use super::target::Named;
use crate::discover::Trust;
use crate::failure::{Exit, Failure};

/// One comparison, as it was asked for.
pub(crate) struct Ask {
    pub(crate) methods: Vec<String>,
    /// The primary, then the candidate.
    pub(crate) sides: [Named; 2],
    pub(crate) contract: Option<PathBuf>,
    pub(crate) hook: Option<String>,
    pub(crate) symmetric: bool,
    pub(crate) yes_remote: bool,
    /// Of the agents of sides on other machines.
    pub(crate) agent_token: Option<String>,
    pub(crate) trust: Trust,
    pub(crate) offered: Offered,
    pub(crate) objective: Option<Objective>,
    pub(crate) start: f64,
    pub(crate) data: Data,
    pub(crate) keys: Keys,
    pub(crate) seed: u64,
    pub(crate) payload: Option<u64>,
    pub(crate) gaps: Gaps,
    pub(crate) connections: u16,
    pub(crate) cut: Cut,
    pub(crate) cores: Cores,
    pub(crate) block: Duration,
    /// At each rate.
    pub(crate) quartets: u32,
    pub(crate) starts: Option<u32>,
    pub(crate) budget: Duration,
    /// Both sides at the same time.
    pub(crate) duet: bool,
    pub(crate) quick: bool,
    pub(crate) plan_only: bool,
    pub(crate) noise: Noise,
    pub(crate) rules: Vec<PathRule>,
    pub(crate) duties: Duties,
    pub(crate) demand: Demand,
    pub(crate) prices: Option<Prices>,
    pub(crate) rubric: Option<Wanted>,
    pub(crate) out: Option<PathBuf>,
    pub(crate) baseline: Option<Box<Document>>,
    pub(crate) fail_on: Option<Vec<u8>>,
    /// For one step of a connection, for one call.
    pub(crate) timeout: Duration,
}

/// The token of the agents, where a side has one (`--agent-token-file`).
///
/// # Errors
/// No file where an agent is asked, or one that holds no token.
pub(crate) fn agent_token(
    sides: &[Named; 2],
    file: Option<&Path>,
) -> Result<Option<String>, Failure> {
    let Some(side) = sides.iter().find(|side| agent_of(side).is_some()) else { return Ok(None) };
    const FLAG: &str = "--agent-token-file";
    const FIX: &str = "give the file that `tandem agent` names, or a copy of it";
    let failed =
        |what: String| Failure::new(Exit::Usage, what).coded(Tnd::NoCredential).at(FLAG).fix(FIX);
    let file = file.ok_or_else(|| {
        failed(format!("the agent of `{}` wants its token", side.name))
            .because("neither `--agent-token-file` nor TANDEM_AGENT_TOKEN_FILE says where it is")
    })?;
    let token = read_file(FLAG, file)?;
    let token = token.trim();
    let is_one = token.starts_with("tnd_") && token.bytes().all(|byte| byte.is_ascii_graphic());
    match is_one {
        true => Ok(Some(token.to_owned())),
        false => Err(failed(format!("{} holds no token of an agent", file.display()))),
    }
}

/// Calls a second.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Offered {
    /// In rising order.
    At(Vec<f64>),
    /// None but those of the search.
    OfCapacity,
    /// These parts of what the weaker side can take, in rising order, once that is known.
    Parts(Vec<f64>),
    /// So many times as fast as the calls were recorded; known once they are read.
    OfRecord(f64),
}

impl Offered {
    pub(crate) fn rates(&self) -> &[f64] {
        match self {
            Offered::At(rates) => rates,
            Offered::OfCapacity | Offered::Parts(_) | Offered::OfRecord(_) => &[],
        }
    }

    /// `--rates`: calls a second, or per cent of the weaker side's capacity.
    pub(crate) fn read(texts: &[String], capacity: bool) -> Result<Offered, Failure> {
        const RIGHT: &str = "write `--rates 200,400,800`, or `--rates 20%,40%,60%,80% --capacity \
                             --slo p99=20ms`";
        let fault = |text: &str| wrong("--rates", text, RIGHT);
        if !texts.iter().any(|text| text.trim().ends_with('%')) {
            let mut rates = texts
                .iter()
                .map(|text| rate("--rates", text))
                .collect::<Result<Vec<f64>, Failure>>()?;
            rates.sort_by(f64::total_cmp);
            return Ok(Offered::At(rates));
        }
        let mut parts = Vec::new();
        for text in texts {
            let number = text.trim().strip_suffix('%').ok_or_else(|| {
                fault(text).because("rates are all calls a second, or all per cent")
            })?;
            let part = number.trim().parse::<f64>().ok();
            let part = part.filter(|part| *part >= 1.0 && *part <= 100.0);
            parts.push(part.ok_or_else(|| fault(text).because("from 1% to 100%"))? / 100.0);
        }
        if !capacity {
            return Err(fault(&texts.join(","))
                .because("per cent are of the weaker side's capacity, which is not looked for"));
        }
        parts.sort_by(f64::total_cmp);
        parts.dedup_by(|one, other| one.total_cmp(other).is_eq());
        Ok(Offered::Parts(parts))
    }
}

/// A wrong value of a flag.
pub(crate) fn wrong(flag: &str, text: &str, right: &str) -> Failure {
    let shown: String = text.chars().take(80).collect();
    Failure::new(Exit::Usage, format!("`{flag} {shown}` cannot be used")).at(flag).fix(right)
}

/// Highest rate that anybody may ask for, as the search for capacity has it.
pub(crate) const RATE_MOST: f64 = 1e7;

/// Calls a second: `200`, `200/s`, `1e4`.
pub(crate) fn rate(flag: &str, text: &str) -> Result<f64, Failure> {
    let number = text.trim().trim_end_matches("/s").replace(',', "");
    let rate = number.parse::<f64>().ok().filter(|rate| *rate >= 1.0 && *rate <= RATE_MOST);
    rate.ok_or_else(|| wrong(flag, text, "a rate is calls a second, from 1 to 10 million: `2000`"))
}

/// `1KiB`, or a number alone.
pub(crate) fn bytes(text: &str) -> Result<u64, Failure> {
    let plain = text.parse::<u64>().ok();
    plain
        .or_else(|| parse_size(text).ok())
        .filter(|bytes| *bytes <= 1 << 20)
        .ok_or_else(|| wrong("--payload", text, "it is a size up to 1MiB: `1KiB`"))
}

/// `NAME=VALUE,NAME=VALUE`.
fn pairs<'a>(
    flag: &'a str,
    text: &'a str,
    right: &'a str,
) -> impl Iterator<Item = Result<(&'a str, &'a str), Failure>> + 'a {
    text.split(',').map(move |part| {
        let (name, value) = part.split_once('=').ok_or_else(|| wrong(flag, part, right))?;
        Ok((name.trim(), value.trim()))
    })
}

/// A part of one: `0.1%`, `0.001`.
fn part(text: &str) -> Option<f64> {
    let (number, factor) = match text.strip_suffix('%') {
        Some(number) => (number, 0.01),
        None => (text, 1.0),
    };
    let part = number.trim().parse::<f64>().ok()? * factor;
    (part > 0.0 && part < 1.0).then_some(part)
}

/// What a rate has to keep: a percentile below a time, and errors below a part.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Objective {
    /// As it was written, for people.
    pub(crate) text: String,
    pub(crate) slow: Duration,
    pub(crate) slow_budget: f64,
    pub(crate) error_budget: f64,
}

impl Objective {
    pub(crate) fn read(text: &str) -> Result<Objective, Failure> {
        const RIGHT: &str = "write `--slo p99=20ms,errors=0.1%`";
        let (mut slow, mut error_budget) = (None, 0.001);
        for pair in pairs("--slo", text, RIGHT) {
            match pair? {
                ("errors", value) => {
                    error_budget = part(value).ok_or_else(|| wrong("--slo", value, RIGHT))?;
                }
                (name, value) => {
                    let percentile = name.strip_prefix('p').and_then(|it| it.parse::<f64>().ok());
                    let percentile = percentile.filter(|it| *it >= 50.0 && *it < 100.0);
                    let time = parse_duration(value).ok().filter(|time| !time.is_zero());
                    slow = Some(percentile.zip(time).ok_or_else(|| wrong("--slo", text, RIGHT))?);
                }
            }
        }
        let (percentile, slow) = slow.ok_or_else(|| wrong("--slo", text, RIGHT))?;
        let slow_budget = 1.0 - percentile / 100.0;
        Ok(Objective { text: text.replace('=', "≤"), slow, slow_budget, error_budget })
    }
}

/// Where requests come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Data {
    Schema,
    Plan(PathBuf),
    Corpus(PathBuf),
}

impl Data {
    pub(crate) fn read(text: &str) -> Result<Data, Failure> {
        match text.split_once(':') {
            None if text == "schema" => Ok(Data::Schema),
            Some(("plan", file)) if !file.is_empty() => Ok(Data::Plan(file.into())),
            Some(("corpus", file)) if !file.is_empty() => Ok(Data::Corpus(file.into())),
            _ => Err(wrong("--data", text, "it is `schema`, `plan:FILE` or `corpus:FILE`")),
        }
    }

    /// The word in front of the file.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Data::Schema => "schema",
            Data::Plan(_) => "plan",
            Data::Corpus(_) => "corpus",
        }
    }
}

/// What lies between two calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gaps {
    Poisson,
    Uniform,
    /// What lay between them when they were recorded.
    Trace,
}

impl Gaps {
    pub(crate) fn read(text: &str, data: &Data) -> Result<Gaps, Failure> {
        match text {
            "poisson" => Ok(Gaps::Poisson),
            "uniform" => Ok(Gaps::Uniform),
            "trace" if matches!(data, Data::Corpus(_)) => Ok(Gaps::Trace),
            "trace" => Err(wrong("--arrivals", text, "name the record: `--data corpus:FILE`")
                .because("only recorded calls have gaps of their own")),
            other => Err(wrong("--arrivals", other, "it is `poisson`, `uniform` or `trace`")),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Gaps::Poisson => "poisson",
            Gaps::Uniform => "uniform",
            Gaps::Trace => "trace",
        }
    }
}

/// `--speed`: so many times as fast as recorded, `2` or `0.5`.
pub(crate) fn speed(text: &str, gaps: Gaps) -> Result<f64, Failure> {
    const RIGHT: &str = "it is a number from 0.001 to 1000: `--speed 2`";
    if gaps != Gaps::Trace {
        return Err(wrong("--speed", text, "leave it out, or add `--arrivals trace`").because(
            "it is how fast recorded calls follow each other; other calls have `--rate`",
        ));
    }
    let number = text.trim().trim_end_matches('x').parse::<f64>().ok();
    let number = number.filter(|speed| (0.001..=1_000.0).contains(speed));
    number.ok_or_else(|| wrong("--speed", text, RIGHT))
}

/// The keys that requests draw from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Keys {
    pub(crate) count: u64,
    /// The exponent of Zipf's law; 0 for keys that are all alike.
    pub(crate) zipf: f64,
}

impl Keys {
    pub(crate) fn read(text: &str) -> Result<Keys, Failure> {
        let fault = || wrong("--keys", text, "write `1000:zipf1.1` or `1e6:uniform`");
        let (count, shape) = text.split_once(':').unwrap_or((text, "zipf1.1"));
        let count = count.parse::<f64>().ok().filter(|count| *count >= 1.0 && *count <= 1e9);
        let zipf = match shape {
            "uniform" => 0.0,
            shape => {
                let exponent = shape.strip_prefix("zipf").ok_or_else(fault)?;
                exponent.parse().ok().filter(|it| (0.0..=4.0).contains(it)).ok_or_else(fault)?
            }
        };
        Ok(Keys { count: count.ok_or_else(fault)? as u64, zipf })
    }
}

/// Which cores whom belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cores {
    /// The first for the generator, the second for the sides, where there are two.
    Usual,
    /// Wherever the system puts them.
    Free,
    Given {
        generator: Vec<usize>,
        services: Vec<usize>,
    },
}

impl Cores {
    pub(crate) fn read(text: Option<&str>) -> Result<Cores, Failure> {
        const RIGHT: &str = "write `--cpus gen=0,svc=1`, several as `svc=1-3`, or `--cpus none`";
        let Some(text) = text else { return Ok(Cores::Usual) };
        if text == "none" {
            return Ok(Cores::Free);
        }
        let fault = || wrong("--cpus", text, RIGHT);
        let mut given: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for pair in pairs("--cpus", text, RIGHT) {
            let (name, value) = pair?;
            let (first, last) = value.split_once('-').unwrap_or((value, value));
            let (first, last): (usize, usize) =
                (first.parse().map_err(|_| fault())?, last.parse().map_err(|_| fault())?);
            if first > last || last > 1023 {
                return Err(fault());
            }
            given.entry(name).or_default().extend(first..=last);
        }
        let (generator, services) = (given.remove("gen"), given.remove("svc"));
        match (generator, services, given.is_empty()) {
            (Some(generator), Some(services), true) => Ok(Cores::Given { generator, services }),
            _ => Err(fault()),
        }
    }
}

/// How noise is told from differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noise {
    /// By a second process of the primary, else by calling it twice.
    Twin,
    Twice,
    Rules,
}

impl Noise {
    /// The way, and the rules that its file declares.
    pub(crate) fn read(text: &str) -> Result<(Noise, Vec<PathRule>), Failure> {
        match text.split_once(':') {
            None if text == "aa" => Ok((Noise::Twin, Vec::new())),
            None if text == "twice" => Ok((Noise::Twice, Vec::new())),
            Some(("rules", file)) if !file.is_empty() => {
                let text = read_file("--noise", Path::new(file))?;
                let rules = lines(&text).map(|line| PathRule::line(file, line));
                Ok((Noise::Rules, rules.collect::<Result<_, _>>()?))
            }
            _ => Err(wrong("--noise", text, "it is `aa`, `twice` or `rules:FILE`")),
        }
    }
}

/// What each side must keep.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Duties(pub(crate) Vec<Must>);

impl Duties {
    pub(crate) fn read(file: Option<&Path>) -> Result<Duties, Failure> {
        let Some(file) = file else { return Ok(Duties::default()) };
        let text = read_file("--must", file)?;
        let musts = lines(&text).map(|line| {
            Must::parse(line).map_err(|fault| {
                wrong("--must", &fault.text, &fault.what).because(format!("in {}", file.display()))
            })
        });
        Ok(Duties(musts.collect::<Result<_, _>>()?))
    }
}

/// The lines of a small file that say something: no comments, and `- ` before each if one likes.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let bare = |line| -> &str {
        let line: &str = str::trim(line);
        let line = line.strip_prefix("- ").unwrap_or(line).trim();
        let unquoted = |quote| line.strip_prefix(quote).and_then(|it| it.strip_suffix(quote));
        unquoted('"').or_else(|| unquoted('\'')).unwrap_or(line)
    };
    text.lines().map(bare).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Bytes of a file that a flag names.
const FILE_BYTES_MOST: u64 = 16 << 20;

pub(crate) fn read_file(flag: &str, file: &Path) -> Result<String, Failure> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(file)
        .and_then(|open| open.take(FILE_BYTES_MOST + 1).read_to_string(&mut text));
    let unreadable = |why: String| {
        Failure::new(Exit::Usage, format!("{} cannot be read", file.display()))
            .coded(Tnd::FileUnreadable)
            .at(flag)
            .because(why)
            .fix("name a file of text that you may read")
    };
    read.map_err(|error| unreadable(error.to_string()))?;
    if text.len() as u64 > FILE_BYTES_MOST {
        return Err(unreadable(format!("it has more than {} MiB", FILE_BYTES_MOST >> 20)));
    }
    Ok(text)
}

/// An older result.
pub(crate) fn baseline(file: &Path) -> Result<Box<Document>, Failure> {
    let text = read_file("--baseline", file)?;
    let document: Document = serde_json::from_str(&text).map_err(|error| {
        let fault = wrong("--baseline", &file.display().to_string(), "name a result.json");
        fault.because(error.to_string())
    })?;
    Ok(Box::new(document))
}

/// Which rows decide, and by how much sides may differ and still be the same.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Demand {
    counts: Vec<String>,
    margins: BTreeMap<String, f64>,
}

/// Length of a block where nobody says another.
pub(crate) const BLOCK_USUAL: Duration = Duration::from_secs(2);

/// The rows that are tested together, frozen before the run (compare I-7).
const HEADLINE: [&str; 4] = ["cpu", "p99", "peak_mem", "capacity"];
/// All that can be measured here.
pub(crate) const METRICS: [Metric; 7] = [
    Metric::Cpu,
    Metric::P50,
    Metric::P99,
    Metric::P999,
    Metric::Mean,
    Metric::PeakMemory,
    Metric::Throughput,
];

impl Demand {
    pub(crate) fn read(counts: &[String], margins: &[String]) -> Result<Demand, Failure> {
        let known =
            || METRICS.iter().map(|metric| metric.id()).chain(["capacity"]).chain(rubric::BUILDS);
        let is_known = |flag: &str, name: &str| match known().any(|known| known == name) {
            true => Ok(()),
            false => {
                let all: Vec<&str> = known().collect();
                Err(wrong(flag, name, &format!("the rows are {}", all.join(", "))))
            }
        };
        for name in counts {
            is_known("--counts", name)?;
        }
        let mut read = BTreeMap::new();
        for text in margins {
            let right = "write `--margin cpu=3%,p99=10%`";
            let (name, value) =
                text.split_once('=').ok_or_else(|| wrong("--margin", text, right))?;
            is_known("--margin", name)?;
            let value = part(value).ok_or_else(|| wrong("--margin", text, right))?;
            read.insert(name.to_owned(), value);
        }
        let counts = match counts {
            [] => HEADLINE.map(str::to_owned).to_vec(),
            counts => counts.to_vec(),
        };
        Ok(Demand { counts, margins: read })
    }

    pub(crate) fn counts(&self, id: &str) -> bool {
        self.counts.iter().any(|name| name == id)
    }

    pub(crate) fn is_headline(id: &str) -> bool {
        HEADLINE.contains(&id)
    }

    /// 3 % of what costs, 10 % of a time (compare V-4).
    pub(crate) fn margin(&self, id: &str) -> f64 {
        let is_time = id.starts_with('p') && id != "peak_mem" || id == "mean";
        let usual = if is_time || rubric::BUILDS.contains(&id) { 0.1 } else { 0.03 };
        self.margins.get(id).copied().unwrap_or(usual)
    }
}

/// What the user pays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Prices(pub(crate) cost::Prices);

impl Prices {
    pub(crate) fn read(text: &str) -> Result<Prices, Failure> {
        const RIGHT: &str = "write `--prices cpu=0.04/h,mem=0.005/GiBh,inst=0.17/h`";
        let mut prices = cost::Prices::new(0.0, 0.0, 0.0);
        for pair in pairs("--prices", text, RIGHT) {
            let (name, value) = pair?;
            let (value, place) = match name {
                "cpu" => (value.strip_suffix("/h"), &mut prices.cpu_hour),
                "mem" => (value.strip_suffix("/GiBh"), &mut prices.gib_hour),
                "inst" => (value.strip_suffix("/h"), &mut prices.instance_hour),
                _ => return Err(wrong("--prices", name, RIGHT)),
            };
            let price = value.and_then(|value| value.parse::<f64>().ok());
            let price = price.filter(|price| price.is_finite() && *price >= 0.0);
            *place = price.ok_or_else(|| wrong("--prices", text, RIGHT))?;
        }
        Ok(Prices(prices))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_keys_and_cores_are_read_or_refused_with_what_to_write() {
        for (text, expected) in
            [("200", Some(200.0)), ("1e4", Some(1e4)), ("2,000/s", Some(2_000.0)), ("0", None)]
        {
            assert_eq!(rate("--rate", text).ok(), expected, "{text}");
        }
        for (text, expected) in [
            ("1e6:zipf1.1", Some((1_000_000, 1.1))),
            ("10:uniform", Some((10, 0.0))),
            ("10", Some((10, 1.1))),
            ("0:uniform", None),
            ("10:pareto", None),
            ("10:zipf9", None),
        ] {
            let read = Keys::read(text).ok().map(|keys| (keys.count, keys.zipf));
            assert_eq!(read, expected, "{text}");
        }
        for (text, expected) in [
            ("none", Some(Cores::Free)),
            ("gen=0,svc=1-2", Some(Cores::Given { generator: vec![0], services: vec![1, 2] })),
            ("gen=0", None),
            ("gen=0,svc=2-1", None),
            ("gen=0,svc=1,x=2", None),
        ] {
            assert_eq!(Cores::read(Some(text)).ok(), expected, "{text}");
        }
    }

    #[test]
    fn compare_a_11_rates_are_calls_a_second_or_per_cent_of_a_capacity_that_is_looked_for() {
        let read = |text: &str, capacity| {
            let texts: Vec<String> = text.split(',').map(str::to_owned).collect();
            Offered::read(&texts, capacity)
        };
        for (text, capacity, expected) in [
            ("400,200", false, Some(Offered::At(vec![200.0, 400.0]))),
            ("400,200", true, Some(Offered::At(vec![200.0, 400.0]))),
            ("80%,20%,20%", true, Some(Offered::Parts(vec![0.2, 0.8]))),
            ("100%", true, Some(Offered::Parts(vec![1.0]))),
            ("20%", false, None),
            ("20%,400", true, None),
            ("0%", true, None),
            ("101%", true, None),
        ] {
            assert_eq!(read(text, capacity).ok(), expected, "{text} {capacity}");
        }
        let failure = read("20%", false).unwrap_err().text();
        assert!(failure.contains("--capacity --slo"), "{failure}");
    }

    #[test]
    fn an_objective_is_a_percentile_and_a_part_of_errors() {
        let read = Objective::read("p99.9=20ms,errors=1%").unwrap();
        assert_eq!((read.slow, read.error_budget), (Duration::from_millis(20), 0.01));
        assert!((read.slow_budget - 0.001).abs() < 1e-9, "{read:?}");
        for text in ["", "errors=1%", "p99", "p100=1s", "p49=1s", "p99=0s", "p99=1s,errors=2"] {
            assert!(Objective::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn prices_have_their_units_and_margins_their_rows() {
        let read = Prices::read("cpu=0.04/h,mem=0.005/GiBh,inst=0.17/h").unwrap().0;
        assert_eq!(read, cost::Prices::new(0.04, 0.005, 0.17));
        for text in ["cpu=0.04", "mem=1/h", "disk=1/h", "cpu=-1/h", "cpu=nan/h"] {
            assert!(Prices::read(text).is_err(), "{text}");
        }
        let demand = Demand::read(&[], &["cpu=5%".to_owned()]).unwrap();
        let margins = ["cpu", "p99", "peak_mem", "mean", "throughput"]
            .map(|id| demand.margin(id).to_string());
        assert_eq!(margins, ["0.05", "0.1", "0.03", "0.1", "0.03"]);
        assert!(demand.counts("p99") && !demand.counts("p50"));
        assert!(Demand::read(&["speed".into()], &[]).is_err());
        assert!(Demand::read(&[], &["cpu=300%".into()]).is_err());
    }

    #[test]
    fn a_small_file_is_a_line_a_rule() {
        let text = "# what must hold\n\n- p99<=20ms\n- 'errors<0.1%'\n  peak_mem<=256MiB\n";
        let read: Vec<&str> = lines(text).collect();
        assert_eq!(read, ["p99<=20ms", "errors<0.1%", "peak_mem<=256MiB"]);
    }
}
