//! A gateway with a store, and everybody who may come to it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::place::{Notes, Place, Running, Said, until};

/// What a team's document says in these tests; `deadline` is what they change.
pub(crate) fn document(service: SocketAddr, deadline: &str) -> String {
    format!(
        "# The notes of the team.\nnamespace: notes\ncontract: {{ reflection: go }}\n\
         upstreams:\n  go: {{ address: \"{service}\" }}\n\
         defaults:\n  primary: go\n  auth: {{ public: true }}\n  \
         deadline: {{ default: {deadline}, max: 10s }} # how long\n\
         methods:\n  test.v1.Notes/*: {{}}\n"
    )
}

pub(crate) const PLATFORM: &str = r#"format: 1
listen:
  public: { address: 127.0.0.1:0 }
  internal: { address: 127.0.0.1:0 }
  admin: { address: 127.0.0.1:0 }
observe: { access_log: { to: none } }
store: { embedded: data/store }
namespaces:
  notes:
    members: { owner: [token:owner], publisher: [token:publisher], editor: [token:editor], viewer: [token:viewer] }
    may: { services: [test.v1.*], paths: [/v1/**], upstreams: ["127.0.0.0/8:1-65535"], public_methods: true, loopback: true }
  other:
    members: { owner: [token:stranger] }
    may: { hosts: [other.example.com], services: [test.v1.*], paths: [/v1/**], upstreams: ["127.0.0.0/8:1-65535"], public_methods: true, loopback: true }
"#;

/// Makes a namespace of its own host.
pub(crate) const CREATE: [&str; 19] = [
    "ns",
    "create",
    "ledger",
    "--owner",
    "token:lee",
    "--host",
    "ledger.example.com",
    "--service",
    "test.v1.*",
    "--path",
    "/v1/**",
    "--upstream",
    "127.0.0.0/8:1-65535",
    "--public-methods",
    "--loopback",
    "--document",
    "4KiB",
    "-m",
    "a team of its own",
];

/// A namespace that the store grants the paths of the notes, on their hosts.
pub(crate) fn create_beside_the_notes(team: &Team) {
    let words: Vec<&str> = CREATE
        .into_iter()
        .filter(|word| !["--host", "ledger.example.com"].contains(word))
        .collect();
    let made = team.tandem(&words);
    assert_eq!(made.exit, 0, "{made:?}");
}

/// A gateway with a store, whose one namespace is at version 1.
pub(crate) struct Team {
    // Ends before its folder goes.
    pub(crate) running: Running,
    pub(crate) place: Place,
    pub(crate) service: Notes,
}

impl Team {
    pub(crate) fn start() -> Team {
        Team::before(Notes::saying("a note"))
    }

    pub(crate) fn before(service: Notes) -> Team {
        let document = document(service.address, "2s");
        let place = Place::with(&[("tandem.yaml", PLATFORM), ("teams/notes.yaml", &document)]);
        let running = Running::start(&place, &[]);
        let team = Team { running, place, service };
        team.is_at(1);
        team
    }

    /// Ends the gateway as a fault of the machine would, and starts it anew.
    pub(crate) fn killed_and_started(self) -> Team {
        let Team { running, place, service } = self;
        running.signal("-KILL");
        let running = Running::start(&place, &[]);
        Team { running, place, service }
    }

    /// Waits until this version is live.
    pub(crate) fn is_at(&self, number: u64) {
        let live = until(Duration::from_secs(30), || {
            let said = self.tandem(&["ns", "show", "notes", "--json"]);
            let version = serde_json::from_str::<Value>(&said.out).ok()?["version"].as_u64();
            (version == Some(number)).then_some(())
        });
        assert!(live.is_some(), "version {number} is not live:\n{}", self.running.log());
    }

    /// A command that asks this gateway as its operator.
    pub(crate) fn tandem(&self, words: &[&str]) -> Said {
        let admin = self.running.admin.to_string();
        self.place.tandem(&[words, &["--admin", &admin]].concat())
    }

    pub(crate) fn operator(&self) -> String {
        self.place.read("data/admin.token").trim().to_owned()
    }

    /// A new token of this name.
    pub(crate) fn token(&self, name: &str, more: &[&str]) -> String {
        let said = self.tandem(&[&["token", "create", name][..], more].concat());
        assert_eq!(said.exit, 0, "{said:?}");
        said.out.trim().to_owned()
    }

    /// One request to the admin API.
    pub(crate) fn api(&self, method: &str, path: &str) -> Request {
        Request {
            address: self.running.admin,
            head: format!("{method} /api/v1{path} HTTP/1.1\r\nhost: {}\r\n", self.running.admin),
            body: String::new(),
        }
    }
}

/// A request that is put together.
pub(crate) struct Request {
    address: SocketAddr,
    head: String,
    body: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The first problem of a refusal.
    pub(crate) fn problem(&self) -> Value {
        self.json()["problems"][0].clone()
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .next()
    }
}

impl Request {
    /// A request by its first line.
    pub(crate) fn raw(address: SocketAddr, line: &str) -> Request {
        Request { address, head: format!("{line}\r\nhost: {address}\r\n"), body: String::new() }
    }

    /// As [`Request::raw`], to a host that the address does not say.
    pub(crate) fn to_host(address: SocketAddr, line: &str, host: &str) -> Request {
        Request { address, head: format!("{line}\r\nhost: {host}\r\n"), body: String::new() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Request {
        self.head += &format!("{name}: {value}\r\n");
        self
    }

    pub(crate) fn token(self, token: &str) -> Request {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn made_from(self, number: u64) -> Request {
        self.header("if-match", &format!("\"{number}\""))
    }

    pub(crate) fn json(self, body: &Value) -> Request {
        let body = body.to_string();
        Request { body, ..self.header("content-type", "application/json") }
    }

    pub(crate) fn send(self) -> Answer {
        let Request { address, head, body } = self;
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let length = body.len();
        let request = format!("{head}connection: close\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Answer { status: status.unwrap_or(0), head: head.to_owned(), body: body.to_owned() }
    }
}
