//! `./x demo`: the shop on the screen.
//!
//! Builds what is needed, starts the services and the gateway on free ports with data of their
//! own, makes the calls and checks every answer. `--once` ends after the steps, with 0 or 1; else
//! it goes on until Ctrl-C. Without Go, or with `--rust-only`, Rust answers alone, and says so.

mod pairs;
mod report;

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::{self, Answer};
use crate::page;
use crate::process::{Beside, cargo, pause, quiet, root, shown, until};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[derive(Clone, Copy, Default)]
struct Options {
    once: bool,
    rust_only: bool,
    /// Debug builds, which the tests have made already.
    dev: bool,
}

pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    let mut options = Options::default();
    for argument in arguments {
        match *argument {
            "shop" => {}
            "--once" => options.once = true,
            "--rust-only" => options.rust_only = true,
            "--dev" => options.dev = true,
            other => {
                return Err(format!(
                    "unknown word `{other}`: ./x demo [shop] [--once] [--rust-only]"
                ));
            }
        }
    }
    let go = !options.rust_only && go_is_here();
    let began = Instant::now();
    let built = build_cases(go, !options.dev)?;
    page::build()?;
    let gateway = build_gateway(options.dev)?;
    say("build", &format!("gateway, catalogue, search   {:.0} s", began.elapsed().as_secs_f64()));
    if !go {
        let why = if options.rust_only { "as asked" } else { "Go is missing" };
        say("languages", &format!("{why}: Rust answers alone"));
        say("", "for both: install Go 1.21 or newer, or let `./x setup` take it from a package");
    }
    let mut shop = Shop::start(&gateway, built, go)?;
    say("Gateway", &format!("http://{}   REST, gRPC (h2c): same port", shop.public));
    say("Admin", &format!("http://{}   token in {}", shop.admin, shop.token_file.display()));
    let mut checks = Checks::default();
    step_one(&shop, &mut checks)?;
    step_team(&shop, &mut checks)?;
    let mut load = pairs::Load::new();
    if go {
        step_both(&shop, &mut checks)?;
        pairs::step_pairs(&shop, &mut load, &mut checks)?;
        pairs::step_verdict(&shop, &mut checks)?;
        if options.once {
            report::check(&shop, &mut checks)?;
        }
    } else {
        say("4 pairs", "Rust alone is no pair; with Go both answer the same calls");
        say("5 verdict", "needs two implementations");
    }
    paste(&shop);
    if !options.once {
        live(&mut shop, go.then_some(load))?;
    }
    shop.stop();
    println!("{} checks passed, {} failed", checks.passed, checks.failed);
    if checks.failed == 0 { Ok(()) } else { Err("the demo did not show what it claims".into()) }
}

fn say(what: &str, text: &str) {
    println!("  {what:<10} {text}");
}

/// Whether a Go is on PATH that can build the cases.
pub(crate) fn go_is_here() -> bool {
    quiet(Command::new("go").arg("version")).is_ok()
}

/// Where the built services lie.
pub(crate) struct Built {
    rust: PathBuf,
    go: PathBuf,
}

impl Built {
    /// The catalogue: in Go, or in Rust where there is no Go.
    pub(crate) fn catalogue(&self) -> PathBuf {
        match go_is_here() {
            true => self.go.join("catalogue-go"),
            false => self.rust.join("catalogue"),
        }
    }
}

/// Builds the services; a case's release build is for figures and the demo.
pub(crate) fn build_cases(go: bool, release: bool) -> Result<Built, String> {
    let profile = if release { "release" } else { "debug" };
    let manifest = ["--manifest-path", "cases/Cargo.toml", "--locked"];
    let mut words = vec!["build", "--quiet", "--bins"];
    words.extend(manifest);
    if release {
        words.push("--release");
    }
    cargo(&words)?;
    let built =
        Built { rust: root().join("cases/target").join(profile), go: root().join("target/cases") };
    if go && go_is_here() {
        std::fs::create_dir_all(&built.go).map_err(|error| error.to_string())?;
        shown(
            Command::new("go")
                .args(["build", "-mod=readonly", "-trimpath", "-o"])
                .arg(built.go.join("catalogue-go"))
                .arg("./catalogue/go")
                .current_dir(root().join("cases")),
        )?;
    }
    Ok(built)
}

