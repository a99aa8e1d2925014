//! .proto texts compiled for tests.

use std::path::Path;

use protox::file::{
    ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver,
};
use tandem_contract::Contract;

struct Texts(Vec<(String, String)>);

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match self.0.iter().find(|(known, _)| known == name) {
            Some((_, text)) => File::from_source(name, text),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// The descriptor set of `files`, imports and source positions included.
pub(crate) fn set(files: &[(&str, &str)]) -> Vec<u8> {
    let owned = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let mut resolver = ChainFileResolver::new();
    resolver.add(Texts(owned));
    resolver
        .add(IncludeFileResolver::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto")));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(files.iter().map(|(name, _)| *name)).unwrap();
    compiler.encode_file_descriptor_set()
}

/// The contract of one file, which has no fault.
pub(crate) fn contract(text: &str) -> Contract {
    let contract = Contract::from_descriptor_set(&set(&[("test.proto", text)])).unwrap();
    assert_eq!(contract.faults(), [], "{text}");
    contract
}
