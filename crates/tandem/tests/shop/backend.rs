//! The composed backend as tests need it: each part can be killed and started again.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tandem_gateway::tasks::Side;
use tandem_gateway::upstream::direct::{Direct, UnaryAnswer};

/// Where the built services are; `None` says the tests cannot run.
pub(crate) fn cases() -> Option<(PathBuf, PathBuf)> {
    let rust = std::env::var_os("TANDEM_CASES_RUST")?;
    let go = std::env::var_os("TANDEM_CASES_GO")?;
    Some((rust.into(), go.into()))
}

/// Whether the tests can run; says so where they cannot.
pub(crate) fn runs() -> bool {
    let runs = cases().is_some();
    if !runs {
        println!("skipped: TANDEM_CASES_RUST and TANDEM_CASES_GO name no services (./x test)");
    }
    runs
}

/// A program with its address, which stays the same over its lives.
pub(crate) struct Part {
    program: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Part {
    pub(crate) fn start(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        // Its port was free for a moment: somebody else's call may stand on it for a little while.
        let started = until(Duration::from_secs(10), || {
            let mut child = Command::new(&self.program)
                .args(&self.arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut line = String::new();
            let _ = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line);
            if line.contains("listen") {
                return Some(child);
            }
            let _ = child.kill();
            let _ = child.wait();
            None
        });
        let child = started.unwrap_or_else(|| panic!("{:?} did not start", self.program));
        self.child = Some(child);
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The gateway, the catalogue in one language, and search.
pub(crate) struct Shop {
    pub(crate) gateway: Gateway,
    pub(crate) catalogue: Part,
    pub(crate) search: Part,
    folder: Folder,
}

/// A gateway that can be killed and started again at the same addresses.
pub(crate) struct Gateway {
    child: Option<Child>,
    folder: PathBuf,
    pub(crate) public: SocketAddr,
    pub(crate) internal: SocketAddr,
    pub(crate) admin: SocketAddr,
}

pub(crate) struct Folder(pub(crate) PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn folder() -> Folder {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("tandem-test-{}-{next}", std::process::id()));
    std::fs::create_dir_all(path.join("teams")).unwrap();
    Folder(path)
}

/// A free address. It is free again when this returns; parts that must be found at one address
/// after a restart need it known beforehand.
///
/// From below the range out of which Linux serves port 0 and outgoing connections: one of those
/// would be given to another test before the program that is told of it binds it.
pub(crate) fn free() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(97);
    (0..12_000)
        .map(|_| first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000 + 20_000)
        .map(|port| SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap())))
        .find(|address| TcpListener::bind(address).is_ok())
        .expect("a free port")
}

const CATALOGUE_METHODS: &str = "  tandem.cases.catalogue.v1.Catalogue/*: {}\n  \
     tandem.cases.catalogue.v1.Catalogue/WatchProducts: { internal: true, deadline: none }\n";

fn write_team(folder: &Folder, name: &str, address: SocketAddr, methods: &str, more: &str) {
    let text = format!(
        "namespace: {name}\ncontract: {{ reflection: it }}\nupstreams:\n  it: {{ address: \"{address}\" }}\n\
         defaults: {{ primary: it, auth: {{ public: true }}, deadline: {{ default: 5s, max: 30s }} }}\n\
         methods:\n{methods}{more}"
    );
    std::fs::write(folder.0.join(format!("teams/{name}.yaml")), text).unwrap();
}

