//! Who sees which methods: hosts, listeners and internal methods (protocols D-5, D-7).

#[path = "checks/served.rs"]
mod served;

use std::sync::Arc;

use tandem_contract::HttpMethod;
use tandem_contract::directory::{Audience, Directory, DirectoryMethod, NamespaceEntry, RestMatch};
use tandem_contract::http_rule::path::PathSwitches;

/// A namespace whose methods `M0`, `M1`… have these templates; those in `internal` are internal.
fn namespace(name: &str, hosts: &[&str], templates: &[&str], internal: &[usize]) -> NamespaceEntry {
    let rules: Vec<_> =
        templates.iter().map(|text| (HttpMethod::Get, (*text).to_owned())).collect();
    let (contract, faults) = served::served(&rules);
    assert_eq!(faults, []);
    let contract = Arc::new(contract);
    let methods = contract
        .methods()
        .take(templates.len())
        .enumerate()
        .map(|(number, (method, _))| DirectoryMethod {
            contract: Arc::clone(&contract),
            method,
            internal: internal.contains(&number),
            paths: PathSwitches::default(),
        })
        .collect();
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    NamespaceEntry { name: name.into(), hosts, methods, rpc_paths: true }
}

/// `a/M0` for the method of a path, `-` for none.
fn rest(directory: &Directory, audience: Audience<'_>, path: &str) -> String {
    match directory.find_rest(audience, "GET", path) {
        RestMatch::Found { method, .. } => {
            let indexed = directory.method(method);
            format!("{}/{}", indexed.namespace_name, indexed.contract.method(indexed.method).name)
        }
        RestMatch::NotFound => "-".into(),
        other => panic!("{other:?}"),
    }
}

fn rpc(directory: &Directory, audience: Audience<'_>, path: &str) -> String {
    match directory.find_rpc(audience, path) {
        Some(method) => {
            let indexed = directory.method(method);
            format!("{}/{}", indexed.namespace_name, indexed.contract.method(indexed.method).name)
        }
        None => "-".into(),
    }
}

const OUTSIDE: Audience<'_> = Audience { internal: false, authority: "any", listener_hosts: &[] };
const INSIDE: Audience<'_> = Audience { internal: true, ..OUTSIDE };

#[test]
fn protocols_d_5_internal_methods_exist_inside_only_and_rpc_paths_can_be_off() {
    let mut entry = namespace("a", &[], &["/v1/open", "/v1/inner"], &[1]);
    for rpc_paths in [true, false] {
        entry.rpc_paths = rpc_paths;
        let directory = Directory::build(vec![entry.clone()]).expect("no claims are equal");
        let of_rpc = if rpc_paths { "a/M0" } else { "-" };
        assert_eq!(rpc(&directory, OUTSIDE, "/t.S/M0"), of_rpc);
        assert_eq!(rpc(&directory, OUTSIDE, "/t.S/M1"), "-");
        assert_eq!(rest(&directory, OUTSIDE, "/v1/open"), "a/M0");
        assert_eq!(rest(&directory, OUTSIDE, "/v1/inner"), "-");
        // Services call each other by gRPC whatever the public sees.
        assert_eq!(rpc(&directory, INSIDE, "/t.S/M0"), "a/M0");
        assert_eq!(rpc(&directory, INSIDE, "/t.S/M1"), "a/M1");
        assert_eq!(rest(&directory, INSIDE, "/v1/inner"), "a/M1");
        for unknown in ["/t.S/M2", "/t.S/m0", "/t.S/M0/", "/t.S/%4d0", "t.S/M0", "/t.T/M0", ""] {
            assert_eq!(rpc(&directory, INSIDE, unknown), "-", "{unknown}");
        }
    }
}

#[test]
fn protocols_d_7_hosts_say_whose_methods_a_caller_means() {
    let directory = Directory::build(vec![
        namespace("a", &["a.example", "b.example"], &["/v1/{f0}"], &[]),
        namespace("c", &["c.example"], &["/v1/{f0}", "/v2"], &[]),
        namespace("d", &[], &["/v1/{f0}", "/v3"], &[]),
    ])
    .expect("no host is claimed twice");
    let c_only = ["c.example".to_owned()];
    for (authority, listener_hosts, path, outside, inside) in [
        ("a.example", &[][..], "/v1/x", "a/M0", "a/M0"),
        ("b.example:8443", &[], "/v1/x", "a/M0", "a/M0"),
        ("c.example", &[], "/v1/x", "c/M0", "c/M0"),
        ("c.example", &[], "/v2", "c/M1", "c/M1"),
        // One host, one set of methods: the others are unknown there.
        ("a.example", &[], "/v2", "-", "c/M1"),
        ("a.example", &[], "/v3", "-", "d/M1"),
        ("other.example", &[], "/v1/x", "d/M0", "d/M0"),
        ("127.0.0.1:8080", &[], "/v3", "d/M1", "d/M1"),
        ("[::1]:8080", &[], "/v1/x", "d/M0", "d/M0"),
        ("", &[], "/v2", "-", "c/M1"),
        // A listener with hosts answers these only.
        ("c.example", &c_only, "/v1/x", "c/M0", "c/M0"),
        ("c.example:1", &c_only, "/v1/x", "c/M0", "c/M0"),
        ("a.example", &c_only, "/v1/x", "-", "a/M0"),
        ("other.example", &c_only, "/v1/x", "-", "d/M0"),
    ] {
        let audience = Audience { internal: false, authority, listener_hosts };
        assert_eq!(rest(&directory, audience, path), outside, "{authority} {path}");
        let audience = Audience { internal: true, authority, listener_hosts: &[] };
        assert_eq!(rest(&directory, audience, path), inside, "inside: {authority} {path}");
    }
}

#[test]
fn protocols_d_7_and_p_15_of_two_equal_claims_the_first_stands() {
    let hosts = ["a.example", "b.example"];
    let twice = namespace("a", &hosts, &["/v1/{f0}", "/v1/{f1}", "/v2"], &[]);
    let (directory, faults) = Directory::of_what_stands(vec![twice.clone()]);
    // Once, although it is claimed at two hosts.
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(
        faults[0].to_string(),
        "GET /v1/{f1} is claimed twice: by t.S/M0 in `a` and by t.S/M1 in `a`"
    );
    for host in hosts {
        let audience = Audience { authority: host, ..OUTSIDE };
        assert_eq!(rest(&directory, audience, "/v1/x"), "a/M0");
        assert_eq!(rest(&directory, audience, "/v2"), "a/M2");
        assert_eq!(rpc(&directory, audience, "/t.S/M1"), "a/M1");
    }
    assert_eq!(Directory::build(vec![twice]).unwrap_err(), faults);
    // Where nobody could mean both, nothing is claimed twice.
    let apart = |one: &[usize], other: &str| {
        let first = namespace("a", &["a.example"], &["/v1/{f0}"], one);
        let second = namespace("b", &[other], &["/v1/{f0}"], &[]);
        Directory::build(vec![first, second]).map_or_else(|faults| faults.len(), |_| 0)
    };
    assert_eq!(apart(&[], "b.example"), 0);
    assert_eq!(apart(&[], "a.example"), 2, "the RPC path and the rule");
    assert_eq!(apart(&[0], "a.example"), 0, "an internal method is none of the public's");
}
