//! What a call through the gateway costs, against the same call made directly.
//!
//! `bench calls [--quick]`: the gateway alone on core 0, upstream and load on core 1; rounds
//! interleave the targets and the medians are printed with their spread. CPU is the run time of
//! all threads of the process, by the kernel's accounts, divided by the calls; only rounds
//! without a failed call count. The load is h2load's.
//!
//! Not here: peers (`streams`); these figures say what the gateway costs by itself, with a real
//! service behind it, on the machine that they were taken on.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::process::Outcome;

/// Calls of one round.
const CALLS: u64 = 20_000;
const CALLS_QUICK: u64 = 4_000;
const ROUNDS: usize = 7;
const ROUNDS_QUICK: usize = 3;

pub(crate) fn run(quick: bool) -> Outcome<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let folder = Folder::new()?;
    let (upstream, address) = upstream(&root, &folder.0)?;
    let (gateway, public) = gateway(&root, &folder.0, &address)?;
    let request = folder.0.join("request");
    // GetProductRequest { name: "products/p" } behind its five bytes.
    std::fs::write(&request, b"\0\0\0\0\x0c\x0a\x0aproducts/p")?;
    let (calls, rounds) = if quick { (CALLS_QUICK, ROUNDS_QUICK) } else { (CALLS, ROUNDS) };
    let grpc = "/tandem.cases.catalogue.v1.Catalogue/GetProduct";
    let targets = [
        Target { name: "grpc direct", address: &address, path: grpc, grpc: true },
        Target { name: "grpc gateway", address: &public, path: grpc, grpc: true },
        Target { name: "rest gateway", address: &public, path: "/v1/products/p", grpc: false },
    ];
    let mut cpu: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for round in 0..=rounds {
        for target in &targets {
            let before = run_nanos(gateway.0.id())?;
            load(target, &request, calls)?;
            let spent = run_nanos(gateway.0.id())? - before;
            // The first round warms up.
            if round > 0 {
                cpu.entry(target.name).or_default().push(spent as f64 / 1e3 / calls as f64);
            }
        }
    }
    drop(gateway);
    drop(upstream);
    let mut results = Vec::new();
    for target in targets.iter().filter(|target| target.address == public) {
        let mut values = cpu.remove(target.name).unwrap_or_default();
        values.sort_by(f64::total_cmp);
        let (least, median, most) = (values[0], values[values.len() / 2], values[values.len() - 1]);
        println!("{:<14} gateway CPU {median:.1} µs a call [{least:.1}, {most:.1}]", target.name);
        results.push(json!({ "target": target.name, "cpu_us_per_call": median, "rounds": values }));
    }
    write(&root, quick, calls, results)
}

struct Target<'a> {
    name: &'a str,
    address: &'a str,
    path: &'a str,
    grpc: bool,
}

/// A program that is ended with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Outcome<Folder> {
        let path = std::env::temp_dir().join(format!("tandem-bench-{}", std::process::id()));
        std::fs::create_dir_all(path.join("teams"))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A program on one core.
fn on_core(core: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

fn upstream(root: &Path, folder: &Path) -> Outcome<(Running, String)> {
    let program = root.join("cases/target/release/catalogue");
    let mut command = on_core("1", &program);
    command.args(["--sync", "none", "--data"]).arg(folder.join("catalogue"));
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    let ready: Value = serde_json::from_str(&line)?;
    let address = ready["listen"].as_str().ok_or("no address")?.to_owned();
    Ok((Running(child), address))
}

fn gateway(root: &Path, folder: &Path, upstream: &str) -> Outcome<(Running, String)> {
    let may = "{ services: [tandem.cases.catalogue.v1.*], paths: [/**], \
               upstreams: [\"127.0.0.0/8:1-65535\"], public_methods: true, loopback: true }";
    std::fs::write(
        folder.join("tandem.yaml"),
        format!(
            "format: 1\nthreads: 1\nlisten: {{ public: {{ address: \"127.0.0.1:0\" }} }}\n\
             limits: {{ requests_per_connection: 1000000 }}\n\
             observe: {{ access_log: {{ to: none }} }}\nnamespaces: {{ shop: {{ may: {may} }} }}\n"
        ),
    )?;
    std::fs::write(
        folder.join("teams/shop.yaml"),
        format!(
            "namespace: shop\ncontract: {{ reflection: it }}\nupstreams: {{ it: {{ address: \"{upstream}\" }} }}\n\
             defaults: {{ auth: {{ public: true }} }}\nmethods: {{ tandem.cases.catalogue.v1.Catalogue/*: {{}} }}\n"
        ),
    )?;
    let ready = folder.join("ready.json");
    let mut command = on_core("0", &root.join("target/release/tandem"));
    command.arg("run").arg("--config").arg(folder.join("tandem.yaml"));
    command.arg("--data").arg(folder.join("data")).arg("--ready-file").arg(&ready);
    let running = Running(command.stdout(Stdio::null()).spawn()?);
    let mut public = String::new();
    // Ready when the product is created through it.
    for _ in 0..500 {
        std::thread::park_timeout(std::time::Duration::from_millis(20));
        let Ok(text) = std::fs::read_to_string(&ready) else { continue };
        let addresses: Value = serde_json::from_str(&text)?;
        public = addresses["public"].as_str().ok_or("no address")?.to_owned();
        let body = r#"{"displayName":"Kettle","price":{"currencyCode":"EUR","units":"5"}}"#;
        let made = Command::new("curl")
            .args(["-sf", "-H", "content-type: application/json", "-d", body])
            .arg(format!("http://{public}/v1/products?productId=p"))
            .output()?;
        if made.status.success() {
            return Ok((running, public));
        }
    }
    Err(format!("the gateway at `{public}` does not serve").into())
}

/// Run time of all threads of a process, in nanoseconds.
fn run_nanos(pid: u32) -> Outcome<u64> {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        sum += text.split(' ').next().ok_or("no schedstat")?.parse::<u64>()?;
    }
    Ok(sum)
}

fn load(target: &Target<'_>, request: &Path, calls: u64) -> Outcome<()> {
    let mut command = on_core("1", Path::new("h2load"));
    command.args(["-c", "4", "-n", &calls.to_string()]);
    if target.grpc {
        command.args([
            "-m",
            "8",
            "-H",
            "content-type: application/grpc",
            "-H",
            "te: trailers",
            "-d",
        ]);
        command.arg(request);
    } else {
        command.arg("--h1");
    }
    command.arg(format!("http://{}{}", target.address, target.path));
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let whole = format!("{calls} succeeded, 0 failed, 0 errored, 0 timeout");
    if said.contains(&whole) { Ok(()) } else { Err(format!("{}: {said}", target.name).into()) }
}

fn write(root: &Path, quick: bool, calls: u64, results: Vec<Value>) -> Outcome<()> {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(root).output();
        output.map_or(String::new(), |out| String::from_utf8_lossy(&out.stdout).trim().to_owned())
    };
    let load_average = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let result = json!({
        "command": format!("./x bench calls{}", if quick { " --quick" } else { "" }),
        "date": said("date", &["-u", "+%Y-%m-%d"]),
        "commit": said("git", &["rev-parse", "--short", "HEAD"]),
        "rustc": said("rustc", &["--version"]),
        "h2load": said("h2load", &["--version"]),
        "kernel": said("uname", &["-r"]),
        "load_average": load_average.trim(),
        "calls_a_round": calls,
        "results": results,
    });
    let folder = root.join("bench/results");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("calls.json");
    std::fs::write(&path, format!("{result:#}\n"))?;
    println!("wrote bench/results/calls.json");
    Ok(())
}
