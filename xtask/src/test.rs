//! Every test, in stages; `./x test` is the same for people and for machines.
//!
//! Everything runs even when a stage fails, so that one run names all that is wrong.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::process::{cargo, quiet, root, shown};
use crate::{bench, cases, conformance, crate_line, defects, demo, faults, npm, page, supply};

pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    let long = match arguments {
        [] => false,
        ["--long"] => true,
        other => return Err(format!("unknown words: {}", other.join(" "))),
    };
    let mut stages = Stages::default();
    stages.run("format", || {
        cargo(&["fmt", "--all", "--check"])?;
        for workspace in [
            "cases/Cargo.toml",
            "cases/defects/rust/Cargo.toml",
            "clients/rust/Cargo.toml",
            "bench/codec/Cargo.toml",
        ] {
            cargo(&["fmt", "--all", "--check", "--manifest-path", workspace])?;
        }
        if !demo::go_is_here() {
            return Ok(());
        }
        // Not every Go that is installed has its formatter on PATH.
        let home = quiet(Command::new("go").args(["env", "GOROOT"]).current_dir(cases_folder()))?;
        let gofmt = PathBuf::from(home.trim()).join("bin/gofmt");
        let strangers = root().join("crates/tandem/tests/strangers");
        for folder in [cases_folder(), root().join("clients/go"), strangers] {
            let unformatted = quiet(Command::new(&gofmt).args(["-l", "."]).current_dir(folder))?;
            if !unformatted.is_empty() {
                return Err(format!("gofmt: {unformatted}"));
            }
        }
        Ok(())
    });
    stages.run("supply", supply::run);
    stages.run("crate line", crate_line::run);
    stages.run("settings clients, Rust", || {
        // What they are built from is what the cases are built from.
        let manifest = ["--manifest-path", "clients/rust/Cargo.toml", "--locked"];
        let target = ["--target-dir", "cases/target"];
        cargo(&[&["test"][..], &manifest, &target].concat())?;
        let strict = ["--", "-D", "warnings"];
        cargo(&[&["clippy", "--all-targets"][..], &manifest, &target, &strict].concat())
    });
    stages.run("settings clients, Go", || {
        if !demo::go_is_here() {
            return Err("Go is missing, so its client is not tested".into());
        }
        let folder = root().join("clients/go");
        let go = |words: &[&str]| shown(Command::new("go").args(words).current_dir(&folder));
        go(&["vet", "-mod=readonly", "./..."])?;
        go(&["test", "-mod=readonly", "-race", "./..."])
    });
    stages.run("cases build", || demo::build_cases(true, false).map(drop));
    stages.run("cases rust", || {
        let manifest = ["--manifest-path", "cases/Cargo.toml", "--locked"];
        cargo(&[&["test"][..], &manifest].concat())?;
        cargo(&[&["clippy", "--all-targets"][..], &manifest, &["--", "-D", "warnings"]].concat())
    });
    stages.run("cases go", || {
        if !demo::go_is_here() {
            return Err("Go is missing, so its side is not tested".into());
        }
        for tags in ["", "mattn"] {
            let words = ["vet", "-mod=readonly", "-tags", tags, "./..."];
            shown(Command::new("go").args(words).current_dir(cases_folder()))?;
        }
        shown(
            Command::new("go")
                .args(["test", "-mod=readonly", "-race", "./..."])
                .current_dir(cases_folder()),
        )?;
        quiet(Command::new("go").args(["mod", "verify"]).current_dir(cases_folder()))?;
        let strangers = root().join("crates/tandem/tests/strangers");
        shown(Command::new("go").args(["vet", "-mod=readonly", "./..."]).current_dir(strangers))
    });
    stages.run("defects", || {
        if !demo::go_is_here() {
            return Err("Go is missing, so its programs are not run".into());
        }
        defects::run(&[])
    });
    stages.run("cases check", || cases::check(if long { &["--full"] } else { &[] }));
    stages.run("contracts", || {
        if demo::go_is_here() {
            return cases::lint();
        }
        Err("Go is missing, so the contracts are not looked at".into())
    });
    if long {
        stages.run("planted faults", faults::run);
        stages.run("go stubs", || {
            shown(Command::new("sh").args(["gen.sh", "--check"]).current_dir(cases_folder()))
        });
    }
    stages.run("clients", clients);
    // Before anything is built that embeds it.
    stages.run("page", page::test);
    stages.run("clippy", || {
        cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
    });
    stages.run("build", || cargo(&["build", "--workspace", "--locked"]));
    if long {
        stages.run("planted faults, pairs", faults::pairs::run);
    }
    stages.run("page, real gateways", page::test_on_gateways);
    stages.run("tests", || {
        let tools = root().join("target/tools");
        let mut tests = Command::new("cargo");
        if long {
            // All kills and all images of a crash of the store.
            tests.env("TANDEM_LONG", "1");
        }
        shown(
            tests
                .args(["test", "--workspace", "--locked", "--no-fail-fast"])
                .current_dir(root())
                .env("TANDEM_CASES_RUST", cases_folder().join("target/debug"))
                .env("TANDEM_CASES_GO", root().join("target/cases"))
                .env("TANDEM_GRPCURL", tools.join("grpcurl"))
                .env("TANDEM_PYTHON", tools.join("venv/bin/python"))
                .env("TANDEM_BUF", buf()?)
                .env("TANDEM_STRANGERS", strangers()?),
        )
    });
    // The whole workspace is named so that only the binary is built anew.
    stages.run("tests, otlp", || {
        let features = ["--features", "tandem/otlp", "--test", "traces"];
        cargo(&[&["test", "--workspace", "--locked"][..], &features].concat())
    });
    stages.run("codec bounds", || {
        let packages = ["-p", "tandem-bench-payload", "-p", "tandem-bench-count"];
        let manifest = ["--manifest-path", "bench/codec/Cargo.toml", "--locked", "--release"];
        cargo(&[&["test", "--quiet"][..], &packages, &manifest].concat())?;
        bench::codec(&["--hostile", "--short"])
    });
    if long {
        stages.run("codec bench", || {
            let manifest = ["--manifest-path", "bench/codec/Cargo.toml", "--workspace", "--locked"];
            cargo(&[&["test", "--quiet"][..], &manifest].concat())?;
            cargo(
                &[&["clippy", "--all-targets"][..], &manifest, &["--", "-D", "warnings"]].concat(),
            )
        });
    }
    stages.run("conformance", || conformance::run(&["protojson"]));
    stages.run("interop", || conformance::run(&["interop"]));
    stages.run("demo", || demo::run(&["--once", "--dev"]));
    stages.run("demo, Rust alone", || demo::run(&["--once", "--dev", "--rust-only"]));
    stages.end()
}