fn build_gateway(dev: bool) -> Result<PathBuf, String> {
    let target = root().join("target");
    if dev {
        cargo(&["build", "--quiet", "--locked", "-p", "tandem"])?;
        return Ok(target.join("debug/tandem"));
    }
    cargo(&["build", "--quiet", "--locked", "--release", "-p", "tandem"])?;
    Ok(target.join("release/tandem"))
}

/// Everything that runs. Ended in the reverse order of its start.
struct Shop {
    running: Vec<Beside>,
    folder: PathBuf,
    public: String,
    admin: String,
    token_file: PathBuf,
    token: String,
    primary: &'static str,
    program: PathBuf,
    built: Built,
}

/// What a command printed.
struct Said {
    fine: bool,
    out: String,
    err: String,
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shop {
    fn start(gateway: &Path, built: Built, go: bool) -> Result<Shop, String> {
        // `./x` names a folder that it removes itself, also after Ctrl-C.
        let folder = match std::env::var_os("TANDEM_DEMO_FOLDER") {
            Some(folder) => folder.into(),
            None => std::env::temp_dir().join(format!("tandem-demo-{}", std::process::id())),
        };
        std::fs::create_dir_all(folder.join("teams")).map_err(|error| error.to_string())?;
        let mut shop = Shop {
            running: Vec::new(),
            folder: folder.clone(),
            public: String::new(),
            admin: String::new(),
            token_file: PathBuf::new(),
            token: String::new(),
            primary: if go { "go" } else { "rust" },
            program: gateway.to_owned(),
            built,
        };
        let (of_rust, of_go) = (shop.built.rust.clone(), shop.built.go.clone());
        // Search must know the gateway's port, and the gateway search's: this one is chosen here.
        let internal = free_address()?;
        let watch = ["--internal", &internal];
        let rust = shop.service("catalogue-rust", &of_rust.join("catalogue"), &watch)?;
        let primary = if go {
            shop.service("catalogue-go", &of_go.join("catalogue-go"), &watch)?
        } else {
            rust.clone()
        };
        let twin = match go {
            true => shop.service("catalogue-go-2", &of_go.join("catalogue-go"), &[])?,
            false => String::new(),
        };
        let follow = ["--follow", "--internal", &internal];
        let search = shop.service("search", &of_rust.join("search"), &follow)?;
        shop.configure([&primary, &rust, &twin], &search, &internal)?;
        shop.gateway(gateway)?;
        Ok(shop)
    }

    fn service(&mut self, name: &str, program: &Path, more: &[&str]) -> Result<String, String> {
        let mut command = Command::new(program);
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data"]);
        command.arg(self.folder.join(name)).args(more);
        let (beside, mut out) = Beside::start(name, &mut command, &self.folder)?;
        self.running.push(beside);
        let mut line = String::new();
        let _ = out.read_line(&mut line);
        let ready: Value = serde_json::from_str(&line).map_err(|_error| {
            let beside = self.running.last().expect("pushed above");
            format!("{name} did not start\n{}", beside.last_lines())
        })?;
        ready["listen"].as_str().map(str::to_owned).ok_or_else(|| format!("{name} said {line}"))
    }

    /// The files of `cases/shop` with the addresses of this run.
    fn configure(
        &self,
        [primary, rust, twin]: [&str; 3],
        search: &str,
        internal: &str,
    ) -> Result<(), String> {
        let from = root().join("cases/shop");
        let public = wanted_or_free("127.0.0.1:8080");
        let admin = wanted_or_free("127.0.0.1:9080");
        for (file, changes) in [
            (
                "tandem.yaml",
                vec![
                    ("127.0.0.1:8080", public.as_str()),
                    ("127.0.0.1:8081", internal),
                    ("127.0.0.1:9080", &admin),
                ],
            ),
            (
                "teams/shop.yaml",
                vec![
                    ("127.0.0.1:50051", primary),
                    ("127.0.0.1:50052", rust),
                    ("127.0.0.1:50054", twin),
                    ("port:50051", &port_of(primary)),
                    ("port:50052", &port_of(rust)),
                    ("port:50054", &port_of(twin)),
                ],
            ),
            ("teams/shop-go-2.yaml", vec![("127.0.0.1:50054", twin)]),
            ("teams/shop-rust.yaml", vec![("127.0.0.1:50052", rust)]),
            ("teams/search.yaml", vec![("127.0.0.1:50053", search)]),
        ] {
            let mut text = std::fs::read_to_string(from.join(file))
                .map_err(|error| format!("cases/shop/{file}: {error}"))?;
            for (old, new) in changes {
                if !text.contains(old) {
                    return Err(format!("cases/shop/{file} no longer names {old}"));
                }
                text = text.replace(old, new);
            }
            if self.primary == "rust" {
                match file {
                    "teams/shop.yaml" => text = rust_alone(&text),
                    "teams/shop-go-2.yaml" => continue,
                    _ => {}
                }
            }
            std::fs::write(self.folder.join(file), text).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn gateway(&mut self, program: &Path) -> Result<(), String> {
        let ready_file = self.folder.join("ready.json");
        let mut command = Command::new(program);
        command.arg("run").arg("--config").arg(self.folder.join("tandem.yaml"));
        command.arg("--data").arg(self.folder.join("data")).arg("--ready-file").arg(&ready_file);
        let (beside, _out) = Beside::start("gateway", &mut command, &self.folder)?;
        self.running.push(beside);
        let ready = until(Duration::from_secs(20), || {
            if self.running.last_mut()?.ended().is_some() {
                return Some(None);
            }
            let text = std::fs::read_to_string(&ready_file).ok()?;
            serde_json::from_str::<Value>(&text).ok().map(Some)
        })
        .flatten();
        let gateway = self.running.last().expect("pushed above");
        let ready =
            ready.ok_or_else(|| format!("the gateway did not start\n{}", gateway.last_lines()))?;
        let text = |key: &str| ready[key].as_str().unwrap_or("").to_owned();
        self.public = text("public");
        self.admin = text("admin");
        self.token_file = text("admin_token_file").into();
        self.token = std::fs::read_to_string(&self.token_file)
            .map_err(|error| format!("{}: {error}", self.token_file.display()))?
            .trim()
            .to_owned();
        let serves = until(Duration::from_secs(20), || {
            let answer = http::send(&self.admin, "GET", "/readyz", &[], "").ok()?;
            (answer.status == 200).then_some(())
        });
        serves.ok_or_else(|| {
            let gateway = self.running.last().expect("pushed above");
            format!("the gateway is not ready\n{}", gateway.last_lines())
        })
    }

    fn rest(&self, method: &str, path: &str, body: &str) -> Result<Answer, String> {
        http::send(&self.public, method, path, &[], body)
    }

    fn ask_admin(&self, path: &str) -> Result<Value, String> {
        let bearer = format!("Bearer {}", self.token);
        http::send(&self.admin, "GET", path, &[("authorization", &bearer)], "")?.json()
    }

    /// A command of the program that serves, as the operator.
    fn tandem(&self, words: &[&str]) -> Result<Said, String> {
        let output = Command::new(&self.program)
            .args(words)
            .args(["--admin", &self.admin, "--token-file"])
            .arg(&self.token_file)
            .output()
            .map_err(|error| format!("{}: {error}", self.program.display()))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        Ok(Said { fine: output.status.success(), out, err })
    }

    fn stop(&mut self) {
        while let Some(mut beside) = self.running.pop() {
            beside.stop(Duration::from_secs(12));
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The team's file where nobody speaks Go: Rust answers, and nobody is on trial.
fn rust_alone(text: &str) -> String {
    let gone = ["  go: {", "  go-2: {", "    candidate:", "    mirror:"];
    let kept = text.lines().filter(|line| !gone.iter().any(|start| line.starts_with(start)));
    let text: String = kept.flat_map(|line| [line, "\n"]).collect();
    text.replace("reflection: go", "reflection: rust").replace("primary: go", "primary: rust")
}

/// What the processes behind an address use is read by its port.
fn port_of(address: &str) -> String {
    format!("port:{}", address.rsplit(':').next().unwrap_or(address))
}

pub(crate) fn free_address() -> Result<String, String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    listener.local_addr().map(|address| address.to_string()).map_err(|error| error.to_string())
}

/// The usual address, or a free port where it is taken.
fn wanted_or_free(address: &str) -> String {
    match std::net::TcpListener::bind(address) {
        Ok(_free) => address.to_owned(),
        Err(_taken) => {
            say("port", &format!("{address} is taken, a free one is used"));
            "127.0.0.1:0".to_owned()
        }
    }
}

/// What was claimed and looked at.
#[derive(Default)]
struct Checks {
    passed: usize,
    failed: usize,
}

impl Checks {
    fn that(&mut self, what: &str, fine: bool) {
        if fine {
            self.passed += 1;
        } else {
            self.failed += 1;
            say("FAILED", what);
        }
    }
}

fn product(name: &str) -> String {
    json!({
        "displayName": name,
        "description": "boils water",
        "price": { "currencyCode": "EUR", "units": "12", "nanos": 500_000_000 },
        "stock": "3",
    })
    .to_string()
}

/// REST outside, gRPC inside: created through REST, found by search, the way shown as a tree.
fn step_one(shop: &Shop, checks: &mut Checks) -> Result<(), String> {
    let began = Instant::now();
    let created = shop.rest("POST", "/v1/products?productId=p-17", &product("Blue kettle"))?;
    let took = began.elapsed();
    checks.that("the product is created", created.status == 200);
    checks.that("it has its name", created.json()?["name"] == "products/p-17");
    let began = Instant::now();
    let found = until(Duration::from_secs(5), || {
        let answer = shop.rest("GET", "/v1/search?query=kettle", "").ok()?;
        let hits = answer.json().ok()?;
        (hits["hits"][0]["id"] == "products/p-17").then_some(began.elapsed())
    });
    checks.that("search finds it within a second", found.is_some_and(|t| t.as_secs_f64() < 1.0));
    say(
        "1 whole",
        &format!(
            "POST /v1/products → catalogue ({}) {} in {:.1} ms; found by search (rust) {:.2} s later",
            shop.primary,
            created.status,
            took.as_secs_f64() * 1e3,
            found.unwrap_or_default().as_secs_f64(),
        ),
    );
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let path = "/v1/search?query=kettle&withProducts=true";
    let answer = http::send(&shop.public, "GET", path, &[("traceparent", &traceparent)], "")?;
    let hit = answer.json()?["hits"][0].clone();
    checks.that("the hit brings its product", hit["product"]["priceText"] == "12.50 EUR");
    let spans = until(Duration::from_secs(2), || {
        let trace = shop.ask_admin(&format!("/api/v1/traces/{TRACE}")).ok()?;
        let spans = trace["spans"].as_array()?.clone();
        (spans.len() >= 2).then_some(spans)
    })
    .unwrap_or_default();
    checks.that("the trace has both hops", spans.len() == 2);
    say("", &format!("trace {TRACE}"));
    for (depth, span) in spans.iter().enumerate() {
        let ms = |key: &str| span[key].as_f64().unwrap_or(0.0) / 1e6;
        let text = |key: &str| span[key].as_str().unwrap_or("?");
        let mark = if depth == 0 { "" } else { "└ " };
        say(
            "",
            &format!(
                "  {}{mark}{} {:.1} ms └ {} ({}) {:.1} ms",
                "    ".repeat(depth),
                text("name"),
                ms("duration_nanos"),
                text("method").rsplit('.').next().unwrap_or(""),
                text("upstream"),
                ms("upstream_nanos"),
            ),
        );
    }
    let child = spans.get(1).map(|span| &span["parent_id"]);
    checks.that(
        "the second hop is the first one's child",
        child == spans.first().map(|span| &span["span_id"]),
    );
    Ok(())
}

/// The team in charge: a ceiling is raised by a command, every service obeys within a second, a
/// value beyond the contract's rule is refused, and it is all taken back.
fn step_team(shop: &Shop, checks: &mut Checks) -> Result<(), String> {
    let sides: &[(&str, &str)] = match shop.primary {
        "go" => &[("go", "localhost"), ("rust", "rust.localhost")],
        _ => &[("rust", "localhost")],
    };
    let dear = json!({
        "displayName": "Blue kettle",
        "price": { "currencyCode": "EUR", "units": "12" },
        "discountPercent": 25,
    })
    .to_string();
    let take = |host: &str, id: &str| -> Result<Answer, String> {
        let path = format!("/v1/products?productId={id}");
        http::send(&shop.public, "POST", &path, &[("host", host)], &dear)
    };
    let settled = until(Duration::from_secs(20), || {
        let shown = shop.ask_admin("/api/v1/namespaces/shop/settings").ok()?;
        let applied = shown[0]["instances"].as_array()?.iter();
        let applied = applied.filter(|one| one["state"] == "applied").count();
        (applied == sides.len() && shown[0]["version"].as_u64()? > 0).then_some(())
    });
    checks.that("every service runs by version 1 of the settings", settled.is_some());
    for (side, host) in sides {
        let refused = take(host, &format!("dear-{side}"))?;
        checks.that(&format!("{side} refuses a discount of 25 %"), refused.status == 400);
    }
    let set = ["settings", "set", "Catalogue", "max_discount_percent=30", "-m", "winter sale"];
    let began = Instant::now();
    let said = shop.tandem(&set)?;
    checks.that(&format!("30 is taken: {}{}", said.out, said.err), said.fine);
    say("2 team", &format!("tandem {}", shown_words(&set)));
    for (side, host) in sides {
        let mut tries = 0;
        let taken = until(Duration::from_secs(5), || {
            tries += 1;
            let answer = take(host, &format!("sale-{side}-{tries}")).ok()?;
            (answer.status == 200).then(|| began.elapsed())
        });
        let within = taken.filter(|took| *took < Duration::from_secs(1));
        checks.that(&format!("{side} obeys within a second: {taken:?}"), within.is_some());
        if let Some(took) = taken {
            let took = took.as_secs_f64() * 1e3;
            say(
                "",
                &format!("the {side} service takes a discount of 25 % {took:.0} ms after Enter"),
            );
        }
    }
    let more = ["settings", "set", "Catalogue", "max_discount_percent=90", "-m", "more"];
    let said = shop.tandem(&more)?;
    let sentence = "max_discount_percent is at most 60";
    let refused = said.err.lines().find(|line| line.contains(sentence)).unwrap_or_default();
    checks.that(&format!("90 is refused: {}", said.err), !said.fine && !refused.is_empty());
    say("", &format!("tandem {}", shown_words(&more)));
    say("", &format!("→ {refused}"));
    let back = ["settings", "rollback", "Catalogue", "--to", "1", "-m", "it is over", "--yes"];
    let said = shop.tandem(&back)?;
    checks.that(&format!("it is taken back: {}{}", said.out, said.err), said.fine);
    for (side, host) in sides {
        let mut tries = 0;
        let refused = until(Duration::from_secs(5), || {
            tries += 1;
            let answer = take(host, &format!("over-{side}-{tries}")).ok()?;
            (answer.status == 400).then_some(())
        });
        checks.that(&format!("{side} refuses 25 % again"), refused.is_some());
    }
    let audit = shop.tandem(&["audit", "list", "shop"])?;
    let who = audit.out.lines().last().unwrap_or_default().trim();
    checks.that(&format!("the audit log says who: {who}"), who.contains("it is over"));
    say("", &format!("taken back; the log: {who}"));
    Ok(())
}

/// A command line as one would type it.
fn shown_words(words: &[&str]) -> String {
    let one = |word: &&str| match word.contains(' ') {
        true => format!("\"{word}\""),
        false => (*word).to_owned(),
    };
    words.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// The same calls answered by Go and by Rust.
fn step_both(shop: &Shop, checks: &mut Checks) -> Result<(), String> {
    let calls: [(&str, &str, String); 7] = [
        ("POST", "/v1/products?productId=both-1", product("Teapot")),
        ("GET", "/v1/products/both-1", String::new()),
        ("PATCH", "/v1/products/both-1", json!({ "stock": "4" }).to_string()),
        ("GET", "/v1/products/nothing", String::new()),
        ("POST", "/v1/products?productId=NO", product("")),
        ("DELETE", "/v1/products/both-1", String::new()),
        ("GET", "/v1/products/both-1", String::new()),
    ];
    let mut equal = 0;
    for (method, path, body) in &calls {
        let go = http::send(&shop.public, method, path, &[], body)?;
        let rust = http::send(&shop.public, method, path, &[("host", "rust.localhost")], body)?;
        let same = go.status == rust.status && plain(&go)? == plain(&rust)?;
        checks.that(&format!("{method} {path}: {} / {}", go.body, rust.body), same);
        equal += usize::from(same);
        say(
            "",
            &format!(
                "{method:<6} {path:<34} go {} · rust {}   {}",
                go.status,
                rust.status,
                if same { "equal" } else { "DIFFERENT" }
            ),
        );
    }
    say(
        "3 both",
        &format!("{equal} of {} answers equal but for times and error texts", calls.len()),
    );
    Ok(())
}

/// An answer without what may lawfully differ: times and error texts.
fn plain(answer: &Answer) -> Result<Value, String> {
    let mut value = answer.json()?;
    if let Some(object) = value.as_object_mut() {
        for noise in ["createTime", "updateTime", "message"] {
            object.remove(noise);
        }
        let violations = object.get_mut("details").and_then(Value::as_array_mut);
        for detail in violations.into_iter().flatten() {
            for violation in detail["fieldViolations"].as_array_mut().into_iter().flatten() {
                if let Some(violation) = violation.as_object_mut() {
                    violation.remove("description");
                }
            }
        }
    }
    Ok(value)
}

fn paste(shop: &Shop) {
    let public = &shop.public;
    say("try", &format!("curl {public}/v1/products/p-17"));
    say("", &format!("curl '{public}/v1/search?query=kettle&withProducts=true'"));
    if shop.primary == "go" {
        say("", &format!("curl -H 'host: rust.localhost' {public}/v1/products"));
    }
    say("", &format!("grpcurl -plaintext {public} list"));
    if let Ok(said) = shop.tandem(&["open"]) {
        say("page", &format!("{}   signs in once", said.out.trim()));
    }
    say(
        "",
        &format!(
            "target/release/tandem status --admin {} --token-file {}",
            shop.admin,
            shop.token_file.display()
        ),
    );
}

/// Goes on until Ctrl-C, which the terminal sends to all of us; counts are shown once a second.
/// Where there is a pair its calls go on, so that the verdict comes.
fn live(shop: &mut Shop, mut load: Option<pairs::Load>) -> Result<(), String> {
    use std::io::{IsTerminal as _, Write as _};
    say("", "Ctrl-C stops all");
    let terminal = std::io::stdout().is_terminal();
    let mut before = 0;
    let mut word = String::new();
    let mut comparison = match &load {
        Some(_) => Some(report::Comparison::start(shop, false)?),
        None => None,
    };
    if comparison.is_some() {
        say("compare", "Go and Rust under the same calls, about 3 min; the shop's own calls rest");
    }
    loop {
        for beside in &mut shop.running {
            if let Some(why) = beside.ended() {
                return Err(why);
            }
        }
        if let Ok(status) = shop.ask_admin("/api/v1/status") {
            let calls: u64 = status["methods"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|method| method["calls"].as_u64())
                .sum();
            if terminal {
                print!("\r  live       {calls} calls, {} in the last second   ", calls - before);
                let _ = std::io::stdout().flush();
            }
            before = calls;
        }
        if let Some(running) = &mut comparison {
            let Some(found) = running.found(Duration::from_secs(1)) else { continue };
            comparison = None;
            println!();
            match found {
                Ok(found) => found.say(),
                Err(why) => say("compare", &why),
            }
        }
        if let Some(load) = &mut load {
            load.second(shop);
            if let Some(verdict) = pairs::told_anew(shop, &mut word) {
                println!();
                say("verdict", &verdict);
            }
            continue;
        }
        let next = Instant::now() + Duration::from_secs(1);
        while Instant::now() < next {
            pause();
        }
    }
}
