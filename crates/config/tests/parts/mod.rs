//! What several tests of stores need: a folder that goes away, somebody with rights, a document
//! that passes its check.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use protox::file::{
    ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver,
};
use tandem_config::access::{Identity, Membership, Principal, Role, Who};
use tandem_config::audit::{Source, Timestamp};
use tandem_config::history::{Checked, PlatformBasis};
use tandem_config::store::{NamespaceName, Scope};
use tandem_config::{Act, Problem};
use tandem_contract::Contract;

/// A folder of this test alone.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder::below(&std::env::temp_dir())
    }

    pub(crate) fn below(place: &Path) -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tandem-store-{}-{number}", std::process::id());
        let path = place.join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn name(text: &str) -> NamespaceName {
    NamespaceName::new(text).unwrap()
}

pub(crate) fn scope(text: &str) -> Scope {
    Scope::namespace(text).unwrap()
}

pub(crate) fn member(namespace: &str, role: Role) -> Principal {
    let who = Who::parse(&format!("user:{}", role.name())).unwrap();
    let mut membership = Membership::new();
    membership.grant(&name(namespace), &who, role);
    membership.principal(&Identity { who, groups: BTreeSet::new(), platform_admin: false })
}

pub(crate) fn admin() -> Principal {
    let who = Who::parse("user:root").unwrap();
    let identity = Identity { who, groups: BTreeSet::new(), platform_admin: true };
    Membership::new().principal(&identity)
}

pub(crate) fn act<'a>(principal: &'a Principal, why: &'a str) -> Act<'a> {
    Act { principal, source: Source::Cli, when: Timestamp(1_700_000_000_000), why }
}

struct One(String);

impl FileResolver for One {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "one.proto" => File::from_source(name, &self.0),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// A contract of `package.Service`s, each with one method and its REST path.
pub(crate) fn contract(services: &[(&str, &str)]) -> Arc<Contract> {
    let bodies: String = services
        .iter()
        .map(|(service, path)| {
            format!(
                "service {service} {{ rpc Get(M) returns (M) \
                 {{ option (google.api.http) = {{ get: \"{path}\" }}; }} }}\n"
            )
        })
        .collect();
    let text = format!(
        "syntax = \"proto3\"; package p; import \"google/api/annotations.proto\";\n\
         message M {{ string name = 1; }}\n{bodies}"
    );
    let mut resolver = ChainFileResolver::new();
    resolver.add(One(text));
    resolver
        .add(IncludeFileResolver::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto")));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_file("one.proto").unwrap();
    Arc::new(Contract::from_descriptor_set(&compiler.encode_file_descriptor_set()).unwrap())
}

/// Grants `a`, `b` and `c` everything that the documents here claim.
pub(crate) const PLATFORM: &str = "format: 1
listen: { public: { address: 127.0.0.1:0 } }
namespaces:
  a: { may: { services: [p.*], paths: [/**], upstreams: [\"*:*\"], public_methods: true, loopback: true } }
  b: { may: { services: [p.*], paths: [/**], upstreams: [\"*:*\"], public_methods: true, loopback: true } }
  c: { may: { services: [p.A], public_methods: true } }
";

/// The document of `namespace`, which serves `services` from `port`.
pub(crate) fn document(namespace: &str, services: &[&str], port: u16) -> String {
    let methods: Vec<String> = services.iter().map(|one| format!("{one}/*: {{}}")).collect();
    format!(
        "namespace: {namespace}\ncontract: {{ reflection: go }}\n\
         upstreams: {{ go: {{ address: \"dns:go:{port}\" }} }}\n\
         defaults: {{ auth: {{ public: true }} }}\nmethods: {{ {} }}\n",
        methods.join(", ")
    )
}

/// The document after its check.
pub(crate) fn checked(
    namespace: &str,
    text: &str,
    contract: &Arc<Contract>,
) -> Result<Checked, Vec<Problem>> {
    let platform = PlatformBasis::of_file(PLATFORM);
    Checked::namespace(&platform, &name(namespace), text, contract, None)
}
