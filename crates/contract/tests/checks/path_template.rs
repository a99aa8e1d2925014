//! Any rules and any paths: the directory says what a naive reading of the rules says.
//!
//! The naive reading knows nothing of tries: it cuts templates and paths by hand, tries every rule
//! on every path and takes the best. Read as text, a line `GET /v1/{f0}` is a rule and a line
//! `> GET /v1/a` a request.

#[path = "served.rs"]
mod served;

use std::collections::BTreeSet;
use std::sync::Arc;

use tandem_contract::directory::{
    Audience, Directory, DirectoryFault, DirectoryMethod, NamespaceEntry, RestMatch,
};
use tandem_contract::http_rule::path::{EncodedSlash, PathSwitches, TrailingSlash};
use tandem_contract::{ConfiguredFault, Contract, HttpMethod};

use self::served::RULES_MOST;
pub(crate) use self::served::served;

/// Fails when the directory disagrees.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut rules = Vec::new();
    let mut requests = Vec::new();
    for line in text.lines() {
        let request = line.strip_prefix("> ");
        let Some((http_method, rest)) = request.unwrap_or(line).split_once(' ') else { continue };
        match request {
            Some(_) => requests.push((http_method.to_owned(), rest.to_owned())),
            None => match HttpMethod::of_kind(http_method) {
                Ok(http_method) => rules.push((http_method, rest.to_owned())),
                Err(fault) => {
                    assert!(!fault.what.is_empty() && fault.column.is_some(), "{fault:?}")
                }
            },
        }
    }
    rules.truncate(RULES_MOST);
    requests.truncate(32);
    agree(&rules, &requests);
}

/// Fails when the directory of `rules` disagrees with the naive reading about a request, or
/// depends on the order of the rules.
pub(crate) fn agree(rules: &[(HttpMethod, String)], requests: &[(String, String)]) {
    let (_, faults) = served(rules);
    for ConfiguredFault { method, fault, .. } in &faults {
        let text = &rules[method.0 as usize].1;
        let column = fault.column.unwrap_or_else(|| panic!("no column: {fault:?}"));
        assert!((1..=text.chars().count() + 1).contains(&column), "{text:?}: {fault:?}");
        assert!(!fault.what.is_empty() && !fault.fix.is_empty(), "{fault:?}");
    }
    let refused: BTreeSet<u32> = faults.iter().map(|fault| fault.method.0).collect();
    let mut kept: Vec<(HttpMethod, String)> = (0..)
        .zip(rules)
        .filter(|(number, _)| !refused.contains(number))
        .map(|(_, rule)| rule.clone())
        .collect();
    let equal = drop_equal_rules(&mut kept);
    let built = directory(&served(&accepted(rules, &refused)).0, PathSwitches::default());
    assert_eq!(built.err().map_or(0, |faults| faults.len()), equal, "{rules:?}");

    let mut reversed = kept.clone();
    reversed.reverse();
    for encoded_slash in [EncodedSlash::Refuse, EncodedSlash::Decode] {
        let switches = PathSwitches { encoded_slash, trailing_slash: TrailingSlash::Redirect };
        let directory = [&kept, &reversed]
            .map(|rules| directory(&served(rules).0, switches).expect("no rules are equal"));
        for (http_method, path) in requests {
            let expected = naive(&kept, http_method, path, switches);
            let found = meant(&directory[0], http_method, path);
            assert_eq!(found, expected, "{http_method} {path:?} {switches:?} {kept:?}");
            let mut turned = meant(&directory[1], http_method, path);
            if let Meaning::Found { rule, .. } = &mut turned {
                *rule = kept.len() - 1 - *rule;
            }
            assert_eq!(turned, expected, "turned: {http_method} {path:?} {kept:?}");
        }
    }
}

fn accepted(rules: &[(HttpMethod, String)], refused: &BTreeSet<u32>) -> Vec<(HttpMethod, String)> {
    let numbered = (0..).zip(rules);
    numbered.filter(|(number, _)| !refused.contains(number)).map(|(_, rule)| rule.clone()).collect()
}

