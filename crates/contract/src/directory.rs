//! Hosts → namespace → methods: the one table that detection reads (protocols D-7).
//!
//! It is built with the snapshot over all namespaces. A public listener sees the methods that are
//! not internal, of the namespaces that claim the caller's host, or of those that claim none. The
//! internal listener sees every method of every namespace; where two hold one service there, the
//! namespace that claims the authority wins, then one that claims no host.
//!
//! Not here: which protocol a call speaks (`tandem_protocol::detect`).

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use crate::http_rule::path::{EncodedSlash, Path, PathFault, PathSwitches, TrailingSlash};
use crate::http_rule::trie::{self, Match, Trie};
use crate::types::{Contract, MethodId};

/// Index of a method in the directory; the same in every table that is built beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MethodIndex(pub u32);

/// A method that a namespace serves.
#[derive(Debug, Clone)]
pub struct DirectoryMethod {
    pub contract: Arc<Contract>,
    pub method: MethodId,
    /// Found on the internal listener only (protocols D-5).
    pub internal: bool,
    pub paths: PathSwitches,
}

/// A namespace as the directory needs it.
#[derive(Debug, Clone)]
pub struct NamespaceEntry {
    pub name: String,
    /// Lower case, without port; empty claims no host.
    pub hosts: Vec<String>,
    pub methods: Vec<DirectoryMethod>,
    /// Whether `/package.Service/Method` is served as well.
    pub rpc_paths: bool,
}

/// A method in its place.
#[derive(Debug)]
pub struct IndexedMethod {
    /// Index of the namespace in the list that the directory was built from.
    pub namespace: u32,
    pub namespace_name: Arc<str>,
    pub contract: Arc<Contract>,
    pub method: MethodId,
    pub internal: bool,
    pub paths: PathSwitches,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Audience<'a> {
    /// The call came in by the internal listener.
    pub internal: bool,
    /// Lower case; may carry a port.
    pub authority: &'a str,
    /// The hosts of the listener; empty for namespaces that claim no host.
    pub listener_hosts: &'a [String],
}

/// What a REST request means.
#[derive(Debug, PartialEq, Eq)]
pub enum RestMatch {
    Found {
        method: MethodIndex,
        /// Index into the method's rules.
        rule: usize,
        /// What the path binds, decoded once, in the order of the rule's variables.
        values: Vec<String>,
    },
    /// The path is known, the HTTP method is not.
    WrongMethod {
        /// For the header `Allow`.
        allow: Vec<String>,
    },
    NotFound,
    /// The path without the `/` at its end is known, and its method sends callers there.
    Redirect,
    /// 400, before anything else.
    Malformed(PathFault),
}

/// Two namespaces, or two rules of one, claim the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryFault {
    /// `GET /v1/products` or `/package.Service/Method`.
    pub what: String,
    /// Namespace and method of the claim that stands.
    pub first: (String, String),
    /// Namespace and method of the claim that is refused.
    pub second: (String, String),
}

impl fmt::Display for DirectoryFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DirectoryFault { what, first, second } = self;
        write!(
            formatter,
            "{what} is claimed twice: by {} in `{}` and by {} in `{}`",
            first.1, first.0, second.1, second.0
        )
    }
}

/// The table itself. Immutable.
#[derive(Debug, Default)]
pub struct Directory {
    methods: Vec<IndexedMethod>,
    public_hosts: HashMap<Box<str>, Table>,
    public: Table,
    internal_hosts: HashMap<Box<str>, Table>,
    internal: Table,
}

#[derive(Debug, Default)]
struct Table {
    rpc: HashMap<Box<str>, MethodIndex>,
    rest: Trie<(MethodIndex, usize)>,
}

impl Directory {
    /// A directory without methods: everything is unknown.
    pub fn empty() -> Directory {
        Directory::default()
    }

