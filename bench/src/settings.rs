//! `bench settings`: from a change of a setting to every instance's running by it (hybrid SE-3).
//!
//! A thousand watchers of our own, on the HTTP/2 library, and the catalogue in Go and in Rust. The
//! clock of a change runs from the moment before it is sent to the admin API, as `tandem settings
//! set` sends it: checking it, storing it safely and publishing are part of it. A watcher of ours is there once it has the values and has sent its
//! report; a service once a call to it is answered by them, which is asked every millisecond.
//!
//! The gateway has its embedded store; each change is a version.

use std::cell::Cell;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::{SendRequest, handshake};
use http::Request;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::peer::{Peer, Speaks};
use crate::process::{Folder, Outcome, Running, stay_on_load_core};
use crate::report;

/// Each carries a report a watcher and change: together less than one connection may (LI-22).
const CONNECTIONS: usize = 40;
const WATCHERS_A_CONNECTION: usize = 25;
const CHANGES: usize = 200;
const CHANGES_QUICK: usize = 30;
const SERVICE: &str = "tandem.cases.catalogue.v1.Catalogue";
/// Nothing here takes so long.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn run(quick: bool) -> Outcome<()> {
    stay_on_load_core()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    let surroundings = report::surroundings(&root, &[(Peer::Tandem, Speaks::Grpc)]);
    report::print_surroundings(&surroundings);
    let changes = if quick { CHANGES_QUICK } else { CHANGES };
    let taken = local.block_on(&runtime, measure(&root, changes))?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load average after: {}\n", load.trim());
    let rows = taken.rows();
    println!("{:<34}{:>10}{:>10}{:>10}", "from the change to", "p50, ms", "p99, ms", "most, ms");
    for Row { name, p50, p99, most } in &rows {
        println!("{name:<34}{p50:>10.1}{p99:>10.1}{most:>10.1}");
    }
    let whole = rows.last().ok_or("nothing was measured")?;
    let met = if whole.p99 < 1_000.0 { "met" } else { "missed" };
    println!("\nbar settings: p99 {:.0} ms to every instance; now < 1000 {met}", whole.p99);
    let results = Map::from_iter([
        ("watchers".to_owned(), (CONNECTIONS * WATCHERS_A_CONNECTION).into()),
        ("changes".to_owned(), changes.into()),
        ("results".to_owned(), rows.iter().map(Row::json).collect::<Vec<_>>().into()),
    ]);
    report::write(&root, "settings", quick, [surroundings, results, Map::new()])
}

/// What was taken of each change, in milliseconds.
#[derive(Default)]
struct Taken {
    /// Every watcher, every change.
    each: Vec<f64>,
    /// The last watcher of each change.
    last: Vec<f64>,
    go: Vec<f64>,
    rust: Vec<f64>,
    /// The last of all instances.
    all: Vec<f64>,
}

struct Row {
    name: &'static str,
    p50: f64,
    p99: f64,
    most: f64,
}

impl Row {
    fn json(&self) -> Value {
        let Row { name, p50, p99, most } = self;
        json!({ "to": name, "p50_ms": p50, "p99_ms": p99, "most_ms": most })
    }
}

impl Taken {
    fn rows(self) -> Vec<Row> {
        let Taken { each, last, go, rust, all } = self;
        let row = |name, mut times: Vec<f64>| {
            times.sort_by(f64::total_cmp);
            // The nearest rank.
            let at = |part: f64| {
                let rank = (part * times.len() as f64).ceil() as usize;
                times.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
            };
            Row { name, p50: at(0.5), p99: at(0.99), most: at(1.0) }
        };
        vec![
            row("a watcher", each),
            row("the last of 1,000 watchers", last),
            row("the catalogue in Go", go),
            row("the catalogue in Rust", rust),
            row("every instance", all),
        ]
    }
}

