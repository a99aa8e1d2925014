//! A strict reader of OpenMetrics 1.0 text, for this product's kinds of metrics.
//!
//! Source: OpenMetrics 1.0, "Text format" (ABNF) and "Metric types".

use std::collections::{BTreeMap, BTreeSet};

/// A family with its samples.
#[derive(Debug, Default)]
pub(crate) struct Family {
    pub(crate) kind: String,
    pub(crate) help: String,
    pub(crate) samples: Vec<Sample>,
}

#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// Behind the family's name: ``, `_total`, `_bucket`, `_sum`, `_count`.
    pub(crate) suffix: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// Reads the whole text.
///
/// # Errors
/// The first line that is not as it must be.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, Family>, String> {
    let Some(body) = text.strip_suffix("# EOF\n") else {
        return Err("the text does not end with `# EOF`".into());
    };
    if body.contains('\r') || body.contains("# EOF") {
        return Err("there is a carriage return, or an end before the end".into());
    }
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in body.lines() {
        let step = match line.strip_prefix("# ") {
            Some(comment) => describe(comment, &mut families, &mut current),
            None => sample(line, &mut families, &current),
        };
        step.map_err(|why| format!("{why}: {line}"))?;
    }
    for (name, family) in &families {
        judge(family).map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(families)
}

fn describe(
    comment: &str,
    families: &mut BTreeMap<String, Family>,
    current: &mut String,
) -> Result<(), &'static str> {
    let mut parts = comment.splitn(3, ' ');
    let (word, name, rest) = (parts.next(), parts.next(), parts.next());
    let (Some(word), Some(name), Some(rest)) = (word, name, rest) else {
        return Err("a comment without a name and a text");
    };
    if !is_name(name) {
        return Err("this is no name");
    }
    if name != current {
        if families.contains_key(name) {
            return Err("a family comes back");
        }
        families.insert(name.to_owned(), Family::default());
        *current = name.to_owned();
    }
    let family = families.get_mut(name).expect("it was put there");
    if !family.samples.is_empty() {
        return Err("described behind its samples");
    }
    let field = match word {
        "HELP" => &mut family.help,
        "TYPE" => &mut family.kind,
        "UNIT" if name.ends_with(&format!("_{rest}")) => return Ok(()),
        _ => return Err("an unknown comment, or a unit that the name does not end with"),
    };
    if !field.is_empty() {
        return Err("described twice");
    }
    if word == "TYPE" && !["counter", "gauge", "histogram"].contains(&rest) {
        return Err("an unknown type");
    }
    unescaped(rest, false)?;
    *field = rest.to_owned();
    Ok(())
}

fn sample(
    line: &str,
    families: &mut BTreeMap<String, Family>,
    current: &str,
) -> Result<(), &'static str> {
    let end = line.find(['{', ' ']).ok_or("a sample without a value")?;
    let (name, rest) = line.split_at(end);
    let family = families.get_mut(current).ok_or("a sample without a family")?;
    if family.kind.is_empty() || family.help.is_empty() {
        return Err("a sample before TYPE and HELP");
    }
    let suffix = name.strip_prefix(current).ok_or("a sample of another family")?;
    let allowed: &[&str] = match &*family.kind {
        "counter" => &["_total"],
        "gauge" => &[""],
        _ => &["_bucket", "_sum", "_count"],
    };
    if !allowed.contains(&suffix) {
        return Err("a suffix that the type has not");
    }
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let value = value.strip_prefix(' ').ok_or("no space before the value")?;
    let value: f64 = value.parse().map_err(|_error| "this is no number")?;
    if !value.is_finite() {
        return Err("a value that no metric of ours can have");
    }
    family.samples.push(Sample { suffix: suffix.to_owned(), labels, value });
    Ok(())
}

/// Labels up to their brace, and what follows it.
fn labels(mut rest: &str) -> Result<(BTreeMap<String, String>, &str), &'static str> {
    let mut labels = BTreeMap::new();
    loop {
        let (name, more) = rest.split_once("=\"").ok_or("a label without a value")?;
        if !is_name(name) || name.contains(':') || name.starts_with("__") {
            return Err("this is no name of a label");
        }
        let mut escaped = false;
        let end = more.find(|letter| {
            let ends = letter == '"' && !escaped;
            escaped = letter == '\\' && !escaped;
            ends
        });
        let (value, more) = more.split_at(end.ok_or("a value without an end")?);
        if labels.insert(name.to_owned(), unescaped(value, true)?).is_some() {
            return Err("a label stands twice");
        }
        rest = match more[1..].split_at_checked(1) {
            Some((",", more)) => more,
            Some(("}", more)) => return Ok((labels, more)),
            _ => return Err("neither a further label nor a brace"),
        };
    }
}

