//! Go's net/rpc: a program of its own, in `go/main.go`, built when it is asked for.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};

/// The program, with the command line of `compare serve` and `compare drive`.
///
/// # Errors
/// Without Go, or when it does not build.
pub fn program() -> Result<PathBuf> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    if let Some(program) = BUILT.get() {
        return Ok(program.clone());
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = here.join("target/netrpc");
    let built = Command::new("go").arg("build").arg("-o").arg(&program).arg(here.join("go/main.go")).status();
    let built = built.context("Go is not there (Debian: golang-go)")?;
    ensure!(built.success(), "go/main.go does not build");
    Ok(BUILT.get_or_init(|| program).clone())
}
