//! Claims of random namespaces, one after another and racing, against a model (security T-1).

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::access::claims::{ClaimedPath, ClaimedSegment};
use crate::probe::{act, owner};
use crate::store::{Memory, check};

const NAMESPACES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn claims(random: &mut StdRng) -> Claims {
    let mut some = |of: &[&str], most: usize| -> BTreeSet<String> {
        let count = random.random_range(0..=most);
        (0..count).map(|_| of[random.random_range(0..of.len())].to_owned()).collect()
    };
    let (hosts, services) = (some(&["h1", "h2"], 2), some(&["p.A", "p.B", "p.C", "p.D", "p.E"], 2));
    let templates = some(&["/v1/x", "/v1/*", "/v1/**", "/v2/x", "/v2/x:go", "/v2/*", "/p.A/G"], 2);
    let path = |text: &String| {
        let (body, verb) = text
            .split_once(':')
            .map_or((text.as_str(), None), |(body, verb)| (body, Some(verb.to_owned())));
        let segment = |text: &str| match text {
            "*" => ClaimedSegment::One,
            "**" => ClaimedSegment::Rest,
            literal => ClaimedSegment::Literal(literal.to_owned()),
        };
        ClaimedPath { segments: body.split('/').skip(1).map(segment).collect(), verb }
    };
    Claims {
        hosts,
        services,
        paths: templates.iter().map(path).collect(),
        settings: BTreeSet::new(),
    }
}

/// Every request that the claims answer: host, and a service or a path of a small world.
fn answered(claims: &Claims) -> BTreeSet<String> {
    let open = BTreeSet::from([String::new()]);
    let hosts = if claims.hosts.is_empty() { &open } else { &claims.hosts };
    let mut requests: BTreeSet<String> =
        claims.services.iter().map(|service| format!("/{service}/G")).collect();
    for path in &claims.paths {
        let text = path.to_string();
        let world = [
            "/v1",
            "/v1/x",
            "/v1/y",
            "/v1/x/y",
            "/v2/x",
            "/v2/y",
            "/v2/x:go",
            "/p.A/G",
            "/v1/a/b/c",
        ];
        requests.extend(
            world
                .iter()
                .filter(|request| match text.as_str() {
                    "/v1/*" => matches!(**request, "/v1/x" | "/v1/y"),
                    "/v1/**" => **request == "/v1" || request.starts_with("/v1/"),
                    "/v2/*" => request.starts_with("/v2/"),
                    literal => **request == literal,
                })
                .map(|request| (*request).to_owned()),
        );
    }
    hosts.iter().flat_map(|host| requests.iter().map(move |one| format!("{host}{one}"))).collect()
}

fn publish(store: &dyn Store, namespace: &str, claims: &Claims, text: &str) -> Result<(), String> {
    let scope = Scope::namespace(namespace).unwrap();
    let who = owner(namespace);
    let history = History::new(store);
    let checked = Checked::for_tests(&scope, text, claims.clone());
    loop {
        let live = history.live(&who, &scope).unwrap().map_or(0, |live| live.version.number);
        match history.publish(act(&who), &checked, live) {
            Ok(_) => return Ok(()),
            Err(ActFault::Act(HistoryFault::Newer { .. })) => {}
            Err(ActFault::Act(fault @ HistoryFault::Claimed(_))) => return Err(fault.to_string()),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn security_t_1_random_claims_are_granted_exactly_where_the_model_grants_them() {
    let mut random = StdRng::seed_from_u64(1);
    let (mut granted, mut refused) = (0, 0);
    for round in 0..400 {
        let store = Memory::new();
        let mut model: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for step in 0..25 {
            let namespace = NAMESPACES[random.random_range(0..NAMESPACES.len())];
            let claims = claims(&mut random);
            let wanted = answered(&claims);
            let free = model
                .iter()
                .filter(|(holder, _)| **holder != namespace)
                .all(|(_, held)| held.is_disjoint(&wanted));
            let outcome = publish(&store, namespace, &claims, &format!("{round} {step}"));
            assert_eq!(outcome.is_ok(), free, "{round}.{step} {namespace} {claims:?}: {outcome:?}");
            if free {
                model.insert(namespace, wanted);
                granted += 1;
            } else {
                refused += 1;
            }
        }
        assert_eq!(check(&store).unwrap(), []);
    }
    assert!(granted > 1_000 && refused > 1_000, "{granted} granted, {refused} refused");
}

#[test]
fn security_t_1_claims_that_race_are_never_held_twice() {
    let mut random = StdRng::seed_from_u64(2);
    let mut refused = 0;
    for round in 0..60 {
        let store = Memory::new();
        let plans: Vec<(&str, Vec<Claims>)> = NAMESPACES
            .iter()
            .map(|namespace| (*namespace, (0..4).map(|_| claims(&mut random)).collect()))
            .collect();
        let store = &store;
        refused += std::thread::scope(|scope| {
            let threads: Vec<_> = plans
                .iter()
                .map(|(namespace, plan)| {
                    scope.spawn(move || {
                        let texts = (0..plan.len()).map(|step| format!("{round} {step}"));
                        plan.iter()
                            .zip(texts)
                            .filter(|(claims, text)| {
                                publish(store, namespace, claims, text).is_err()
                            })
                            .count()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        let findings = check(store).unwrap();
        assert_eq!(findings, [], "round {round}");
    }
    assert!(refused > 60, "{refused} refused: the claims hardly met");
}