async fn measure(root: &Path, changes: usize) -> Outcome<Taken> {
    let shop = Shop::start(root).await?;
    let (told, mut tellings) = mpsc::unbounded_channel();
    for connection in 0..CONNECTIONS {
        let mut send = connect(shop.internal).await?;
        for number in 0..WATCHERS_A_CONNECTION {
            let instance = format!("bench-{connection}-{number}");
            send = send.ready().await?;
            watch(&mut send, instance, told.clone())?;
        }
    }
    let watchers = CONNECTIONS * WATCHERS_A_CONNECTION;
    for number in 0..watchers {
        timeout(LIMIT, tellings.recv())
            .await
            .map_err(|_elapsed| format!("{number} of {watchers} told\n{}", shop.gateway.said()))?
            .ok_or("the watchers ended")??;
    }
    let (mut go, mut rust) = (connect(shop.go.1).await?, connect(shop.rust.1).await?);
    let mut taken = Taken::default();
    for change in 0..changes {
        // Never the value before, never one that was there at the start.
        let percent = 21 + (change % 39) as u8;
        let began = Instant::now();
        // Not waited for before the rest: who watches may be told before who asked is answered.
        let set = shop.set(percent);
        let since = |moment: Instant| moment.duration_since(began).as_secs_f64() * 1e3;
        let watched = async {
            let mut times = Vec::with_capacity(watchers);
            while times.len() < watchers {
                let (moment, message) = tellings.recv().await.ok_or("the watchers ended")??;
                if message == [8, percent] {
                    times.push(since(moment));
                }
            }
            Outcome::Ok(times)
        };
        let obeyed = |send| obeys(send, percent);
        let everybody = async { tokio::join!(set, watched, obeyed(&mut go), obeyed(&mut rust)) };
        let (set, watched, go, rust) = timeout(LIMIT, everybody)
            .await
            .map_err(|_elapsed| format!("change {change} never came\n{}", shop.gateway.said()))?;
        set?;
        let (watched, go, rust) = (watched?, since(go?), since(rust?));
        let last = watched.iter().copied().fold(0.0, f64::max);
        taken.each.extend(watched);
        taken.last.push(last);
        taken.go.push(go);
        taken.rust.push(rust);
        taken.all.push(last.max(go).max(rust));
    }
    Ok(taken)
}

/// A gateway with a store, and the catalogue twice.
struct Shop {
    gateway: Running,
    admin: SocketAddr,
    token: String,
    /// Of the namespace, which a change is made from.
    version: Cell<u64>,
    internal: SocketAddr,
    go: (Running, SocketAddr),
    rust: (Running, SocketAddr),
    /// Goes with the shop.
    _folder: Folder,
}

impl Shop {
    async fn start(root: &Path) -> Outcome<Shop> {
        let folder = Folder::new()?;
        let internal = free()?;
        let service = |name: &str, program: PathBuf| -> Outcome<(Running, PathBuf)> {
            let data = folder.0.join(name);
            let words = [
                ("--listen", "127.0.0.1:0".to_owned()),
                ("--admin", "127.0.0.1:0".to_owned()),
                ("--data", data.display().to_string()),
                ("--internal", internal.to_string()),
                (
                    "--settings-file",
                    folder.0.join(format!("{name}.settings")).display().to_string(),
                ),
            ];
            let words: Vec<String> =
                words.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect();
            let log = folder.0.join(format!("{name}.log"));
            Ok((Running::start(&program, &words, log.clone())?, log))
        };
        let go = service("go", root.join("target/cases/catalogue-go"))?;
        let rust = service("rust", root.join("cases/target/release/catalogue"))?;
        let go = (go.0, listening(&go.1).await?);
        let rust = (rust.0, listening(&rust.1).await?);
        std::fs::create_dir_all(folder.0.join("teams"))?;
        let platform = format!(
            "format: 1\nlisten:\n  public: {{ address: \"127.0.0.1:0\" }}\n  \
             internal: {{ address: \"{internal}\" }}\n  admin: {{ address: \"127.0.0.1:0\" }}\n\
             observe: {{ access_log: {{ to: none }} }}\nstore: {{ embedded: store }}\nnamespaces:\n  shop:\n    may: {{ services: \
             [tandem.cases.catalogue.v1.*], paths: [/**], upstreams: [\"127.0.0.0/8:1-65535\"], \
             public_methods: true, loopback: true }}\n"
        );
        std::fs::write(folder.0.join("tandem.yaml"), platform)?;
        write(&folder, go.1)?;
        let path = |name: &str| folder.0.join(name).display().to_string();
        let ready = folder.0.join("ready.json");
        let words = ["run", "--config", &path("tandem.yaml"), "--data", &path("data")];
        let mut words: Vec<String> = words.map(str::to_owned).to_vec();
        words.extend(["--ready-file".to_owned(), path("ready.json")]);
        let log = folder.0.join("gateway.log");
        let gateway = Running::start(&root.join("target/release/tandem"), &words, log)?;
        let told = timeout(LIMIT, async {
            loop {
                let told = std::fs::read_to_string(&ready).ok();
                match told.and_then(|text| serde_json::from_str::<Value>(&text).ok()) {
                    Some(told) => return told,
                    None => sleep(Duration::from_millis(5)).await,
                }
            }
        })
        .await
        .map_err(|_elapsed| format!("no gateway\n{}", gateway.said()))?;
        let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
        let token = std::fs::read_to_string(text("admin_token_file"))?.trim().to_owned();
        let (admin, version) = (text("admin").parse()?, Cell::new(1));
        let shop = Shop { gateway, admin, token, version, internal, go, rust, _folder: folder };
        // Both obey the defaults by themselves; a first change shows that both are told. It is
        // refused until the team's file is version 1.
        let first = timeout(LIMIT, async {
            while shop.set(60).await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        });
        first.await.map_err(|_elapsed| format!("no version 1\n{}", shop.gateway.said()))?;
        for address in [shop.go.1, shop.rust.1] {
            let mut send = connect(address).await?;
            timeout(LIMIT, obeys(&mut send, 60))
                .await
                .map_err(|_elapsed| format!("not told\n{}", shop.gateway.said()))??;
        }
        Ok(shop)
    }

