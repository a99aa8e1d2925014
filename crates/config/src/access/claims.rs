//! What the live version of each namespace claims, so that no two claim the same (security T-1,
//! RB-7).
//!
//! The claims of a namespace are stored in the transaction that makes its version live, and every
//! such transaction moves one guard that all of them rest on; so of two that race the second is
//! judged beside the first. A service that tells more than when its version was published claims
//! it in the same way, before anything of it serves. One that tells less gives nothing back: it may
//! be an older build that runs for an hour, and its team must find its paths again. What is no
//! longer told is given back by the next version that somebody publishes.
//!
//! Two namespaces meet where they answer one host. There, a service belongs to one of them, and
//! so does each path, whatever the HTTP method: it is refused to claim a path that another's
//! template matches as well, be it equal, wider or narrower. (The directory of a snapshot refuses
//! equal templates only, because within one team the more exact one wins. Between teams a more
//! exact one would take calls away.) What is internal may be claimed by several: there the order
//! decides.
//!
//! Not here: what the platform grants (`crate::check`).

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use tandem_contract::{Contract, Template, TemplateSegment};

use crate::document::{Namespace, PlatformLimits};

/// What one namespace claims on public listeners.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// Lower case, without port. Empty: what is asked for without a host that is claimed.
    pub hosts: BTreeSet<String>,
    /// Full names.
    pub services: BTreeSet<String>,
    pub paths: BTreeSet<ClaimedPath>,
    /// Full names of the services whose settings it writes. A service watches its settings by its
    /// name alone, so these belong to one namespace whatever the hosts.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub settings: BTreeSet<String>,
}

/// The paths that a template matches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimedPath {
    pub segments: Vec<ClaimedSegment>,
    pub verb: Option<String>,
}

/// One segment of a [`ClaimedPath`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClaimedSegment {
    /// Decoded.
    Literal(String),
    One,
    /// Last; any number, also none.
    Rest,
}

/// What two namespaces both claim. Names neither, for each team reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimConflict {
    /// A service, its settings, or a template of the later claim.
    pub what: String,
    /// Whether it is claimed for one host, and not everywhere.
    pub of_host: bool,
}

impl fmt::Display for ClaimConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClaimConflict { what, of_host } = self;
        let who = if *of_host { " that answers the same host" } else { "" };
        write!(f, "{what} is claimed by another namespace{who}")
    }
}

impl std::error::Error for ClaimConflict {}

impl Claims {
    /// What `document` claims, with `contract` as it serves it ([`Namespace::served`]).
    pub fn of(document: &Namespace, contract: &Contract, limits: &PlatformLimits) -> Claims {
        let named = document.services();
        let mut claims = Claims {
            hosts: document.hosts.iter().cloned().collect(),
            services: BTreeSet::new(),
            paths: BTreeSet::new(),
            settings: document.settings.keys().cloned().collect(),
        };
        for (_, method) in contract.methods() {
            if !named.contains(&*method.service) {
                continue;
            }
            let rules = document.resolve(&method.service, &method.name, method.kind, limits);
            if rules.internal {
                continue;
            }
            if document.rpc_paths() {
                claims.services.insert(method.service.to_string());
            }
            claims.paths.extend(method.rules.iter().map(|rule| ClaimedPath::of(&rule.template)));
        }
        claims
    }

    /// Everything that either claims; both are of one document, so of the same hosts.
    #[must_use]
    pub fn joined(mut self, other: &Claims) -> Claims {
        let Claims { hosts, services, paths, settings } = other;
        self.hosts.extend(hosts.iter().cloned());
        self.services.extend(services.iter().cloned());
        self.paths.extend(paths.iter().cloned());
        self.settings.extend(settings.iter().cloned());
        self
    }

