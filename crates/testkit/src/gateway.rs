//! A gateway before one upstream, by the contract that a test writes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use protox::file::{
    ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver,
};
use tandem_config::Namespace;
use tandem_config::document::{Identities, Identity, Network, PlatformLimits, Traces};
use tandem_contract::Contract;
use tandem_gateway::net::Names;
use tandem_gateway::observe::{AccessLog, UpstreamFigures};
use tandem_gateway::tasks::Side;
use tandem_gateway::upstream::{Setting, Timing};
use tandem_gateway::{
    AdmitContracts, ApiKeys, Declare, Gateway, KeepContracts, KeyTiming, Listener, NotTaken, Plan,
    View, settings_of_documents,
};

/// The contract of tests: one method of each kind.
pub const CONTRACT: &str = r#"
syntax = "proto3"; package test.v1;
import "google/api/annotations.proto";
message Note { string text = 1; int64 number = 2; repeated string more = 3; }
service Notes {
  rpc Get(Note) returns (Note) { option (google.api.http) = { get: "/v1/notes/{text}" additional_bindings { post: "/v1/notes" body: "*" } }; }
  rpc Secret(Note) returns (Note) { option (google.api.http) = { get: "/v1/secret" }; }
  rpc Many(Note) returns (stream Note) { option (google.api.http) = { get: "/v1/many" }; }
  rpc Collect(stream Note) returns (Note);
  rpc Talk(stream Note) returns (stream Note);
  rpc Read(Note) returns (Note) { option idempotency_level = NO_SIDE_EFFECTS; option (google.api.http) = { get: "/v1/read/{text}" }; }
  rpc Replace(Note) returns (Note) { option idempotency_level = IDEMPOTENT; }
  rpc Follow(Note) returns (stream Note) { option idempotency_level = NO_SIDE_EFFECTS; }
}
"#;

/// A gateway that is about to start.
pub struct Setup {
    addresses: Vec<String>,
    upstream: String,
    contract: String,
    limits: String,
    quota: String,
    rules: String,
    methods: String,
    following: String,
    second: String,
    mirrored: Vec<Network>,
    offer: bool,
    keeper: Option<Arc<dyn KeepContracts>>,
    reflected: bool,
    threads: usize,
    setting: Setting,
    identity: Option<Identity>,
    access_log: Option<AccessLog>,
    traces: Option<Traces>,
    settings: Declare,
    settings_of_team: String,
    callers: String,
    auth: String,
    keys: KeyTiming,
    api_keys: ApiKeys,
}

/// A gateway before `upstream`, with public methods; `Secret` is internal.
pub fn gateway(upstream: SocketAddr) -> Setup {
    let (limits, rules, methods) = Default::default();
    Setup {
        addresses: vec![upstream.to_string()],
        upstream: String::new(),
        contract: CONTRACT.to_owned(),
        limits,
        quota: String::new(),
        rules,
        methods,
        following: String::new(),
        second: String::new(),
        mirrored: Vec::new(),
        offer: false,
        keeper: None,
        reflected: false,
        threads: 2,
        setting: Setting::default(),
        identity: None,
        access_log: None,
        traces: None,
        settings: Arc::new(settings_of_documents),
        settings_of_team: String::new(),
        callers: String::new(),
        auth: "{ public: true }".into(),
        keys: KeyTiming::default(),
        api_keys: ApiKeys::default(),
    }
}

impl Setup {
    /// Takes another contract, whose service is also `test.v1.Notes`.
    #[must_use]
    pub fn contract(mut self, text: &str) -> Setup {
        self.contract = text.to_owned();
        self
    }

    /// In place of the one address: `127.0.0.1:1`, `dns:notes.test:1`.
    #[must_use]
    pub fn addresses(mut self, addresses: impl IntoIterator<Item = impl ToString>) -> Setup {
        self.addresses = addresses.into_iter().map(|address| address.to_string()).collect();
        self
    }

    /// Adds to the upstream: `health: grpc, eject: false`.
    #[must_use]
    pub fn upstream(mut self, keys: &str) -> Setup {
        self.upstream = format!(", {keys}");
        self
    }