    /// What `tandem settings set Catalogue max_discount_percent=PERCENT` sends.
    async fn set(&self, percent: u8) -> Outcome<()> {
        let Shop { admin, token, version, .. } = self;
        let body = json!({ "values": { "max_discount_percent": percent }, "why": "bench" });
        let body = body.to_string();
        let request = format!(
            "PATCH /api/v1/namespaces/shop/settings/{SERVICE} HTTP/1.1\r\nhost: {admin}\r\n\
             authorization: Bearer {token}\r\nif-match: \"{}\"\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            version.get(),
            body.len()
        );
        let mut stream = TcpStream::connect(admin).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        if !answer.starts_with("HTTP/1.1 200 ") {
            return Err(format!("the change was refused: {answer}").into());
        }
        version.set(version.get() + 1);
        Ok(())
    }
}

/// The file of the shop's team.
fn write(folder: &Folder, catalogue: SocketAddr) -> Outcome<()> {
    let team = format!(
        "namespace: shop\ncontract: {{ reflection: it }}\nupstreams:\n  \
         it: {{ address: \"{catalogue}\" }}\ndefaults: {{ auth: {{ public: true }} }}\n\
         methods:\n  {SERVICE}/*: {{}}\n"
    );
    Ok(std::fs::write(folder.0.join("teams/shop.yaml"), team)?)
}