impl Shop {
    /// With the catalogue in `language`: `go` or `rust`.
    pub(crate) fn start(language: &str) -> Shop {
        let (rust, go) = cases().expect("asked before");
        let folder = folder();
        let internal = free();
        let part = |program: PathBuf, name: &str, more: &[&str]| {
            let (address, admin) = (free(), free());
            let mut arguments: Vec<String> =
                ["--listen", &address.to_string(), "--admin", &admin.to_string()]
                    .map(str::to_owned)
                    .to_vec();
            arguments.extend(["--data".to_owned(), folder.0.join(name).display().to_string()]);
            arguments.extend(more.iter().map(|word| (*word).to_owned()));
            Part { program, arguments, child: None, address, admin }
        };
        let program =
            if language == "go" { go.join("catalogue-go") } else { rust.join("catalogue") };
        let internal_text = internal.to_string();
        let kept = folder.0.join("catalogue.settings").display().to_string();
        let settings = ["--internal", &internal_text, "--settings-file", &kept];
        let mut catalogue = part(program, "catalogue", &settings);
        let mut search =
            part(rust.join("search"), "search", &["--follow", "--internal", &internal_text]);
        catalogue.start();
        search.start();
        std::fs::write(
            folder.0.join("tandem.yaml"),
            platform(
                free(),
                internal,
                free(),
                "shop: tandem.cases.catalogue.v1.*, search: tandem.cases.search.v1.*",
            ),
        )
        .unwrap();
        write_team(&folder, "shop", catalogue.address, CATALOGUE_METHODS, "");
        let methods = "  tandem.cases.search.v1.Search/*: {}\n";
        write_team(&folder, "search", search.address, methods, "");
        let gateway = Gateway::start(&folder);
        let shop = Shop { gateway, catalogue, search, folder };
        shop.gateway.ready();
        shop
    }

    /// Writes the file of the catalogue's team anew, with `more` at its end.
    pub(crate) fn team(&self, name: &str, more: &str) {
        write_team(&self.folder, name, self.catalogue.address, CATALOGUE_METHODS, more);
    }

    /// The digests of the catalogue and of search, once they agree.
    pub(crate) fn agree(&self, limit: Duration) -> Result<Digest, (Digest, Digest)> {
        let both = || (digest(self.catalogue.admin), digest(self.search.admin));
        let agreed = until(limit, || {
            let (catalogue, search) = both();
            (catalogue == search).then_some(catalogue)
        });
        agreed.ok_or_else(both)
    }
}

/// A platform file whose namespaces may serve the named packages.
pub(crate) fn platform(
    public: SocketAddr,
    internal: SocketAddr,
    admin: SocketAddr,
    grants: &str,
) -> String {
    let mut text = format!(
        "format: 1\nlisten:\n  public: {{ address: \"{public}\", offer: {{ reflection: true, health: true }} }}\n  \
         internal: {{ address: \"{internal}\" }}\n  admin: {{ address: \"{admin}\" }}\n\
         observe: {{ access_log: {{ to: none }} }}\nnamespaces:\n"
    );
    for grant in grants.split(", ") {
        let (name, services) = grant.split_once(": ").unwrap();
        text.push_str(&format!(
            "  {name}:\n    may: {{ services: [{services}], paths: [/**], upstreams: [\"127.0.0.0/8:1-65535\"], \
             public_methods: true, loopback: true }}\n"
        ));
    }
    text
}

impl Gateway {
    /// Starts the gateway on the files of `folder`.
    pub(crate) fn start(folder: &Folder) -> Gateway {
        let mut gateway = Gateway {
            child: None,
            folder: folder.0.clone(),
            public: free(),
            internal: free(),
            admin: free(),
        };
        gateway.begin();
        gateway
    }

