//! Row R-8: how large the built program is, and what it wants of the system.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tandem_judge::report::units;

use super::command::{Limits, Step};
use super::scratch::Scratch;
use super::{Found, Side};

pub(crate) fn row(side: &mut Side<'_>, built: &Result<PathBuf, String>, scratch: &Scratch) {
    let stripped = scratch.path().join("stripped");
    let program = built.as_deref().unwrap_or(Path::new("PROGRAM"));
    let strip = Step::new("strip", &["-o"], scratch.path())
        .word(stripped.display().to_string())
        .word(program.display().to_string());
    let libraries =
        Step::new("readelf", &["-d"], scratch.path()).word(program.display().to_string());
    let found = built.as_ref().map_err(Clone::clone).and_then(|program| {
        let mut notes = Vec::new();
        let mut value = format!("{} as built", size(program)?);
        match strip.output(&side.limits) {
            Ok(_) => {
                let packed = units_of(gzip_bytes(&stripped)?);
                value.push_str(&format!(
                    ", {} stripped, {packed} of that in gzip",
                    size(&stripped)?
                ));
            }
            Err(why) => notes.push(format!("stripped: not run, {why}")),
        }
        match linked(&libraries, &side.limits) {
            Ok(names) if names.is_empty() => value.push_str("; no dynamic library"),
            Ok(names) => {
                value.push_str(&format!("; {} dynamic: {}", names.len(), names.join(", ")))
            }
            Err(why) => notes.push(format!("libraries: not run, {why}")),
        }
        notes.push("both sides as their default build leaves them, then by the same strip".into());
        Ok(Found::new(value, notes.join("; ")))
    });
    side.row("R-8", &format!("{}; {}", strip.text(), libraries.text()), found);
}

fn linked(step: &Step, limits: &Limits) -> Result<Vec<String>, String> {
    step.output(limits).map(|ran| needed(&ran.out))
}

/// From `readelf -d`.
fn needed(out: &str) -> Vec<String> {
    out.lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned()))
        .collect()
}

fn size(file: &Path) -> Result<String, String> {
    std::fs::metadata(file)
        .map(|metadata| units_of(metadata.len()))
        .map_err(|error| format!("{}: {error}", file.display()))
}

#[expect(clippy::cast_precision_loss, reason = "bytes of one file")]
fn units_of(bytes: u64) -> String {
    units::bytes(bytes as f64)
}

/// Bytes that are counted and not kept.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn gzip_bytes(file: &Path) -> Result<u64, String> {
    let packed = || -> io::Result<u64> {
        let mut encoder = GzEncoder::new(Count(0), Compression::new(6));
        io::copy(&mut std::fs::File::open(file)?, &mut encoder)?;
        Ok(encoder.finish()?.0)
    };
    packed().map_err(|error| format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_readelf() {
        // binutils 2.40.
        let out = "
Dynamic section at offset 0x3a2d58 contains 30 entries:
  Tag        Type                         Name/Value
 0x0000000000000001 (NEEDED)             Shared library: [libgcc_s.so.1]
 0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]
 0x000000000000000c (INIT)               0x52000
";
        assert_eq!(needed(out), ["libgcc_s.so.1", "libc.so.6"]);
        assert_eq!(needed("\nThere is no dynamic section in this file.\n"), [""; 0]);
    }
}
