//! The generated code of the client for Rust is what the contract gives; `TANDEM_WRITE=1` writes it anew.

use std::path::Path;

use protox::file::{ChainFileResolver, GoogleFileResolver, IncludeFileResolver};

#[test]
fn generated_code_is_fresh() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut resolver = ChainFileResolver::new();
    resolver.add(IncludeFileResolver::new(here.join("../../proto")));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_source_info(true).open_file("tandem/settings/v1/settings.proto").unwrap();
    for (place, client) in [("src/protos.rs", true), ("tests/fake/protos.rs", false)] {
        let folder = tempfile::tempdir().unwrap();
        tonic_prost_build::configure()
            .build_client(client)
            .build_server(!client)
            .out_dir(folder.path())
            .compile_fds(compiler.file_descriptor_set())
            .unwrap();
        let made = std::fs::read_to_string(folder.path().join("tandem.settings.v1.rs")).unwrap();
        let place = here.join("../../clients/rust").join(place);
        if std::env::var_os("TANDEM_WRITE").is_some() {
            std::fs::write(&place, &made).unwrap();
        }
        assert!(std::fs::read_to_string(&place).unwrap() == made, "{} is stale", place.display());
    }
}
