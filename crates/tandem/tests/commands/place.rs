//! Where commands are tried: a folder, services behind addresses, a gateway that runs.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tandem_testkit::{Backend, Script, TlsFront, gateway};

/// A folder that goes when the test ends; commands run in it.
pub(crate) struct Place(pub(crate) PathBuf);

impl Place {
    pub(crate) fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("tandem-commands-{}-{next}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    pub(crate) fn with(files: &[(&str, &str)]) -> Place {
        let place = Place::new();
        for (name, text) in files {
            place.write(name, text);
        }
        place
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Spoils the store of a gateway that has ended.
    pub(crate) fn damage_the_store(&self) {
        let file = self.0.join("data/store/store.redb");
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[..middle].fill(0x55);
        std::fs::write(&file, bytes).unwrap();
    }

    /// Every file below it, in order.
    pub(crate) fn files(&self) -> Vec<String> {
        let (mut found, mut todo) = (Vec::new(), vec![self.0.clone()]);
        while let Some(folder) = todo.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => todo.push(path),
                    false => {
                        found.push(path.strip_prefix(&self.0).unwrap().display().to_string());
                    }
                }
            }
        }
        found.sort();
        found
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
        command.args(words).current_dir(&self.0).stdin(Stdio::null());
        for name in ["CONFIG", "DATA", "ADMIN", "TOKEN_FILE", "AGENT_TOKEN_FILE", "CONTEXT"] {
            command.env_remove(format!("TANDEM_{name}"));
        }
        // No context of whoever runs the tests.
        command.env("XDG_CONFIG_HOME", self.0.join("no-config"));
        for name in ["COLUMNS", "NO_COLOR", "CLICOLOR_FORCE"] {
            command.env_remove(name);
        }
        command
    }

    pub(crate) fn tandem(&self, words: &[&str]) -> Said {
        said(&mut self.command(words))
    }
}

pub(crate) fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said {
        exit: output.status.code().unwrap_or(-1),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) exit: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Nobody listens there: from below the range out of which the system hands out ports.
pub(crate) fn free() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(89);
    (0..9_000)
        .map(|_| first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 9_000 + 10_500)
        .map(|port| SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap())))
        .find(|address| TcpListener::bind(address).is_ok())
        .expect("a free port")
}

/// A service of `test.v1.Notes` with reflection, each call of which is answered with `answer`.
pub(crate) struct Notes {
    pub(crate) address: SocketAddr,
    view: tandem_gateway::View,
    behind: SocketAddr,
    _backend: Option<Backend>,
    _stop: std::sync::mpsc::Sender<()>,
}

/// A `Note` whose `text` is this, as bytes.
pub(crate) fn note(text: &str) -> Vec<u8> {
    let mut bytes = vec![0x0a, u8::try_from(text.len()).unwrap()];
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

impl Notes {
    pub(crate) fn answering(answer: Vec<Script>) -> Notes {
        Notes::by_contract(answer, tandem_testkit::gateway::CONTRACT)
    }

    /// Any service that reflects is a gateway's upstream, so a gateway is one as well.
    pub(crate) fn by_contract(answer: Vec<Script>, contract: &str) -> Notes {
        Notes::by_rules(answer, contract, "primary: it")
    }

    /// With rules of its methods: what it refuses, say.
    pub(crate) fn by_rules(answer: Vec<Script>, contract: &str, rules: &str) -> Notes {
        let backend = Backend::start(answer);
        let notes = Notes::before(backend.address, contract, rules);
        Notes { _backend: Some(backend), ..notes }
    }

    /// Before a backend that the test keeps.
    pub(crate) fn before(address: SocketAddr, contract: &str, rules: &str) -> Notes {
        let (contract, rules) = (contract.to_owned(), rules.to_owned());
        let (say, heard) = std::sync::mpsc::channel();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap();
            let running = runtime.block_on(
                gateway(address).contract(&contract).rules(&rules).one_thread().offering().start(),
            );
            say.send((running.public, running.view)).unwrap();
            // Ends when the test drops its end.
            let _ = stopped.recv();
            runtime.block_on(running.gateway.stop());
        });
        let behind = address;
        let (address, view) = heard.recv().unwrap();
        Notes { address, view, behind, _backend: None, _stop: stop }
    }

    /// Tells another contract from now on.
    pub(crate) fn promises(&self, contract: &str) {
        let documents = gateway(self.behind).contract(contract).offering().documents();
        let (limits, namespaces) = (documents.limits, documents.namespaces);
        let taken = self.view.reload(limits, namespaces, BTreeMap::new(), &documents.contracts);
        taken.unwrap();
    }

    /// Saying `text` to everybody.
    pub(crate) fn saying(text: &str) -> Notes {
        Notes::answering(vec![Script::message(note(text))])
    }
}

/// Before `service`, over TLS, with a certificate of `authority` for `names`.
pub(crate) fn over_tls(
    service: SocketAddr,
    authority: &tandem_testkit::Authority,
    names: &[&str],
) -> TlsFront {
    TlsFront::start(service, &authority.signs(names), &["h2"], None)
}

/// A gateway that runs, and ends with the test.
pub(crate) struct Running {
    child: Child,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) said: PathBuf,
}

impl Running {
    /// Starts `tandem run` with these words in `place`, and waits until it is ready.
    pub(crate) fn start(place: &Place, words: &[&str]) -> Running {
        let running = Running::start_unready(place, words);
        let is_ready = until(Duration::from_secs(30), || {
            (ask(running.admin, "GET /readyz HTTP/1.1", "")?.0 == 200).then_some(())
        });
        assert!(is_ready.is_some(), "not ready:\n{}", running.log());
        running
    }

    /// As [`Running::start`], until its listeners are open.
    pub(crate) fn start_unready(place: &Place, words: &[&str]) -> Running {
        let ready = place.0.join("ready.json");
        let _ = std::fs::remove_file(&ready);
        let (out, said) = (place.0.join("run.out"), place.0.join("run.err"));
        let mut all = vec!["run", "--ready-file", "ready.json"];
        all.extend(words);
        let mut child = place
            .command(&all)
            .stdout(std::fs::File::create(out).unwrap())
            .stderr(std::fs::File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let log = || std::fs::read_to_string(&said).unwrap_or_default();
        let addresses = until(Duration::from_secs(30), || {
            assert!(child.try_wait().unwrap().is_none(), "it ended:\n{}", log());
            serde_json::from_str::<Value>(&std::fs::read_to_string(&ready).ok()?).ok()
        });
        let addresses = addresses.unwrap_or_else(|| panic!("no gateway:\n{}", log()));
        let address = |name: &str| addresses[name].as_str().unwrap().parse().unwrap();
        Running { public: address("public"), admin: address("admin"), child, said }
    }

    /// What it told people.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }

    /// Ends it by a signal, and says how it ended.
    pub(crate) fn signal(mut self, name: &str) -> Option<i32> {
        Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Status and body of one HTTP/1.1 request; `None` when nobody answers.
pub(crate) fn ask(address: SocketAddr, line: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let framing = match body {
        "" => String::new(),
        body => format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()),
    };
    let request = format!("{line}\r\nhost: {address}\r\nconnection: close\r\n{framing}\r\n{body}");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// What `look` finds within `limit`.
pub(crate) fn until<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() > end {
            return None;
        }
        // The one place that waits: what is waited for is another process.
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[track_caller]
pub(crate) fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}"));
    if std::env::var_os("TANDEM_REWRITE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap_or_default(), "{}", path.display());
}