/// Drops rules that match what an earlier one does, and says how many.
fn drop_equal_rules(rules: &mut Vec<(HttpMethod, String)>) -> usize {
    let before = rules.len();
    let mut seen = Vec::new();
    rules.retain(|(http_method, text)| {
        let template = Cut::of(text);
        let key = (http_method.clone(), template.segments, template.verb);
        let new = !seen.contains(&key);
        seen.push(key);
        new
    });
    before - rules.len()
}

/// What a request means, with the number of the rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Found {
        rule: usize,
        values: Vec<String>,
    },
    /// With `Allow`.
    WrongMethod(Vec<String>),
    NotFound,
    Redirect,
    Malformed,
}

/// The directory of one namespace that serves a contract.
pub(crate) fn directory(
    contract: &Contract,
    paths: PathSwitches,
) -> Result<Directory, Vec<DirectoryFault>> {
    let contract = Arc::new(contract.clone());
    let methods = contract
        .methods()
        .map(|(method, _)| DirectoryMethod {
            contract: Arc::clone(&contract),
            method,
            internal: false,
            paths,
        })
        .collect();
    let entry = NamespaceEntry { name: "a".into(), hosts: Vec::new(), methods, rpc_paths: true };
    Directory::build(vec![entry])
}

pub(crate) fn meant(directory: &Directory, http_method: &str, path: &str) -> Meaning {
    let audience = Audience { internal: false, authority: "any", listener_hosts: &[] };
    match directory.find_rest(audience, http_method, path) {
        RestMatch::Found { method, rule: 0, values } => {
            Meaning::Found { rule: directory.method(method).method.0 as usize, values }
        }
        RestMatch::Found { rule, .. } => panic!("a method has one rule, not {rule}"),
        RestMatch::WrongMethod { allow } => Meaning::WrongMethod(allow),
        RestMatch::NotFound => Meaning::NotFound,
        RestMatch::Redirect => Meaning::Redirect,
        RestMatch::Malformed(_) => Meaning::Malformed,
    }
}

// From here on: the naive reading.

/// A template that is well formed, cut at its slashes.
struct Cut {
    /// `*`, `**`, and literals, decoded, behind a `=`.
    segments: Vec<String>,
    verb: String,
    /// First and last segment of each variable, and whether it has one segment.
    variables: Vec<(usize, usize, bool)>,
}

impl Cut {
    fn of(text: &str) -> Cut {
        let mut depth = 0;
        let mut colon = text.len();
        for (place, letter) in text.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ':' if depth == 0 => colon = place,
                _ => {}
            }
        }
        let (path, verb) = text.split_at(colon);
        let mut cut = Cut {
            segments: Vec::new(),
            verb: said(verb.strip_prefix(':').unwrap_or("")),
            variables: Vec::new(),
        };
        let mut rest = &path[1..];
        while !rest.is_empty() {
            if let Some(variable) = rest.strip_prefix('{') {
                let (inside, behind) = variable.split_once('}').expect("a brace that closes");
                let pattern = inside.split_once('=').map_or("*", |(_, pattern)| pattern);
                let first = cut.segments.len();
                cut.segments.extend(pattern.split('/').map(kind));
                let one = !pattern.contains('/') && pattern != "**";
                cut.variables.push((first, cut.segments.len(), one));
                rest = behind.strip_prefix('/').unwrap_or(behind);
            } else {
                let (segment, behind) = rest.split_once('/').unwrap_or((rest, ""));
                cut.segments.push(kind(segment));
                rest = behind;
            }
        }
        cut
    }

    /// How exactly the segments match, the smaller the better; `None` for not at all.
    fn rank(&self, segments: &[&str]) -> Option<Vec<u8>> {
        let open = self.segments.last().is_some_and(|last| last == "**");
        let fixed = self.segments.len() - usize::from(open);
        if segments.len() < fixed || !open && segments.len() > fixed {
            return None;
        }
        let mut rank = Vec::new();
        for (wanted, segment) in self.segments[..fixed].iter().zip(segments) {
            match wanted == "*" {
                true => rank.push(1),
                false if wanted[1..] == said(segment) => rank.push(0),
                false => return None,
            }
        }
        rank.extend(open.then_some(2));
        Some(rank)
    }

    fn values(&self, segments: &[&str]) -> Vec<String> {
        let value = |&(first, last, one): &(usize, usize, bool)| {
            let open = self.segments.get(last - 1).is_some_and(|segment| segment == "**");
            let last = if open { segments.len() } else { last };
            let texts: Vec<String> = segments[first..last]
                .iter()
                .map(|segment| match one {
                    true => said(segment),
                    // What is decoded to a slash is kept as it was written.
                    false => said(&segment.replace("%2F", "%252F").replace("%2f", "%252f")),
                })
                .collect();
            texts.join("/")
        };
        self.variables.iter().map(value).collect()
    }
}

