//! The admin token, and an agent's: made at first start, kept in a file that only its owner reads.
//!
//! `tnd_<id>_<secret>`: 256 random bits in the secret. In memory its SHA-256 is kept and compared
//! in constant time (security AD-1, AD-5).

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;
use tandem_config::Tnd;
use tandem_protocol::identity::hex;

use crate::failure::{Exit, Failure};

/// The name of the file inside the data folder.
const FILE: &str = "admin.token";
/// That of an agent's.
pub(crate) const AGENT_FILE: &str = "agent.token";

/// Whose token it is, in the words of a failure.
pub(crate) struct Whose {
    unusable: &'static str,
    fix: &'static str,
}

const ADMIN: Whose = Whose {
    unusable: "there is no usable admin credential",
    fix: "give a folder that this user may write with `--data DIR`",
};
pub(crate) const AGENT: Whose = Whose {
    unusable: "there is no usable token for the agent",
    fix: "name a file that this user may write with `--token-file FILE`",
};

/// What a presented token is compared with.
#[derive(Clone)]
pub(crate) struct Expected([u8; 32]);

impl Expected {
    fn of(token: &str) -> Expected {
        Expected(hash(token))
    }

    /// Whether `presented` is the token.
    pub(crate) fn is(&self, presented: &str) -> bool {
        self.0.ct_eq(&hash(presented)).into()
    }
}

fn hash(token: &str) -> [u8; 32] {
    digest(&SHA256, token.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Reads the token of `data`, or makes one.
///
/// # Errors
/// TND0002 when others may read the file, TND0003 when there is no usable token to be had.
pub(crate) fn load_or_make(data: &Path) -> Result<(Expected, PathBuf), Failure> {
    load_or_make_at(&data.join(FILE), &ADMIN)
}

/// Reads the token in the file at `path`, or makes one.
///
/// # Errors
/// As [`load_or_make`].
pub(crate) fn load_or_make_at(path: &Path, whose: &Whose) -> Result<(Expected, PathBuf), Failure> {
    let path = path.to_owned();
    let unusable = |error: &io::Error| {
        Failure::new(Exit::Failed, whose.unusable)
            .coded(Tnd::NoAdminCredential)
            .because(format!("{}: {error}", path.display()))
            .fix(whose.fix)
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| unusable(&error))?;
    }
    match std::fs::File::open(&path) {
        Ok(mut file) => {
            let mode =
                file.metadata().map_err(|error| unusable(&error))?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(Failure::new(Exit::Failed, "a key file is readable by others")
                    .coded(Tnd::KeyFileReadable)
                    .because(format!("{} has mode {mode:o}", path.display()))
                    .fix(format!("chmod 600 {}", path.display())));
            }
            let mut token = String::new();
            file.read_to_string(&mut token).map_err(|error| unusable(&error))?;
            let token = token.trim();
            if !token.starts_with("tnd_") || token.len() < 64 {
                return Err(Failure::new(Exit::Failed, whose.unusable)
                    .coded(Tnd::NoAdminCredential)
                    .because(format!("{} holds no token of ours", path.display()))
                    .fix("remove the file; the next start makes a new one"));
            }
            Ok((Expected::of(token), path))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id: [u8; 4] = rand::random();
            let secret: [u8; 32] = rand::random();
            let token = format!("tnd_{}_{}", hex(&id), hex(&secret));
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .map_err(|error| unusable(&error))?;
            if let Err(error) = file.write_all(format!("{token}\n").as_bytes()) {
                // Half a token, on a full disk, would keep the next start from making a whole one.
                let _ = std::fs::remove_file(&path);
                return Err(unusable(&error));
            }
            Ok((Expected::of(&token), path))
        }
        Err(error) => Err(unusable(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> PathBuf {
        let name = format!("tandem-token-{}", hex(&rand::random::<[u8; 8]>()));
        std::env::temp_dir().join(name)
    }

    #[test]
    fn security_ad_1_the_token_is_made_once_and_only_its_owner_may_read_it() {
        let data = folder();
        let (first, path) = load_or_make(&data).unwrap();
        let token = std::fs::read_to_string(&path).unwrap();
        assert!(first.is(token.trim()));
        assert!(!first.is("tnd_00000000_00"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (second, _) = load_or_make(&data).unwrap();
        assert!(second.is(token.trim()));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(load_or_make(&data).err().unwrap().code, Some(Tnd::KeyFileReadable));
        std::fs::remove_dir_all(&data).unwrap();
    }

    #[test]
    fn a_file_that_holds_no_token_is_not_overwritten() {
        let data = folder();
        std::fs::create_dir_all(&data).unwrap();
        let path = data.join(FILE);
        std::fs::write(&path, "something else").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(load_or_make(&data).err().unwrap().code, Some(Tnd::NoAdminCredential));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "something else");
        std::fs::remove_dir_all(&data).unwrap();
    }
}
