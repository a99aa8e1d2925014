//! A folder for compilers that read files: the texts, and those that come with the build.
//!
//! It is readable by this user only and goes when the value does.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Component, Path, PathBuf};

use tandem_contract::ProtoText;
use tandem_contract::source::text::VENDORED;

pub(super) struct Workplace(PathBuf);

impl Workplace {
    pub(super) fn with(texts: &[ProtoText]) -> io::Result<Workplace> {
        let name = format!("tandem-protos-{}-{:016x}", std::process::id(), rand::random::<u64>());
        let path = std::env::temp_dir().join(name);
        // Fails where it is there already: somebody else's folder is not written to.
        DirBuilder::new().mode(0o700).create(&path)?;
        let workplace = Workplace(path);
        for (name, text) in VENDORED {
            workplace.write(name, text)?;
        }
        // Of two files of one name the team's counts.
        for ProtoText { name, text } in texts {
            workplace.write(name, text)?;
        }
        workplace.write("buf.yaml", "version: v2\n")?;
        Ok(workplace)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let name = Path::new(name);
        if !name.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a name that leads elsewhere"));
        }
        let path = self.0.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, text)
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str) -> ProtoText {
        ProtoText { name: name.into(), text: "text".into() }
    }

    #[test]
    fn the_folder_holds_the_texts_and_goes_with_the_value() {
        let workplace =
            Workplace::with(&[text("a/b.proto"), text("google/api/http.proto")]).unwrap();
        let path = workplace.path().to_owned();
        let read = |name: &str| std::fs::read_to_string(path.join(name)).unwrap();
        assert_eq!(read("a/b.proto"), "text");
        assert_eq!(read("google/api/http.proto"), "text");
        assert!(read("google/api/annotations.proto").contains("72295728"));
        drop(workplace);
        assert!(!path.exists());
    }

    #[test]
    fn a_name_that_leads_out_is_not_written() {
        for name in ["../x.proto", "/x.proto", "a/../../x.proto"] {
            assert!(Workplace::with(&[text(name)]).is_err(), "{name}");
        }
    }
}
