//! Contracts compiled from text.

use std::path::Path;

use protox::file::{
    ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver,
};

struct Text(String);

impl FileResolver for Text {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "test.proto" => File::from_source(name, &self.0),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// The descriptor set of one file, its imports included.
pub(crate) fn compiled(text: &str) -> Vec<u8> {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Text(text.to_owned()));
    resolver
        .add(IncludeFileResolver::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto")));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_file("test.proto").unwrap();
    compiler.encode_file_descriptor_set()
}