    /// Who the gateway is to an upstream that has `tls`; documents name files for that.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Setup {
        self.identity = Some(identity);
        self
    }

    /// One data thread, whose choices are all there are.
    #[must_use]
    pub fn one_thread(mut self) -> Setup {
        self.threads = 1;
        self
    }

    /// Whom the pools ask for names.
    #[must_use]
    pub fn names(mut self, names: Names) -> Setup {
        self.setting.names = names;
        self
    }

    /// What the pools do how often.
    #[must_use]
    pub fn timing(mut self, timing: Timing) -> Setup {
        self.setting.timing = timing;
        self
    }

    /// Adds to `limits` of the platform: `message: 1KiB, head_read: 1s`.
    #[must_use]
    pub fn limits(mut self, limits: &str) -> Setup {
        self.limits = limits.to_owned();
        self
    }

    /// Adds to `defaults` of the team: `deadline: { default: 100ms }`.
    #[must_use]
    pub fn rules(mut self, rules: &str) -> Setup {
        self.rules = format!(", {rules}");
        self
    }

    /// Says more of one method: `Get`, `http: { get: /v1/other }`.
    #[must_use]
    pub fn method(mut self, name: &str, rules: &str) -> Setup {
        self.methods.push_str(&format!("  test.v1.Notes/{name}: {{ {rules} }}\n"));
        self
    }

    /// Adds to `contract`: `follow: manual`.
    #[must_use]
    pub fn following(mut self, keys: &str) -> Setup {
        self.following = format!(", {keys}");
        self
    }

    /// Adds an upstream `second`; `it` stays the primary of all methods.
    #[must_use]
    pub fn second(mut self, address: SocketAddr) -> Setup {
        self.second = format!("  second: {{ address: {address} }}\n");
        self.rules.push_str(", primary: it");
        self
    }

    /// Adds an upstream with further keys: `rust`, `isolated: true`.
    #[must_use]
    pub fn also(mut self, name: &str, address: impl ToString, keys: &str) -> Setup {
        let address = address.to_string();
        let keys = if keys.is_empty() { String::new() } else { format!(", {keys}") };
        self.second.push_str(&format!("  {name}: {{ address: {address:?}{keys} }}\n"));
        self
    }

    /// Copies that come from there are carried.
    #[must_use]
    pub fn carries_copies_of(mut self, network: Network) -> Setup {
        self.mirrored.push(network);
        self
    }

    /// Writes a line for each call.
    #[must_use]
    pub fn access_log(mut self, log: AccessLog) -> Setup {
        self.access_log = Some(log);
        self
    }

    /// Sends sampled traces to a collector.
    #[must_use]
    pub fn traces(mut self, traces: Traces) -> Setup {
        self.traces = Some(traces);
        self
    }

    /// What the namespaces give the services for their settings.
    #[must_use]
    pub fn settings(mut self, settings: Declare) -> Setup {
        self.settings = settings;
        self
    }

    /// Writes `settings` of the team: `test.v1.Notes: { values: { text: a } }`.
    #[must_use]
    pub fn settings_of_team(mut self, settings: &str) -> Setup {
        self.settings_of_team = format!("settings: {{ {settings} }}\n");
        self
    }

    /// `identity` of the platform: `jwt: { … }, api_keys: {}`.
    #[must_use]
    pub fn callers(mut self, identity: &str) -> Setup {
        self.callers = format!("identity: {{ {identity} }}\n");
        self
    }

    /// `auth` of the team's defaults, in the place of `{ public: true }`.
    #[must_use]
    pub fn auth(mut self, auth: &str) -> Setup {
        self.auth = auth.to_owned();
        self
    }

    /// `quota` of the namespace: `calls_at_once: 3`.
    #[must_use]
    pub fn quota(mut self, quota: &str) -> Setup {
        self.quota = format!("    quota: {{ {quota} }}\n");
        self
    }

    /// How often keys of issuers are read.
    #[must_use]
    pub fn key_timing(mut self, keys: KeyTiming) -> Setup {
        self.keys = keys;
        self
    }

    /// The keys of callers.
    #[must_use]
    pub fn api_keys(mut self, keys: ApiKeys) -> Setup {
        self.api_keys = keys;
        self
    }

    /// More than two data threads.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Setup {
        self.threads = threads;
        self
    }

    /// Lets callers ask for reflection and health.
    #[must_use]
    pub fn offering(mut self) -> Setup {
        self.offer = true;
        self
    }

    /// Asks the upstream for its contract, which `keeper` keeps.
    #[must_use]
    pub fn kept_by(mut self, keeper: Arc<dyn KeepContracts>) -> Setup {
        self.keeper = Some(keeper);
        self.reflected = true;
        self
    }

    /// The documents, for a gateway that runs already.
    pub fn documents(&self) -> Documents {
        let limits = if self.limits.is_empty() {
            String::new()
        } else {
            format!("limits: {{ {} }}\n", self.limits)
        };
        let platform = format!(
            "format: 1\nlisten: {{ public: {{ address: \"127.0.0.1:0\" }} }}\n{limits}{callers}\
             namespaces:\n  notes:\n    may: {{ services: [test.v1.*], paths: [/**], \
             upstreams: [\"127.0.0.0/8:1-65535\", \"*.test:1-65535\"], public_methods: true, loopback: true, \
             cost: [\"pid:*\"] }}\n{quota}",
            callers = self.callers,
            quota = self.quota
        );
        let team = format!(
            "namespace: notes\ncontract: {{ reflection: it{} }}\nupstreams:\n  \
             it: {{ address: {:?}{} }}\n{}\
             defaults: {{ auth: {}{} }}\nmethods:\n  test.v1.Notes/*: {{}}\n  \
             test.v1.Notes/Secret: {{ internal: true }}\n{}{}",
            self.following,
            self.addresses,
            self.upstream,
            self.second,
            self.auth,
            self.rules,
            self.methods,
            self.settings_of_team
        );
        let mut loaded = tandem_config::load::from_texts(&platform, &[("notes", &team)])
            .unwrap_or_else(|problems| panic!("{problems:#?}"));
        if let Some(identity) = &self.identity {
            let upstream = loaded.namespaces[0].0.upstreams.get_mut("it").expect("the upstream");
            upstream.tls.as_mut().expect("`tls` is written").identity = Some(identity.clone());
        }
        let contracts = if self.reflected {
            BTreeMap::new()
        } else {
            BTreeMap::from([("notes".to_owned(), Arc::new(contract(&self.contract)))])
        };
        Documents {
            limits: loaded.platform.limits.clone(),
            identity: loaded.platform.identity.clone(),
            namespaces: loaded.namespaces.into_iter().map(|(namespace, _)| namespace).collect(),
            contracts,
        }
    }

    /// Starts it; must be called on a runtime.
    pub async fn start(self) -> TestGateway {
        let Documents { limits, identity, namespaces, contracts } = self.documents();
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let listener = |name: &str, internal| Listener {
            name: name.into(),
            internal,
            hosts: Vec::new(),
            mirrored: self.mirrored.clone(),
            reflection: self.offer,
            health: self.offer,
        };
        let plan = Plan {
            listeners: vec![(listener("public", false), any), (listener("internal", true), any)],
            threads: self.threads,
            limits,
            namespaces,
            versions: BTreeMap::new(),
            settings: self.settings,
            contracts,
            keeper: self.keeper,
            admit: Arc::new(Everything),
            access_log: self.access_log,
            traces: self.traces,
            grace: Duration::from_secs(10),
            upstreams: self.setting,
            identity,
            keys: self.keys,
            api_keys: self.api_keys,
        };
        let side = Side::new(tokio::runtime::Handle::current());
        let gateway = Gateway::start(plan, side.clone()).await.expect("the gateway starts");
        let public = gateway.addresses()["public"];
        let internal = gateway.addresses()["internal"];
        TestGateway { view: gateway.view(), gateway, public, internal, side }
    }
}

