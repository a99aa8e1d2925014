//! The last good contract of each namespace, in files of the data folder.
//!
//! A file is written aside and renamed, so it holds the old or the new contract, never half of
//! one. What cannot be written is logged; the gateway serves all the same.
//!
//! Not here: when one is used (`tandem_gateway`, protocols X-6).

use std::io::Read as _;
use std::path::PathBuf;

use tandem_gateway::KeepContracts;

/// Bytes of one contract: as many as reflection may bring.
const BYTES_MOST: u64 = 16 << 20;

/// The folder of the files.
pub(crate) struct Kept(PathBuf);

impl Kept {
    /// Keeps contracts in `data/contracts`.
    pub(crate) fn below(data: &std::path::Path) -> Kept {
        Kept(data.join("contracts"))
    }

    fn file(&self, namespace: &str) -> PathBuf {
        self.0.join(format!("{namespace}.binpb"))
    }
}

impl KeepContracts for Kept {
    fn kept(&self, namespace: &str) -> Option<Vec<u8>> {
        let file = std::fs::File::open(self.file(namespace)).ok()?;
        let mut set = Vec::new();
        let read = file.take(BYTES_MOST + 1).read_to_end(&mut set).ok()?;
        (read as u64 <= BYTES_MOST).then_some(set)
    }

    fn keep(&self, namespace: &str, set: &[u8]) {
        let file = self.file(namespace);
        let aside = file.with_extension("part");
        let written = std::fs::create_dir_all(&self.0)
            .and_then(|()| std::fs::write(&aside, set))
            .and_then(|()| std::fs::rename(&aside, &file));
        if let Err(error) = written {
            // A full disk must not leave half a file behind either.
            let _ = std::fs::remove_file(&aside);
            tracing::warn!(namespace, %error, "the contract is not kept for the next start");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_again_and_a_folder_that_cannot_be_made_harms_nobody() {
        let folder = std::env::temp_dir().join(format!("tandem-kept-{}", std::process::id()));
        let kept = Kept::below(&folder);
        assert_eq!(kept.kept("shop"), None);
        kept.keep("shop", b"one");
        kept.keep("shop", b"another");
        assert_eq!(kept.kept("shop").as_deref(), Some(&b"another"[..]));
        assert_eq!(kept.kept("search"), None);
        assert_eq!(std::fs::read_dir(folder.join("contracts")).unwrap().count(), 1);
        std::fs::remove_dir_all(&folder).unwrap();
        // A file stands where the folder should be.
        std::fs::write(&folder, "").unwrap();
        kept.keep("shop", b"one");
        assert_eq!(kept.kept("shop"), None);
        std::fs::remove_file(&folder).unwrap();
    }
}