    /// Builds the tables.
    ///
    /// # Errors
    /// All pairs of equal claims that one caller could mean both by.
    pub fn build(namespaces: Vec<NamespaceEntry>) -> Result<Directory, Vec<DirectoryFault>> {
        let (directory, faults) = Directory::of_what_stands(namespaces);
        if faults.is_empty() { Ok(directory) } else { Err(faults) }
    }

    /// Builds the tables of the claims that stand: of two equal ones the first. The others are
    /// left out and given back, each once.
    pub fn of_what_stands(namespaces: Vec<NamespaceEntry>) -> (Directory, Vec<DirectoryFault>) {
        let mut directory = Directory::default();
        let mut faults = Vec::new();
        // Index ranges of the methods of each namespace.
        let mut ranges = Vec::new();
        for (number, namespace) in namespaces.iter().enumerate() {
            let first = directory.methods.len();
            let name: Arc<str> = namespace.name.as_str().into();
            for DirectoryMethod { contract, method, internal, paths } in &namespace.methods {
                directory.methods.push(IndexedMethod {
                    namespace: number as u32,
                    namespace_name: Arc::clone(&name),
                    contract: Arc::clone(contract),
                    method: *method,
                    internal: *internal,
                    paths: *paths,
                });
            }
            ranges.push(first..directory.methods.len());
        }
        let methods = &directory.methods;
        let mut by_host: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (number, namespace) in namespaces.iter().enumerate() {
            for host in &namespace.hosts {
                by_host.entry(host).or_default().push(number);
            }
        }
        let unhosted: Vec<usize> =
            (0..namespaces.len()).filter(|number| namespaces[*number].hosts.is_empty()).collect();
        let fill = |numbers: &[usize], internal: bool, faults: &mut Vec<DirectoryFault>| {
            let mut table = Table::default();
            for number in numbers {
                for index in ranges[*number].clone() {
                    if methods[index].internal && !internal {
                        continue;
                    }
                    let rpc = namespaces[*number].rpc_paths || internal;
                    table.add(methods, MethodIndex(index as u32), rpc, faults);
                }
            }
            table
        };
        directory.public = fill(&unhosted, false, &mut faults);
        for (host, numbers) in &by_host {
            let table = fill(numbers, false, &mut faults);
            directory.public_hosts.insert((*host).into(), table);
        }
        // On the internal listener doubles are lawful and the order decides.
        let mut lawful = Vec::new();
        let all = |first: &[usize]| -> Vec<usize> {
            let mut order = first.to_vec();
            order.extend(unhosted.iter().filter(|number| !first.contains(number)));
            order.extend(
                (0..namespaces.len())
                    .filter(|number| !first.contains(number) && !unhosted.contains(number)),
            );
            order
        };
        directory.internal = fill(&all(&[]), true, &mut lawful);
        for (host, numbers) in &by_host {
            let table = fill(&all(numbers), true, &mut lawful);
            directory.internal_hosts.insert((*host).into(), table);
        }
        // A namespace of many hosts claims everything once for each.
        let mut told: Vec<DirectoryFault> = Vec::new();
        faults.retain(|fault| {
            let new = !told.contains(fault);
            told.extend(new.then(|| fault.clone()));
            new
        });
        (directory, faults)
    }

    /// The method at `index`.
    ///
    /// # Panics
    /// When `index` comes from another directory and is out of range here.
    pub fn method(&self, index: MethodIndex) -> &IndexedMethod {
        &self.methods[index.0 as usize]
    }

    /// All methods; position and `MethodIndex` agree.
    pub fn methods(&self) -> &[IndexedMethod] {
        &self.methods
    }

    /// The method at `/package.Service/Method`, compared byte by byte (protocols D-3).
    pub fn find_rpc(&self, audience: Audience<'_>, path: &str) -> Option<MethodIndex> {
        self.table(audience)?.rpc.get(path).copied()
    }