fn unescaped(text: &str, quotes: bool) -> Result<String, &'static str> {
    let mut out = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => out.push(match letters.next() {
                Some('\\') => '\\',
                Some('n') => '\n',
                Some('"') => '"',
                _ => return Err("an unknown escape"),
            }),
            '"' if quotes => return Err("a quote that is not escaped"),
            letter => out.push(letter),
        }
    }
    Ok(out)
}

fn is_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    first && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte))
}

/// What holds for all samples of a family together.
fn judge(family: &Family) -> Result<(), String> {
    if family.kind.is_empty() || family.help.is_empty() {
        return Err("it has no TYPE or no HELP".into());
    }
    let mut seen = BTreeSet::new();
    for sample in &family.samples {
        if !seen.insert((&sample.suffix, &sample.labels)) {
            return Err(format!("a series stands twice: {sample:?}"));
        }
        if family.kind != "gauge" && sample.value < 0.0 {
            return Err(format!("a count below zero: {sample:?}"));
        }
    }
    if family.kind == "histogram" { judge_histogram(family) } else { Ok(()) }
}

fn judge_histogram(family: &Family) -> Result<(), String> {
    /// Bounds with what they hold, the count, whether there is a sum.
    type Series = (Vec<(f64, f64)>, Option<f64>, bool);
    // By their labels without `le`.
    let mut series: BTreeMap<BTreeMap<String, String>, Series> = BTreeMap::new();
    for sample in &family.samples {
        let mut labels = sample.labels.clone();
        let bound = labels.remove("le");
        let (buckets, count, sum) = series.entry(labels).or_default();
        match (&*sample.suffix, bound) {
            ("_bucket", Some(bound)) => {
                let bound = if bound == "+Inf" {
                    f64::INFINITY
                } else {
                    let bound: f64 = bound.parse().map_err(|_error| "a bound that is none")?;
                    if bound >= f64::MAX {
                        return Err("a bound that should be +Inf".into());
                    }
                    bound
                };
                buckets.push((bound, sample.value));
            }
            ("_count", None) => *count = Some(sample.value),
            ("_sum", None) => *sum = true,
            _ => return Err("a bucket without `le`, or `le` elsewhere".into()),
        }
    }
    for (labels, (buckets, count, sum)) in series {
        let rises = buckets.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1);
        let last = buckets.last().copied();
        let whole = last.is_some_and(|(bound, held)| bound.is_infinite() && Some(held) == count);
        if !(rises && whole && sum) {
            return Err(format!("no whole histogram: {labels:?}"));
        }
    }
    Ok(())
}

#[test]
fn the_reader_refuses_what_is_wrong() {
    let good = "# HELP a A.\n# TYPE a counter\na_total{b=\"c\\\"d\\\\\\n\"} 1\n# EOF\n";
    let family = &parse(good).unwrap()["a"];
    assert_eq!(family.samples[0].labels["b"], "c\"d\\\n");
    let histogram = "# HELP a A.\n# TYPE a histogram\na_sum 1.5\na_count 2\na_bucket{le=\"1.0\"} 1\n\
                     a_bucket{le=\"+Inf\"} 2\n# EOF\n";
    parse(histogram).unwrap();
    for (text, change) in [
        (good, ("# EOF\n", "")),
        (good, ("# EOF\n", "# EOF\n# EOF\n")),
        (good, ("counter", "count")),
        (good, ("a_total", "a")),
        (good, ("a_total", "b_total")),
        (good, ("# HELP a A.\n", "")),
        (good, (" 1\n", " x\n")),
        (good, (" 1\n", " -1\n")),
        (good, (" 1\n", " NaN\n")),
        (good, ("b=", "b b=")),
        (good, ("\\\"", "\"")),
        (good, ("\\\\", "\\x")),
        (good, ("# EOF", "a_total{b=\"c\\\"d\\\\\\n\"} 1\n# EOF")),
        (good, ("# EOF", "# TYPE a counter\n# EOF")),
        (histogram, ("+Inf", "1.7976931348623157e308")),
        (histogram, ("a_bucket{le=\"+Inf\"} 2\n", "")),
        (histogram, ("a_count 2", "a_count 3")),
        (histogram, ("a_sum 1.5\n", "")),
        (histogram, ("le=\"1.0\"} 1", "le=\"1.0\"} 3")),
    ] {
        let wrong = text.replacen(change.0, change.1, 1);
        assert_ne!(wrong, text, "{change:?}");
        assert!(parse(&wrong).is_err(), "{wrong}");
    }
}
