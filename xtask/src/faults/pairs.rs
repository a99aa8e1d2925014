//! Planted faults found by pairs alone: a sound catalogue, a second one of its build, and the
//! faulty one in the other language, under the load of `cases/faults/catalogue/load.yaml`. The judge
//! must name the paths of the fault and accuse no other.
//!
//! Each fault is found by `tandem compare`; one is also found by the live pairs of a gateway.
//!
//! Not here: planting and building (`faults`).

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Fault, faults, program};
use crate::demo;
use crate::http;
use crate::process::{Beside, quiet, root, until};

/// The paths that each fault is seen in, as `tandem compare` prints them: the method in front,
/// for two of them are compared.
const SEEN: [(&str, &[&str]); 3] = [
    ("PF-13", &["ListProducts: next_page_token", "ListProducts: products[]"]),
    ("PF-18", &["GetProduct: price.units"]),
    ("PF-19", &["GetProduct: update_time"]),
];

/// Pairs in which a fault must have been found (cases TE-4).
const PAIRS_MOST: u64 = 10_000;
/// Products, whose last rows of pages the tokens of the load name.
const PRODUCTS: u32 = 200;

/// Builds what is needed, and finds every fault. The two languages at once: most of the time goes by
/// waiting, and no figure is looked at.
pub(crate) fn run() -> Result<(), String> {
    if !demo::go_is_here() {
        return Err("Go is missing, and a pair takes two languages".into());
    }
    let sound = Sound::built()?;
    let mut built = Vec::new();
    for fault in faults()? {
        built.push((program(fault.language, &fault.name, &fault.patch)?, fault));
    }
    let of = |language: &'static str| {
        let mine = built.iter().filter(move |(_, fault)| fault.language == language);
        mine.filter_map(|(faulty, fault)| found(&sound, faulty, fault).err()).collect()
    };
    let mut missed: Vec<String> = std::thread::scope(|scope| {
        let go = scope.spawn(|| of("go"));
        let mut missed: Vec<String> = of("rust");
        missed.extend(go.join().unwrap_or_else(|_panic| vec!["a thread panicked".to_owned()]));
        missed
    });
    missed.extend(live(&sound).err());
    if missed.is_empty() { Ok(()) } else { Err(missed.join("\n")) }
}

/// One fault by `tandem compare`: where it is and nowhere else.
fn found(sound: &Sound, faulty: &Path, fault: &Fault) -> Result<(), String> {
    let Fault { name, language, patch: _ } = fault;
    let seen = SEEN.iter().find(|(fault, _)| fault == name).map(|(_, seen)| *seen);
    let seen =
        seen.ok_or_else(|| format!("{name} in {language}: nothing says where it is seen"))?;
    let began = Instant::now();
    let Found { accused, pairs } = compared(sound, language, faulty, name)
        .map_err(|why| format!("{name} in {language}: {why}"))?;
    if accused != seen || pairs > PAIRS_MOST {
        return Err(format!(
            "{name} in {language}: {accused:?} accused in {pairs} pairs, {seen:?} expected"
        ));
    }
    let (seconds, accused) = (began.elapsed().as_secs(), accused.join(", "));
    println!("  {name:<6} {language:<5} found in {pairs} pairs, {seconds} s: {accused}");
    Ok(())
}

/// The catalogues without a fault, and the gateway.
struct Sound {
    rust: PathBuf,
    go: PathBuf,
    gateway: PathBuf,
}

impl Sound {
    /// As the tests of the gateway find them, where somebody has built them already.
    fn built() -> Result<Sound, String> {
        let gateway = root().join("target/debug/tandem");
        crate::process::cargo(&["build", "--quiet", "--locked", "-p", "tandem"])?;
        let given = |name: &str| std::env::var_os(name).map(PathBuf::from);
        if let (Some(rust), Some(go)) = (given("TANDEM_CASES_RUST"), given("TANDEM_CASES_GO")) {
            let (rust, go) = (rust.join("catalogue"), go.join("catalogue-go"));
            return Ok(Sound { rust, go, gateway });
        }
        demo::build_cases(true, false)?;
        let rust = root().join("cases/target/debug/catalogue");
        Ok(Sound { rust, go: root().join("target/cases/catalogue-go"), gateway })
    }

    /// The one that a fault in `language` is held against.
    fn against(&self, language: &str) -> (&'static str, &Path) {
        match language {
            "go" => ("rust", &self.rust),
            _ => ("go", &self.go),
        }
    }
}

/// What pairs have shown.
struct Found {
    /// In their order, each once.
    accused: Vec<String>,
    pairs: u64,
}

/// A comparison that is as short as one can be: figures are of no interest here.
const SHORT: [&str; 9] = [
    "--quick",
    "--quartets=2",
    "--block=100ms",
    "--rate=60",
    "--budget=45s",
    "--cpus=none",
    "--seed=7",
    "--connections=2",
    "--json",
];