fn kind(segment: &str) -> String {
    if matches!(segment, "*" | "**") { segment.to_owned() } else { format!("={}", said(segment)) }
}

/// The bytes that a text with escapes says; `None` for broken escapes.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|two| two.bytes().all(|d| d.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    Some(bytes)
}

fn said(text: &str) -> String {
    bytes(text).and_then(|bytes| String::from_utf8(bytes).ok()).expect("a text that was judged")
}

fn naive(
    rules: &[(HttpMethod, String)],
    http_method: &str,
    raw: &str,
    switches: PathSwitches,
) -> Meaning {
    let Some(path) = raw.strip_prefix('/') else { return Meaning::Malformed };
    let inner = path.strip_suffix('/').unwrap_or(path);
    let slash = inner != path;
    let segments: Vec<&str> = if path.is_empty() { vec![] } else { inner.split('/').collect() };
    let mut held = false;
    for segment in &segments {
        let Some(text) = bytes(segment).and_then(|bytes| String::from_utf8(bytes).ok()) else {
            return Meaning::Malformed;
        };
        let control = text.bytes().any(|byte| byte < 32 || byte == 127);
        let dots = text.split(['/', '\\']).any(|part| part == "." || part == "..");
        if text.is_empty() || control || dots || segment.contains('\\') {
            return Meaning::Malformed;
        }
        held |= text.contains(['/', '\\']);
    }
    let rules: Vec<(&HttpMethod, Cut)> =
        rules.iter().map(|(http_method, text)| (http_method, Cut::of(text))).collect();
    let matching = |verb: &str, segments: &[&str]| -> Vec<(Vec<u8>, usize)> {
        let ranked = rules.iter().enumerate().filter(|(_, (_, cut))| cut.verb == verb);
        ranked.filter_map(|(number, (_, cut))| Some((cut.rank(segments)?, number))).collect()
    };
    let mut reading = segments.clone();
    let mut found = Vec::new();
    if let Some((before, verb)) = segments.last().and_then(|last| last.rsplit_once(':'))
        && !verb.is_empty()
        && (segments.len() == 1 || !before.is_empty())
        && !matches!(said(before).as_str(), "." | "..")
    {
        reading.pop();
        reading.extend((!before.is_empty()).then_some(before));
        found = matching(&said(verb), &reading);
    }
    if found.is_empty() {
        found = matching("", &segments);
        reading = segments;
    }
    let decode = switches.encoded_slash == EncodedSlash::Decode;
    if held && (found.is_empty() || !decode) {
        return Meaning::Malformed;
    }
    let takes = |rule: usize| match rules[rule].0 {
        own if own.name() == http_method => Some(0),
        HttpMethod::Get if http_method == "HEAD" => Some(1),
        HttpMethod::Any => Some(2),
        _ => None,
    };
    let best = found
        .iter()
        .filter_map(|(rank, rule)| Some((rank, takes(*rule)?, *rule)))
        .min()
        .map(|(_, _, rule)| rule);
    match best {
        Some(_) if slash && switches.trailing_slash == TrailingSlash::Redirect => Meaning::Redirect,
        _ if slash || found.is_empty() => Meaning::NotFound,
        Some(rule) => Meaning::Found { rule, values: rules[rule].1.values(&reading) },
        None => {
            let mut allow: BTreeSet<&str> =
                found.iter().map(|(_, rule)| rules[*rule].0.name()).collect();
            allow.extend(allow.contains("GET").then_some("HEAD"));
            allow.insert("OPTIONS");
            Meaning::WrongMethod(allow.into_iter().map(str::to_owned).collect())
        }
    }
}