    /// The first thing that both claim, in the words of `self`.
    pub fn conflict(&self, other: &Claims) -> Option<ClaimConflict> {
        if let Some(service) = self.settings.intersection(&other.settings).next() {
            let what = format!("`settings.{service}`");
            return Some(ClaimConflict { what, of_host: false });
        }
        let both_open = self.hosts.is_empty() && other.hosts.is_empty();
        if !both_open && self.hosts.is_disjoint(&other.hosts) {
            return None;
        }
        let conflict = |what: String| Some(ClaimConflict { what, of_host: true });
        if let Some(service) = self.services.intersection(&other.services).next() {
            return conflict(format!("the service `{service}`"));
        }
        for path in &self.paths {
            let rpc = path.service_of_rpc_path();
            if rpc.is_some_and(|service| other.services.contains(service))
                || other.paths.iter().any(|claimed| path.meets(claimed))
            {
                return conflict(format!("the path `{path}`"));
            }
        }
        let theirs = other.paths.iter().filter_map(ClaimedPath::service_of_rpc_path);
        let service = theirs.into_iter().find(|service| self.services.contains(*service))?;
        conflict(format!("the service `{service}`"))
    }
}

impl ClaimedPath {
    fn of(template: &Template) -> ClaimedPath {
        let segments = template.segments().map(|segment| match segment {
            TemplateSegment::Literal(text) => ClaimedSegment::Literal(text.to_owned()),
            TemplateSegment::One => ClaimedSegment::One,
            TemplateSegment::Rest => ClaimedSegment::Rest,
        });
        ClaimedPath { segments: segments.collect(), verb: template.verb().map(str::to_owned) }
    }

    /// Whether some path is matched by both. A path whose last segment holds a colon is read with
    /// and without a verb (protocols P-7), so a template with a verb also meets one without.
    fn meets(&self, other: &ClaimedPath) -> bool {
        match (&self.verb, &other.verb) {
            (None, None) => segments_meet(&self.segments, &other.segments),
            (Some(one), Some(another)) => {
                one == another && segments_meet(&self.segments, &other.segments)
            }
            (Some(verb), None) => meet_read_whole(&other.segments, &self.segments, verb),
            (None, Some(verb)) => meet_read_whole(&self.segments, &other.segments, verb),
        }
    }

    /// `a.B` of the template `/a.B/C`.
    fn service_of_rpc_path(&self) -> Option<&str> {
        match self.segments.as_slice() {
            [ClaimedSegment::Literal(service), ClaimedSegment::Literal(_)] => Some(service),
            _ => None,
        }
    }
}

impl fmt::Display for ClaimedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                ClaimedSegment::Literal(text) => write!(f, "/{text}")?,
                ClaimedSegment::One => f.write_str("/*")?,
                ClaimedSegment::Rest => f.write_str("/**")?,
            }
        }
        self.verb.iter().try_for_each(|verb| write!(f, ":{verb}"))
    }
}

/// Whether a template without a verb, whose path is read whole, meets one with `verb`: the path
/// ends in `:verb`, and what is before it is matched by the other's segments.
fn meet_read_whole(plain: &[ClaimedSegment], verbed: &[ClaimedSegment], verb: &str) -> bool {
    use ClaimedSegment::{Literal, One, Rest};
    let Some((last, front)) = plain.split_last() else { return false };
    // `/:verb` is the root with a verb.
    let root = front.is_empty() && segments_meet(&[], verbed);
    let ending = |end: &[ClaimedSegment]| segments_meet(&[front, end].concat(), verbed);
    match last {
        Literal(text) => match text.strip_suffix(verb).and_then(|text| text.strip_suffix(':')) {
            None => false,
            Some("") => root,
            Some(text) => ending(&[Literal(text.to_owned())]),
        },
        One => root || ending(&[One]),
        // Either `**` holds the last segment, or it holds none.
        Rest => root || ending(&[One, Rest]) || meet_read_whole(front, verbed, verb),
    }
}