fn compared(sound: &Sound, language: &str, faulty: &Path, name: &str) -> Result<Found, String> {
    let (other, primary) = sound.against(language);
    let side = |name: &str, program: &Path| {
        format!(
            "{name}=exec:'{}' --listen 127.0.0.1:{{port}} --admin 127.0.0.1:0 --rest \
             127.0.0.1:{{port:rest}} --data {{folder}} --sync none",
            program.display()
        )
    };
    let folder = root().join("cases");
    let output = Command::new(&sound.gateway)
        .args(["compare", "Catalogue/GetProduct", "Catalogue/ListProducts"])
        .args(["--primary", &side(other, primary)])
        .args(["--candidate", &side(&format!("{language}-{}", name.to_lowercase()), faulty)])
        .arg("--data")
        .arg(format!("plan:{}", folder.join("faults/catalogue/load.yaml").display()))
        .arg("--keys")
        .arg(format!("{PRODUCTS}:uniform"))
        .arg("--stateful")
        .arg(format!("{} {PRODUCTS}", folder.join("catalogue/fill.sh").display()))
        .args(["--keyed", "products=name"])
        .args(SHORT)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("tandem compare: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let result: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_error| format!("tandem compare ended with {}\n{said}", output.status))?;
    if output.status.code() != Some(3) {
        let accused = accused(&result["answers"]["paths"]);
        return Err(format!("tandem compare ended with {}, {accused:?}\n{said}", output.status));
    }
    Ok(Found {
        accused: accused(&result["answers"]["paths"]),
        pairs: result["answers"]["calls"].as_u64().unwrap_or(u64::MAX),
    })
}

/// The paths that speak against the candidate.
fn accused(paths: &Value) -> Vec<String> {
    let each = paths.as_array().into_iter().flatten();
    let worse = each.filter(|path| {
        matches!(path["class"].as_str(), Some("worse" | "different-always"))
            || path["critical"].as_u64().is_some_and(|count| count > 0)
    });
    let mut accused: Vec<String> =
        worse.filter_map(|path| path["path"].as_str().map(str::to_owned)).collect();
    accused.sort();
    accused
}

/// Ends what it holds, the gateway before the services.
#[derive(Default)]
struct Running {
    all: Vec<Beside>,
    folder: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        while let Some(mut beside) = self.all.pop() {
            beside.stop(Duration::from_secs(12));
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The fault that live pairs are to find, and where.
const LIVE: (&str, &str, &str) = ("PF-18", "rust", "price.units");
const METHOD: &str = "tandem.cases.catalogue.v1.Catalogue/GetProduct";

/// Calls of people that a gateway carries to Go, and mirrors to a faulty Rust and to a second Go.
fn live(sound: &Sound) -> Result<(), String> {
    let (fault, language, seen) = LIVE;
    let faulty = root().join(format!("target/faults/bin/catalogue-{language}-{fault}"));
    let folder = std::env::temp_dir().join(format!("tandem-faults-live-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("teams")).map_err(|error| error.to_string())?;
    let mut running = Running { all: Vec::new(), folder: folder.clone() };
    let began = Instant::now();
    let mut addresses = Vec::new();
    for (name, program) in [("go", &sound.go), ("go-2", &sound.go), ("rust", &faulty)] {
        addresses.push(service(&mut running, name, program)?);
    }
    let team = json!({
        "namespace": "shop",
        "contract": { "reflection": "go" },
        "upstreams": {
            "go": { "address": addresses[0] },
            "go-2": { "address": addresses[1] },
            "rust": { "address": addresses[2] },
        },
        "defaults": { "primary": "go", "auth": { "public": true } },
        "methods": {
            "tandem.cases.catalogue.v1.Catalogue/*": {},
            METHOD: {
                "candidate": "rust",
                "mirror": { "share": "100%", "max_rate": "10000/s", "twin": "go-2" },
            },
        },
    });
    let platform = json!({
        "format": 1,
        "listen": {
            "public": { "address": "127.0.0.1:0" },
            "admin": { "address": "127.0.0.1:0" },
        },
        "observe": { "access_log": { "to": "none" } },
        "store": { "embedded": "data/store" },
        "namespaces": { "shop": {
            "members": { "owner": ["group:shop-leads"] },
            "may": {
                "services": ["tandem.cases.catalogue.v1.*"],
                "paths": ["/v1/products", "/v1/products:*", "/v1/products/**"],
                "upstreams": ["127.0.0.0/8:1-65535"],
                "public_methods": true,
                "loopback": true,
            },
        } },
    });
    for (file, document) in [("tandem.yaml", &platform), ("teams/shop.yaml", &team)] {
        std::fs::write(folder.join(file), document.to_string())
            .map_err(|error| format!("{file}: {error}"))?;
    }
    let gateway = gateway(&mut running, &sound.gateway)?;
    let mut sent = 0;
    loop {
        for _ in 0..100 {
            let path = format!("/v1/products/p-{}", sent % u64::from(PRODUCTS) + 1);
            sent += 1;
            let answer = http::send(&gateway.public, "GET", &path, &[], "")?;
            if answer.status != 200 {
                return Err(format!("GET {path}: {} {}", answer.status, answer.body));
            }
        }
        let told = gateway.differences()?;
        let accused = accused(&told["paths"]);
        // Some more of them: an accusation of something else may take longer.
        if (!accused.is_empty() && sent >= 4_000) || sent >= PAIRS_MOST {
            let seconds = began.elapsed().as_secs();
            let noise = gateway.learned()?;
            let learned = ["create_time", "update_time"]
                .iter()
                .all(|time| noise.iter().any(|one| one == time));
            if accused == [seen] && learned {
                let pairs = &told["pairs"];
                println!(
                    "  {fault:<6} {language:<5} found by a gateway in {pairs} live pairs, {seconds} s: {seen}"
                );
                return Ok(());
            }
            return Err(format!(
                "{fault} in {language}, live pairs: {accused:?} accused, noise {noise:?}: {told}"
            ));
        }
    }
}

/// Starts a catalogue and fills it; its address.
fn service(running: &mut Running, name: &str, program: &Path) -> Result<String, String> {
    let rest = demo::free_address()?;
    let mut command = Command::new(program);
    command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--rest", &rest, "--data"]);
    command.arg(running.folder.join(name)).args(["--sync", "none"]);
    let (beside, mut out) = Beside::start(name, &mut command, &running.folder)?;
    running.all.push(beside);
    let mut line = String::new();
    let _ = out.read_line(&mut line);
    let ready: Value = serde_json::from_str(&line).map_err(|_error| {
        let beside = running.all.last().expect("pushed above");
        format!("{name} did not start\n{}", beside.last_lines())
    })?;
    let port = rest.rsplit(':').next().unwrap_or_default();
    let fill = root().join("cases/catalogue/fill.sh");
    let mut fill = Command::new(fill);
    quiet(fill.arg(PRODUCTS.to_string()).env("TANDEM_PORT_REST", port))?;
    ready["listen"].as_str().map(str::to_owned).ok_or_else(|| format!("{name} said {line}"))
}

/// A gateway that serves.
struct Gateway {
    public: String,
    admin: String,
    token: String,
}

fn gateway(running: &mut Running, program: &Path) -> Result<Gateway, String> {
    let ready_file = running.folder.join("ready.json");
    let mut command = Command::new(program);
    command.arg("run").arg("--config").arg(running.folder.join("tandem.yaml"));
    command.arg("--data").arg(running.folder.join("data")).arg("--ready-file").arg(&ready_file);
    let (beside, _out) = Beside::start("gateway", &mut command, &running.folder)?;
    running.all.push(beside);
    let limit = Duration::from_secs(20);
    let ready = until(limit, || {
        if running.all.last_mut()?.ended().is_some() {
            return Some(None);
        }
        let text = std::fs::read_to_string(&ready_file).ok()?;
        serde_json::from_str::<Value>(&text).ok().map(Some)
    });
    let failed = |why: &str| {
        let lines = running.all.last().map_or(String::new(), Beside::last_lines);
        format!("{why}\n{lines}")
    };
    let ready = ready.flatten().ok_or_else(|| failed("the gateway did not start"))?;
    let text = |key: &str| ready[key].as_str().unwrap_or("").to_owned();
    let file = text("admin_token_file");
    let token = std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
    let token = token.trim().to_owned();
    let gateway = Gateway { public: text("public"), admin: text("admin"), token };
    let serves = until(limit, || {
        let answer = http::send(&gateway.admin, "GET", "/readyz", &[], "").ok()?;
        (answer.status == 200).then_some(())
    });
    serves.ok_or_else(|| failed("the gateway is not ready"))?;
    Ok(gateway)
}

impl Gateway {
    fn ask(&self, what: &str) -> Result<Value, String> {
        let path = format!("/api/v1/namespaces/shop/methods/{METHOD}/{what}");
        let bearer = format!("Bearer {}", self.token);
        http::send(&self.admin, "GET", &path, &[("authorization", &bearer)], "")?.json()
    }

    fn differences(&self) -> Result<Value, String> {
        self.ask("differences")
    }

    /// The paths in which the twin differs from the primary as well.
    fn learned(&self) -> Result<Vec<String>, String> {
        let told = self.ask("noise")?;
        let each = told["learned"].as_array().into_iter().flatten();
        Ok(each.filter_map(|path| path["path"].as_str().map(str::to_owned)).collect())
    }
}