/// An address that is free at this moment; the gateway is named to the services before it starts.
fn free() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Where a service says that it listens.
async fn listening(log: &Path) -> Outcome<SocketAddr> {
    let found = async {
        loop {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let ready = text.lines().find_map(|line| serde_json::from_str::<Value>(line).ok());
            if let Some(address) = ready.as_ref().and_then(|ready| ready["listen"].as_str()) {
                return address.parse();
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    let address: Result<SocketAddr, _> = timeout(LIMIT, found)
        .await
        .map_err(|_elapsed| format!("{} says nothing", log.display()))?;
    Ok(address?)
}

async fn connect(address: SocketAddr) -> Outcome<SendRequest<Bytes>> {
    let io = TcpStream::connect(address).await?;
    io.set_nodelay(true)?;
    let (send, driven) = handshake(io).await?;
    start(async move {
        let _ = driven.await; // its callers see the end
    });
    Ok(send.ready().await?)
}

#[expect(clippy::disallowed_methods, reason = "its tasks end with the process")]
fn start(task: impl Future<Output = ()> + 'static) {
    tokio::task::spawn_local(task);
}

fn field(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.extend([number << 3 | 2, u8::try_from(bytes.len()).expect("short fields only")]);
    out.extend(bytes);
}

fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("short messages only"));
    frame.put_slice(message);
    frame.freeze()
}

fn grpc(path: &str) -> Outcome<Request<()>> {
    let request = Request::post(format!("http://gateway.internal{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    Ok(request.body(())?)
}

type Telling = Result<(Instant, Vec<u8>), String>;

/// Watches as one instance; says each message that came, and when it was reported as applied.
fn watch(
    send: &mut SendRequest<Bytes>,
    instance: String,
    told: mpsc::UnboundedSender<Telling>,
) -> Outcome<()> {
    let mut question = Vec::new();
    field(1, SERVICE.as_bytes(), &mut question);
    field(4, instance.as_bytes(), &mut question);
    let (response, mut out) =
        send.send_request(grpc("/tandem.settings.v1.Settings/Watch")?, false)?;
    out.send_data(framed(&question), true)?;
    let mut send = send.clone();
    start(async move {
        let watched = async {
            let mut body = response.await?.into_body();
            let mut read = Vec::new();
            while let Some(data) = body.data().await {
                let data = data?;
                body.flow_control().release_capacity(data.len())?;
                read.extend_from_slice(&data);
                while let Some((message, hash, rest)) = snapshot(&read) {
                    read = rest;
                    send = send.ready().await?;
                    report(&mut send, &instance, &hash)?;
                    let _ = told.send(Ok((Instant::now(), message)));
                }
            }
            let trailers = body.trailers().await?;
            Outcome::<()>::Err(format!("a watcher ended: {trailers:?}").into())
        };
        if let Err(error) = watched.await {
            let _ = told.send(Err(error.to_string()));
        }
    });
    Ok(())
}

/// The first `Snapshot` of `read`, its message and hash, and what is behind it.
fn snapshot(read: &[u8]) -> Option<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    let length = u32::from_be_bytes(read.get(1..5)?.try_into().ok()?) as usize;
    let (frame, rest) = read.split_at_checked(5 + length)?;
    let (mut message, mut hash) = (Vec::new(), Vec::new());
    let mut fields = &frame[5..];
    // Lengths of one byte, for these values are short; the version is a number of one or more.
    while let [tag, behind @ ..] = fields {
        if tag & 7 == 0 {
            let last = behind.iter().position(|byte| byte & 0x80 == 0)?;
            fields = &behind[last + 1..];
            continue;
        }
        let [length, more @ ..] = behind else { return None };
        let (bytes, behind) = more.split_at_checked((*length).into())?;
        match tag >> 3 {
            2 => message = bytes.to_vec(),
            3 => hash = bytes.to_vec(),
            _ => {}
        }
        fields = behind;
    }
    Some((message, hash, rest.to_vec()))
}

fn report(send: &mut SendRequest<Bytes>, instance: &str, hash: &[u8]) -> Outcome<()> {
    let mut message = Vec::new();
    field(1, SERVICE.as_bytes(), &mut message);
    field(2, instance.as_bytes(), &mut message);
    field(4, hash, &mut message);
    field(5, &[], &mut message);
    let (response, mut out) =
        send.send_request(grpc("/tandem.settings.v1.Settings/Report")?, false)?;
    out.send_data(framed(&message), true)?;
    start(async move {
        if let Ok(response) = response.await {
            let mut body = response.into_body();
            while body.data().await.is_some() {}
        }
    });
    Ok(())
}

/// Asks a service for a product with an impossible discount until its refusal names `percent`.
async fn obeys(send: &mut SendRequest<Bytes>, percent: u8) -> Outcome<Instant> {
    let (mut money, mut product, mut request) = (Vec::new(), Vec::new(), Vec::new());
    field(1, b"EUR", &mut money);
    field(2, b"Kettle", &mut product);
    field(5, &money, &mut product);
    product.extend([13 << 3, 61]);
    field(1, b"kettle", &mut request);
    field(2, &product, &mut request);
    let wanted = format!("must be 0 to {percent},");
    loop {
        let mut ready = send.clone().ready().await?;
        let (response, mut out) =
            ready.send_request(grpc(&format!("/{SERVICE}/CreateProduct"))?, false)?;
        out.send_data(framed(&request), true)?;
        let response = response.await?;
        // A refusal is in the head, or behind an empty body.
        let mut said = response.headers().get("grpc-message").cloned();
        let mut body = response.into_body();
        while body.data().await.is_some() {}
        if let Some(trailers) = body.trailers().await? {
            said = trailers.get("grpc-message").cloned();
        }
        let said = said.ok_or("a product was created, or no reason given")?;
        if said.to_str()?.replace("%20", " ").contains(&wanted) {
            return Ok(Instant::now());
        }
        sleep(Duration::from_millis(1)).await;
    }
}
