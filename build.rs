//! Compiles every file under `proto/` for the crate `steward-proto`, in pure Rust: no protoc is needed.

#[path = "build/access.rs"]
mod access;
#[path = "build/secrecy.rs"]
mod secrecy;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    // tonic's generator does not print these, so a changed file would not be compiled again.
    println!("cargo:rerun-if-changed={}", root.join("steward").display());
    println!("cargo:rerun-if-changed={}", root.join("../build.rs").display());
    println!("cargo:rerun-if-changed={}", root.join("../build").display());

    let mut files = Vec::new();
    collect_protos(&root.join("steward"), &mut files)?;
    files.sort();

    let mut compiler = protox::Compiler::new([&root])?;
    // Comments travel with the descriptors, so that a client of the reflection service can show them.
    compiler.include_imports(true).include_source_info(true).open_files(&files)?;
    let descriptors = compiler.encode_file_descriptor_set();
    let output = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(output.join("descriptors.bin"), descriptors)?;
    fs::write(output.join("access.rs"), access::table(&compiler.descriptor_pool())?)?;

    let (secret_messages, shown) = secrecy::implementations(&compiler.descriptor_pool())?;
    fs::write(output.join("secrecy.rs"), shown)?;

    tonic_prost_build::configure()
        .skip_debug(secret_messages)
        .build_client(true)
        .build_server(true)
        .bytes(".")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

fn collect_protos(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect_protos(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