fn segments_meet(one: &[ClaimedSegment], other: &[ClaimedSegment]) -> bool {
    use ClaimedSegment::{Literal, One, Rest};
    match (one, other) {
        ([], []) => true,
        // `**` matches nothing as well, so it meets whatever goes on and whatever ends.
        ([Rest, ..], _) | (_, [Rest, ..]) => true,
        ([], _) | (_, []) => false,
        ([Literal(first), rest @ ..], [Literal(second), others @ ..]) => {
            first == second && segments_meet(rest, others)
        }
        ([One | Literal(_), rest @ ..], [One | Literal(_), others @ ..]) => {
            segments_meet(rest, others)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `/v1/*:verb` as a claim.
    fn path(text: &str) -> ClaimedPath {
        let (body, verb) = match text.rsplit_once(':') {
            Some((body, verb)) => (body, Some(verb.to_owned())),
            None => (text, None),
        };
        let segment = |text: &str| match text {
            "*" => ClaimedSegment::One,
            "**" => ClaimedSegment::Rest,
            literal => ClaimedSegment::Literal(literal.to_owned()),
        };
        let segments = body.split('/').skip(1).filter(|text| !text.is_empty()).map(segment);
        ClaimedPath { segments: segments.collect(), verb }
    }

    fn claims(hosts: &[&str], services: &[&str], paths: &[&str]) -> Claims {
        Claims {
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            services: services.iter().map(|service| (*service).to_owned()).collect(),
            paths: paths.iter().map(|text| path(text)).collect(),
            settings: BTreeSet::new(),
        }
    }

    #[test]
    fn security_t_1_an_equal_a_wider_and_a_narrower_claim_meet() {
        for (one, other, meet) in [
            ("/v1/a", "/v1/a", true),
            ("/v1/a", "/v1/b", false),
            ("/v1/*", "/v1/a", true),
            ("/v1/*", "/v1/a/b", false),
            ("/v1/**", "/v1/a/b", true),
            ("/v1/**", "/v1", true), // zero segments
            ("/v1/**", "/v2/a", false),
            ("/**", "/v1/a:watch", true),
            ("/v1/*/c", "/v1/b/*", true),
            ("/v1/*/c", "/v1/b/d", false),
            ("/v1/a:x", "/v1/a:y", false),
            ("/v1/a:x", "/v1/a", false),
            ("/v1/a:x", "/v1/*", true), // `/v1/a:x` is read both ways
            ("/v1/*:x", "/v1/*", true),
            ("/v1/*:x", "/v1/b:x", true),
            ("/:x", "/*", true),
            ("/:x", "/**", true),
            ("/:x", "/a", false),
            ("/**:x", "/a", false),
            ("/a:x", "/a/**", false), // `a:x` is not `a`
            ("/a/b:x", "/a/**", true),
        ] {
            assert_eq!(path(one).meets(&path(other)), meet, "{one} and {other}");
            assert_eq!(path(other).meets(&path(one)), meet, "{other} and {one}");
        }
    }

    #[test]
    fn security_t_1_only_those_who_answer_one_host_meet() {
        let a = claims(&["a.example"], &["a.B"], &["/v1/a"]);
        for (hosts, meet) in [(&["a.example"][..], true), (&["b.example"], false), (&[], false)] {
            let other = claims(hosts, &["a.B"], &[]);
            assert_eq!(other.conflict(&a).is_some(), meet, "{hosts:?}");
            assert_eq!(a.conflict(&other).is_some(), meet, "{hosts:?}");
        }
        let open = claims(&[], &["a.B"], &[]);
        assert!(open.conflict(&open.clone()).is_some());
    }

    #[test]
    fn settings_of_a_service_belong_to_one_namespace_whatever_the_hosts() {
        let with = |hosts: &[&str], service: &str| Claims {
            settings: BTreeSet::from([service.to_owned()]),
            ..claims(hosts, &[], &[])
        };
        let a = with(&["a.example"], "p.A");
        let conflict = with(&["b.example"], "p.A").conflict(&a).unwrap();
        assert_eq!(conflict.to_string(), "`settings.p.A` is claimed by another namespace");
        assert_eq!(with(&["b.example"], "p.B").conflict(&a), None);
        assert_eq!(claims(&["b.example"], &["p.A"], &[]).conflict(&a), None);
        // What was stored before there were settings is read as it was.
        let old = r#"{"hosts":["a.example"],"services":[],"paths":[]}"#;
        let read: Claims = serde_json::from_str(old).unwrap();
        assert_eq!(read, claims(&["a.example"], &[], &[]));
        assert_eq!(serde_json::to_string(&read).unwrap(), old);
    }

    #[test]
    fn protocols_d_5_a_path_that_is_the_rpc_path_of_anothers_service_meets_it() {
        let service = claims(&[], &["a.B"], &[]);
        let rule = claims(&[], &[], &["/a.B/Get"]);
        assert!(rule.conflict(&service).is_some() && service.conflict(&rule).is_some());
        let other = claims(&[], &[], &["/a.C/Get"]);
        assert!(other.conflict(&service).is_none() && service.conflict(&other).is_none());
    }

    /// Segments of each path of up to three, over a small alphabet.
    fn universe() -> Vec<Vec<String>> {
        let words = ["a", "b", "a:x", "a:y", "b:x", "b:y", "a:x:y"].map(str::to_owned);
        let mut paths = vec![Vec::new()];
        for length in 0..3 {
            let longer: Vec<_> = paths
                .iter()
                .filter(|path| path.len() == length)
                .flat_map(|path| {
                    words.iter().map(|word| [&path[..], std::slice::from_ref(word)].concat())
                })
                .collect();
            paths.extend(longer);
        }
        paths
    }

    /// A matcher that knows only the words of the rules: segments, then the verb, both readings.
    fn matches(claimed: &ClaimedPath, path: &[String]) -> bool {
        let as_read = |segments: &[String], verb: Option<&str>| {
            let mut left = segments;
            for segment in &claimed.segments {
                match segment {
                    ClaimedSegment::Rest => return claimed.verb.as_deref() == verb,
                    ClaimedSegment::One if left.is_empty() => return false,
                    ClaimedSegment::Literal(text) if left.first() != Some(text) => return false,
                    ClaimedSegment::One | ClaimedSegment::Literal(_) => left = &left[1..],
                }
            }
            left.is_empty() && claimed.verb.as_deref() == verb
        };
        let split = path.split_last().and_then(|(last, front)| {
            let (text, verb) = last.rsplit_once(':')?;
            Some(([front, &[text.to_owned()]].concat(), verb.to_owned()))
        });
        as_read(path, None) || split.is_some_and(|(segments, verb)| as_read(&segments, Some(&verb)))
    }

    #[test]
    fn security_t_1_claims_meet_exactly_where_some_path_is_matched_by_both() {
        let universe = universe();
        let words = ["a", "b", "*"];
        let mut templates: Vec<String> = vec!["/**".to_owned()];
        for one in words {
            templates.push(format!("/{one}"));
            for end in ["a", "b", "*", "**"] {
                templates.push(format!("/{one}/{end}"));
            }
        }
        let with_verbs: Vec<String> =
            templates.iter().flat_map(|text| [format!("{text}:x"), format!("{text}:y")]).collect();
        templates.extend(with_verbs);
        let mut met = 0;
        for one in &templates {
            for other in &templates {
                let (first, second) = (path(one), path(other));
                let both = universe.iter().find(|p| matches(&first, p) && matches(&second, p));
                assert_eq!(first.meets(&second), both.is_some(), "{one} and {other}: {both:?}");
                met += usize::from(both.is_some());
            }
        }
        assert!(met > 100 && met < templates.len().pow(2), "{met} of {}", templates.len().pow(2));
    }
}