    pub(crate) fn begin(&mut self) {
        let ready = self.folder.join("ready.json");
        let _ = std::fs::remove_file(&ready);
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join("gateway.log"))
            .unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
        command
            .args(["run", "--config"])
            .arg(self.folder.join("tandem.yaml"))
            .arg("--data")
            .arg(self.folder.join("data"))
            .arg("--ready-file")
            .arg(&ready)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.child = Some(command.spawn().unwrap());
        let addresses = until(Duration::from_secs(20), || {
            let running = self.child.as_mut().expect("started above");
            if running.try_wait().unwrap().is_some() {
                // A port was taken for a moment; see `Part::start`.
                *running = command.spawn().unwrap();
            }
            serde_json::from_str::<Value>(&std::fs::read_to_string(&ready).ok()?).ok()
        });
        let addresses = addresses.unwrap_or_else(|| panic!("no gateway:\n{}", self.log()));
        let address = |name: &str| addresses[name].as_str().unwrap().parse().unwrap();
        self.public = address("public");
        self.internal = address("internal");
        self.admin = address("admin");
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("gateway.log")).unwrap_or_default()
    }

    pub(crate) fn ready(&self) {
        let ready = until(Duration::from_secs(30), || {
            (ask(self.admin, "GET", "/readyz", "", "")?.status == 200).then_some(())
        });
        assert!(ready.is_some(), "not ready:\n{}", self.log());
    }

    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGHUP: the files are read again.
    pub(crate) fn hang_up(&self) {
        let id = self.child.as_ref().expect("it runs").id();
        Command::new("kill").args(["-HUP", &id.to_string()]).status().unwrap();
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn terminate(&mut self) -> std::process::ExitStatus {
        let mut child = self.child.take().expect("it runs");
        Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        child.wait().unwrap()
    }

    pub(crate) fn status(&self) -> Value {
        let token = std::fs::read_to_string(self.folder.join("data/admin.token")).unwrap();
        let header = format!("authorization: Bearer {}\r\n", token.trim());
        ask(self.admin, "GET", "/api/v1/status", &header, "").unwrap().json()
    }

    /// The kept spans of a trace.
    pub(crate) fn trace(&self, id: &str) -> Vec<Value> {
        let token = std::fs::read_to_string(self.folder.join("data/admin.token")).unwrap();
        let header = format!("authorization: Bearer {}\r\n", token.trim());
        let path = format!("/api/v1/traces/{id}");
        let answer = ask(self.admin, "GET", &path, &header, "").unwrap().json();
        answer["spans"].as_array().unwrap().clone()
    }

    /// Calls of a method that are carried now.
    pub(crate) fn in_flight(&self, method: &str) -> i64 {
        let status = self.status();
        let methods = status["methods"].as_array().unwrap();
        methods
            .iter()
            .filter(|found| found["method"].as_str().unwrap().ends_with(method))
            .map(|found| found["in_flight"].as_i64().unwrap())
            .sum()
    }

    pub(crate) fn rest(&self, method: &str, path: &str, body: &str) -> Option<Answer> {
        ask(self.public, method, path, "", body)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// One HTTP/1.1 request; `None` when nobody answers.
pub(crate) fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Option<Answer> {
    let framing = if body.is_empty() {
        String::new()
    } else {
        format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len())
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}{framing}\r\n{body}"
    );
    raw(address, request.as_bytes())
}

/// Whatever bytes, and the answer to them.
pub(crate) fn raw(address: SocketAddr, request: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    stream.write_all(request).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
}

/// Names and revisions of a case, by its administration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digest {
    pub(crate) sha256: Vec<u8>,
    pub(crate) sequence: u64,
    pub(crate) count: u64,
}

/// One call by gRPC of the service itself.
fn unary(address: SocketAddr, path: &str, message: &[u8]) -> UnaryAnswer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let side = Side::new(tokio::runtime::Handle::current());
        let direct = Direct::connect(address, Duration::from_secs(5), &side).await.unwrap();
        let headers = http::HeaderMap::new();
        direct.unary(path, &headers, message, Duration::from_secs(60)).await.unwrap()
    })
}

/// Code and sentence of one call by gRPC of the service itself.
pub(crate) fn direct(address: SocketAddr, path: &str, message: &[u8]) -> (u32, String) {
    let status = unary(address, path, message).status;
    (status.code as u32, status.message.to_string())
}

pub(crate) fn digest(admin: SocketAddr) -> Digest {
    use tandem_contract::fields;
    let answer = unary(admin, "/tandem.cases.admin.v1.CaseAdmin/StateDigest", b"");
    let mut digest = Digest { sha256: Vec::new(), sequence: 0, count: 0 };
    for field in fields::each(&answer.message).map(Result::unwrap) {
        match field.number {
            1 => digest.sha256 = field.bytes.to_vec(),
            2 => digest.sequence = field.value,
            3 => digest.count = field.value,
            _ => {}
        }
    }
    digest
}

/// Looks until `look` finds something, or `limit` has passed.
pub(crate) fn until<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        // A receiver with a time limit is the timer of a test without a loop.
        let (_keep, nobody) = mpsc::channel::<()>();
        let _ = nobody.recv_timeout(Duration::from_millis(10));
    }
}

pub(crate) fn product(name: &str) -> String {
    format!("{{\"displayName\":\"{name}\",\"price\":{{\"currencyCode\":\"EUR\",\"units\":\"5\"}}}}")
}
