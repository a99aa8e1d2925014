//! Compiles `proto/` and writes what the other packages are built from.
//!
//! `./x bench codec --generate` runs it after `proto/` or a peer's version has changed. It writes
//! `payload/contract.binpb` (descriptors of all of `proto/`) and `src/generated/{buffa,pbjson}` (the
//! peers' code). What it writes is committed, so that measuring needs no generator.

use std::path::{Path, PathBuf};

use prost::Message as _;

/// Of `google.protobuf.FieldDescriptorProto.Type`.
const TYPE_GROUP: i32 = 10;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const PACKAGE: &str = ".tandem.bench.v1";

fn main() -> Outcome<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let proto = here.join("proto");
    let set = here.join("payload/contract.binpb");
    std::fs::write(&set, compile(&proto, &["bench.proto", "hostile.proto"])?)?;

    let folder = empty(here.join("src/generated/buffa"))?;
    buffa_build::Config::new()
        .descriptor_set(&set)
        .files(&["bench.proto"])
        .out_dir(folder)
        .include_file("mod.rs")
        .generate_json(true)
        .generate_views(false)
        .compile()?;

    // prost generates all that it is given; hostile input is for no peer.
    let folder = empty(here.join("src/generated/pbjson"))?;
    let alone = folder.join("bench.binpb");
    std::fs::write(&alone, compile(&proto, &["bench.proto"])?)?;
    prost_build::Config::new()
        .file_descriptor_set_path(&alone)
        .skip_protoc_run()
        .compile_well_known_types()
        .extern_path(".google.protobuf", "::pbjson_types")
        .out_dir(&folder)
        .compile_protos(&["bench.proto"], &[proto])?;
    pbjson_build::Builder::new()
        .register_descriptors(&std::fs::read(&alone)?)?
        .out_dir(&folder)
        .build(&[PACKAGE])?;
    std::fs::remove_file(alone)?;
    Ok(())
}

/// A descriptor set of `files` and what they import.
fn compile(proto: &Path, files: &[&str]) -> Outcome<Vec<u8>> {
    let mut compiler = protox::Compiler::new([proto])?;
    compiler.include_imports(true);
    compiler.open_files(files)?;
    let mut set = compiler.file_descriptor_set();
    let messages = set.file.iter_mut().flat_map(|file| &mut file.message_type);
    for field in messages.flat_map(|message| &mut message.field) {
        if field.name() == "delimited" {
            field.r#type = Some(TYPE_GROUP);
        }
    }
    Ok(set.encode_to_vec())
}

/// The folder `path` with nothing in it.
fn empty(path: PathBuf) -> Outcome<PathBuf> {
    if path.exists() {
        std::fs::remove_dir_all(&path)?;
    }
    std::fs::create_dir_all(&path)?;
    Ok(path)
}