    /// The rule that a REST request means. `raw_path` is the target without its query.
    ///
    /// What a path with `%2F` or with a slash at its end means is looked up all the same, and the
    /// method that it means decides whether it may be said so (protocols P-5, P-10).
    pub fn find_rest(
        &self,
        audience: Audience<'_>,
        http_method: &str,
        raw_path: &str,
    ) -> RestMatch {
        let path = match Path::of(raw_path) {
            Ok(path) => path,
            Err(fault) => return RestMatch::Malformed(fault),
        };
        let found = match self.table(audience) {
            Some(table) => table.rest.find(http_method, &path),
            None => Match::NotFound,
        };
        let meant = match found {
            Match::Found { value: (method, _), .. }
            | Match::WrongMethod { best: (method, _), .. } => Some(self.method(*method)),
            Match::NotFound => None,
        };
        let switches = meant.map_or_else(PathSwitches::default, |indexed| indexed.paths);
        if let Some(fault) = path.held()
            && switches.encoded_slash == EncodedSlash::Refuse
        {
            return RestMatch::Malformed(fault);
        }
        match found {
            Match::Found { .. } if path.trailing_slash() => match switches.trailing_slash {
                TrailingSlash::NotFound => RestMatch::NotFound,
                TrailingSlash::Redirect => RestMatch::Redirect,
            },
            Match::Found { value: &(method, rule), verb } => {
                let indexed = self.method(method);
                let variables = &indexed.contract.method(indexed.method).rules[rule].variables;
                RestMatch::Found { method, rule, values: trie::values(variables, &path, verb) }
            }
            Match::WrongMethod { allow, .. } if !path.trailing_slash() => {
                RestMatch::WrongMethod { allow: allow.into_iter().map(str::to_owned).collect() }
            }
            Match::WrongMethod { .. } | Match::NotFound => RestMatch::NotFound,
        }
    }

    fn table(&self, audience: Audience<'_>) -> Option<&Table> {
        let host = host_of(audience.authority);
        if audience.internal {
            return Some(self.internal_hosts.get(host).unwrap_or(&self.internal));
        }
        if !audience.listener_hosts.is_empty()
            && !audience.listener_hosts.iter().any(|listener| listener == host)
        {
            return None;
        }
        Some(self.public_hosts.get(host).unwrap_or(&self.public))
    }
}

impl Table {
    fn add(
        &mut self,
        methods: &[IndexedMethod],
        index: MethodIndex,
        rpc: bool,
        faults: &mut Vec<DirectoryFault>,
    ) {
        let named = |index: MethodIndex| {
            let indexed = &methods[index.0 as usize];
            let method = indexed.contract.method(indexed.method);
            (indexed.namespace_name.to_string(), method.full_name().to_owned())
        };
        let indexed = &methods[index.0 as usize];
        let method = indexed.contract.method(indexed.method);
        if rpc {
            match self.rpc.get(&method.path) {
                None => {
                    self.rpc.insert(method.path.clone(), index);
                }
                Some(first) => faults.push(DirectoryFault {
                    what: method.path.to_string(),
                    first: named(*first),
                    second: named(index),
                }),
            }
        }
        for (number, rule) in method.rules.iter().enumerate() {
            let inserted = self.rest.insert(&rule.http_method, &rule.template, (index, number));
            if let Err((first, _)) = inserted {
                faults.push(DirectoryFault {
                    what: format!("{} {}", rule.http_method, rule.template.text()),
                    first: named(*first),
                    second: named(index),
                });
            }
        }
    }
}

/// The host of an authority: without its port, brackets of IPv6 kept.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(':') =>
        {
            // In `[::1]` the last colon stands inside the brackets.
            if host.starts_with('[') && !host.ends_with(']') { authority } else { host }
        }
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn the_port_is_no_part_of_the_host() {
        for (authority, host) in [
            ("api.example.com", "api.example.com"),
            ("api.example.com:8080", "api.example.com"),
            ("127.0.0.1:1", "127.0.0.1"),
            ("[::1]:8080", "[::1]"),
            ("[::1]", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(host_of(authority), host);
        }
    }
}
