//! Contracts from .proto text, and from the files of `cases/`.

use std::path::Path;
use std::sync::Arc;

use protox::file::{
    ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver,
};
use tandem_contract::Contract;

struct Text(String);

impl FileResolver for Text {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name == "test.proto" {
            return File::from_source(name, &self.0);
        }
        if name == "buf/validate/validate.proto" {
            // The vendored part, and three of the standard's rules that it leaves out.
            let more = "message StringRules {\n optional string pattern = 6;\n \
                        optional bool email = 12;\n optional bool uuid = 22;\n";
            let part = include_str!("../../../../proto/buf/validate/validate.proto");
            return File::from_source(name, &part.replacen("message StringRules {\n", more, 1));
        }
        let case = name.strip_prefix("tandem/cases/").and_then(|rest| rest.split('/').next());
        let Some(case) = case else { return Err(protox::Error::file_not_found(name)) };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cases").join(case);
        let source = std::fs::read_to_string(path.join("contract.proto"));
        File::from_source(name, &source.map_err(protox::Error::new)?)
    }
}

pub(crate) fn compiled(text: &str, file: &str) -> Arc<Contract> {
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let mut resolver = ChainFileResolver::new();
    resolver.add(Text(text.to_owned()));
    resolver.add(IncludeFileResolver::new(protos));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_file(file).unwrap();
    Arc::new(Contract::from_descriptor_set(&compiler.encode_file_descriptor_set()).unwrap())
}
