//! Compiles the contracts of the cases for the build scripts of their Rust sides.
//!
//! A contract lies at `cases/<case>/contract.proto` and is imported as
//! `tandem/cases/<case>/v1/contract.proto`, other files of the case likewise; this is the one place that knows both names. No protoc
//! is needed.

use std::path::{Path, PathBuf};

use protox::file::{
    ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver,
};

/// Compiles `files` with all that they import into Rust modules `OUT_DIR/protos.rs` and a
/// descriptor set `OUT_DIR/descriptors.binpb`.
///
/// # Errors
/// A contract that does not compile, a folder that cannot be written.
pub fn compile(files: &[&str]) -> Result<(), Box<dyn std::error::Error>> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut resolver = ChainFileResolver::new();
    resolver.add(Contracts { cases: cases.clone() });
    resolver.add(IncludeFileResolver::new(cases.join("../proto")));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true);
    for file in files {
        compiler.open_file(file)?;
        if let Some(path) = path_of(&cases, file) {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.binpb"), compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure()
        // In the order of keys, so that equal messages are equal bytes.
        .btree_map(".")
        .include_file("protos.rs")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// The place of a contract by the name under which it is imported.
fn path_of(cases: &Path, name: &str) -> Option<PathBuf> {
    let rest = name.strip_prefix("tandem/cases/")?;
    if rest == "admin/v1/admin.proto" {
        return Some(cases.join("proto/admin.proto"));
    }
    let (case, file) = rest.split_once("/v1/")?;
    Some(cases.join(case).join(file))
}

struct Contracts {
    cases: PathBuf,
}

impl FileResolver for Contracts {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let path = path_of(&self.cases, name).ok_or_else(|| protox::Error::file_not_found(name))?;
        let source = std::fs::read_to_string(path).map_err(protox::Error::new)?;
        File::from_source(name, &source)
    }
}