/// Admits every contract: the one namespace of these gateways may claim everything.
struct Everything;

impl AdmitContracts for Everything {
    fn admit(
        &self,
        _namespace: &Namespace,
        _contract: &Arc<Contract>,
        take: &mut dyn FnMut() -> Result<(), String>,
    ) -> Result<(), NotTaken> {
        take().map_err(NotTaken::Failed)
    }
}

/// What a gateway serves, checked.
pub struct Documents {
    pub limits: PlatformLimits,
    pub identity: Identities,
    pub namespaces: Vec<Namespace>,
    pub contracts: BTreeMap<String, Arc<Contract>>,
}

/// A running gateway.
pub struct TestGateway {
    pub gateway: Gateway,
    pub view: View,
    pub public: SocketAddr,
    pub internal: SocketAddr,
    pub side: Side,
}

impl TestGateway {
    /// Figures of a method by its own name.
    pub fn figures(&self, method: &str) -> tandem_gateway::observe::MethodFigures {
        let methods = self.view.metrics().methods();
        let found = methods.iter().find(|found| found.method.ends_with(method));
        found.expect("a method").figures()
    }

    /// Figures of the upstream.
    pub fn upstream(&self) -> UpstreamFigures {
        self.view.metrics().upstreams().first().expect("an upstream").figures()
    }

    /// The value of a series, its labels as they are written; 0 where it is not there.
    pub fn metric(&self, series: &str) -> u64 {
        let text = self.view.metrics().text();
        let line = text
            .lines()
            .find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
    }

    /// Waits until `look` is true.
    pub async fn until(&self, look: impl Fn(&TestGateway) -> bool) {
        let looked = async {
            while !look(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), looked).await.expect("in time");
    }
}

struct Text(String);

impl FileResolver for Text {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "test.proto" => File::from_source(name, &self.0),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// Compiles .proto text, with Google's files at hand.
pub fn contract(text: &str) -> Contract {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Text(text.to_owned()));
    resolver
        .add(IncludeFileResolver::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto")));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_file("test.proto").expect("the contract compiles");
    Contract::from_descriptor_set(&compiler.encode_file_descriptor_set()).expect("it is a contract")
}

/// Compiles `file` of `folder` and what it imports from there.
pub fn contract_of(folder: &Path, file: &str) -> Contract {
    let mut resolver = ChainFileResolver::new();
    resolver.add(IncludeFileResolver::new(folder.to_owned()));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_file(file).expect("the contract compiles");
    Contract::from_descriptor_set(&compiler.encode_file_descriptor_set()).expect("it is a contract")
}