fn cases_folder() -> PathBuf {
    root().join("cases")
}

/// The programs of strangers: grpcurl, Python's grpcio and buf, at pinned versions.
fn clients() -> Result<(), String> {
    let tools = root().join("target/tools");
    std::fs::create_dir_all(&tools).map_err(|error| error.to_string())?;
    if !tools.join("grpcurl").exists() {
        println!("  install    grpcurl 1.9.3, as a Go module, into target/tools");
        quiet(
            Command::new("go")
                .args(["install", "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3"])
                .env("GOBIN", &tools),
        )?;
    }
    let venv = tools.join("venv");
    if !venv.join("ready").exists() {
        println!("  install    grpcio, as Python packages, into target/tools/venv");
        quiet(Command::new("python3").arg("-m").arg("venv").arg(&venv))?;
        let requirements = root().join("crates/tandem/tests/clients/requirements.txt");
        quiet(
            Command::new(venv.join("bin/pip"))
                .args(["install", "--quiet", "--requirement"])
                .arg(requirements),
        )?;
        std::fs::write(venv.join("ready"), "").map_err(|error| error.to_string())?;
    }
    buf().map(drop)
}

/// Services that were written without the gateway in mind, and what belongs to two of them: the
/// certificates of grpc-go's examples, the .proto file of the one without reflection.
fn strangers() -> Result<PathBuf, String> {
    let module = root().join("crates/tandem/tests/strangers");
    let folder = root().join("target/strangers");
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let go = |words: &[&str]| {
        quiet(Command::new("go").args(words).env("GOFLAGS", "-mod=readonly").current_dir(&module))
    };
    const EXAMPLES: &str = "google.golang.org/grpc/examples";
    for (program, package) in [
        ("library", "./library"),
        ("greeter", &*format!("{EXAMPLES}/features/reflection/server")),
        ("route_guide", &*format!("{EXAMPLES}/route_guide/server")),
    ] {
        let place = folder.join(program).display().to_string();
        go(&["build", "-o", &place, package])?;
    }
    let examples = PathBuf::from(go(&["list", "-m", "-f", "{{.Dir}}", EXAMPLES])?.trim());
    for file in [
        "data/x509/ca_cert.pem",
        "data/x509/server_cert.pem",
        "data/x509/server_key.pem",
        "route_guide/routeguide/route_guide.proto",
    ] {
        let name = file.rsplit('/').next().unwrap_or(file);
        // Read and written anew: a module's files are nobody's to write, and a copy would be so too.
        let bytes = std::fs::read(examples.join(file))
            .map_err(|error| format!("{}: {error}", examples.join(file).display()))?;
        std::fs::write(folder.join(name), bytes).map_err(|error| error.to_string())?;
    }
    Ok(folder)
}

/// `buf` itself, not the script that looks for it: the oracle of breaking changes.
pub(crate) fn buf() -> Result<PathBuf, String> {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "x64",
        other => other,
    };
    let modules = npm::package("@bufbuild/buf", "1.75.0")?;
    let program = modules.join(format!("@bufbuild/buf-linux-{machine}/bin/buf"));
    if program.is_file() { Ok(program) } else { Err(format!("there is no buf for {machine}")) }
}

#[derive(Default)]
struct Stages {
    passed: usize,
    failed: Vec<&'static str>,
}

impl Stages {
    fn run(&mut self, name: &'static str, stage: impl FnOnce() -> Result<(), String>) {
        println!("── {name}");
        let began = Instant::now();
        let outcome = stage();
        let seconds = began.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                self.passed += 1;
                println!("── {name}: passed in {seconds:.1} s");
            }
            Err(why) => {
                self.failed.push(name);
                println!("── {name}: FAILED after {seconds:.1} s\n{why}");
            }
        }
    }

    fn end(self) -> Result<(), String> {
        println!("{} passed, {} failed", self.passed, self.failed.len());
        if self.failed.is_empty() {
            return Ok(());
        }
        Err(format!("failed stages: {}", self.failed.join(", ")))
    }
}
