//! The file of the last values: four lines of text, then the serialized message.
//!
//! ```text
//! tandem-settings 1
//! shop.catalogue.v1.Catalogue
//! 7
//! 5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9
//! ```
//!
//! The lines are the format, the service, the version of its namespace, and the SHA-256 of the
//! message. The file is written aside and renamed, and believed only where all of it agrees.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

const FORMAT: &str = "tandem-settings 1";

/// Values with what names them.
pub(crate) struct Kept {
    pub(crate) service: String,
    pub(crate) version: u64,
    pub(crate) hash: Vec<u8>,
    pub(crate) message: Vec<u8>,
}

impl Kept {
    pub(crate) fn check(&self) -> Result<(), String> {
        let fine = Sha256::digest(&self.message)[..] == self.hash[..];
        if fine {
            Ok(())
        } else {
            Err("the message does not have the hash that it came with".into())
        }
    }

    /// What stands in the file, and since when; `None` where there is none.
    pub(crate) fn read(path: &Path, service: &str) -> Result<Option<(Kept, SystemTime)>, String> {
        let told = |why: String| format!("{}: {why}", path.display());
        let written = match std::fs::metadata(path).and_then(|metadata| metadata.modified()) {
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(told(error.to_string())),
        };
        let bytes = std::fs::read(path).map_err(|error| told(error.to_string()))?;
        let kept = Kept::parse(&bytes, service).ok_or_else(|| told("it is damaged".into()))?;
        Ok(Some((kept, written)))
    }

    pub(crate) fn parse(bytes: &[u8], service: &str) -> Option<Kept> {
        let mut parts = bytes.splitn(5, |byte| *byte == b'\n');
        let mut line = || std::str::from_utf8(parts.next()?).ok();
        if line()? != FORMAT || line()? != service {
            return None;
        }
        let digits = line()?;
        let version = digits.parse().ok().filter(|version: &u64| version.to_string() == digits)?;
        let hash = line()?;
        let message = parts.next()?.to_vec();
        let kept = Kept {
            service: service.into(),
            version,
            hash: Sha256::digest(&message).to_vec(),
            message,
        };
        (hex(&kept.hash) == hash).then_some(kept)
    }

    pub(crate) fn text(&self) -> Vec<u8> {
        let Kept { service, version, hash, message } = self;
        let head = format!("{FORMAT}\n{service}\n{version}\n{}\n", hex(hash));
        [head.as_bytes(), message].concat()
    }

    /// Writes it aside and renames it.
    pub(crate) fn write(&self, path: &Path) -> Result<(), String> {
        let aside = path.with_added_extension("new");
        let written = File::create(&aside)
            .and_then(|mut file| file.write_all(&self.text()).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&aside, path));
        written.map_err(|error| format!("{}: {error}", path.display()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VECTORS: &str = include_str!("../../vectors.json");

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len() / 2)
            .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn files_are_those_of_every_language() {
        let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        for vector in vectors["files"].as_array().unwrap() {
            let service = vector["service"].as_str().unwrap();
            let bytes = unhex(vector["file"].as_str().unwrap());
            let parsed = Kept::parse(&bytes, service);
            let what = &vector["what"];
            if !vector["valid"].as_bool().unwrap() {
                assert!(parsed.is_none(), "{what}");
                continue;
            }
            let kept = parsed.unwrap_or_else(|| panic!("{what}"));
            assert_eq!(
                Some(kept.version),
                vector["version"].as_str().unwrap().parse().ok(),
                "{what}"
            );
            assert_eq!(kept.message, unhex(vector["message"].as_str().unwrap()), "{what}");
            assert_eq!(kept.text(), bytes, "{what}");
        }
    }

    #[test]
    fn hybrid_se_7_principals_have_the_same_numbers_in_every_language() {
        let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        for vector in vectors["rollouts"].as_array().unwrap() {
            let (setting, principal) =
                (vector["setting"].as_str().unwrap(), vector["principal"].as_str().unwrap());
            let number = u32::try_from(vector["number"].as_u64().unwrap()).unwrap();
            assert!(!crate::is_on(number, setting, principal), "{setting} {principal}");
            assert!(crate::is_on(number + 1, setting, principal), "{setting} {principal}");
        }
    }
}
