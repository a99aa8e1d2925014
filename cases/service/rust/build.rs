//! Compiles the contract of administration and the types of errors, and writes down how the cases
//! are built, which they say of themselves.

use std::env;
use std::process::Command;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rustc = Command::new(env::var("RUSTC")?).arg("--version").output()?;
    // `rustc 1.95.0 (59807616e 2026-04-14)` without the brackets.
    let version = String::from_utf8(rustc.stdout)?;
    let version = version.split(" (").next().unwrap_or_default().trim();
    println!("cargo::rustc-env=CASE_TOOLCHAIN={version}");
    // Flags stand with a separator that no flag has in it.
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default().replace('\u{1f}', " ");
    println!("cargo::rustc-env=CASE_FLAGS={flags}");
    let (profile, level) = (env::var("PROFILE")?, env::var("OPT_LEVEL")?);
    println!("cargo::rustc-env=CASE_PROFILE={profile}, opt-level {level}");
    case_protos::compile(&[
        "tandem/cases/admin/v1/admin.proto",
        "tandem/runtime/v1/runtime.proto",
        "google/rpc/error_details.proto",
        "google/rpc/status.proto",
    ])
}
