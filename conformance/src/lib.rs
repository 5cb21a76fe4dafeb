//! What docs/protocol.md demands, as bytes: vectors for servers and for clients in any language, and what plays them.
//!
//! The vectors are data, in `vectors/`; `README.md` has their format, and what a side that is tested has to offer.
//! Written without rpc-core's frames, so that a mistake there does not cancel itself out.

mod driver;
mod parse;
mod pattern;
mod play;
mod requests;
mod service;
mod value;
mod vector;
mod wire;

use std::path::Path;

use anyhow::{Context, Result};

pub use driver::{Driver, drive};
pub use parse::parse;
pub use play::{play_client, play_server};
pub use service::server;
pub use vector::{Role, Setup, Vector};
pub use wire::Slices;

/// Where the vectors of this crate are.
pub const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors");

/// The vectors of all files in a directory, by their names.
///
/// # Errors
/// When one cannot be read or is not written as README.md says; the text names file and line.
pub fn read_all(directory: impl AsRef<Path>) -> Result<Vec<Vector>> {
    let directory = directory.as_ref();
    let listed =
        std::fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let mut files = listed.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|ending| ending == "txt"));
    files.sort();
    let mut vectors = Vec::new();
    for file in files {
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        vectors.extend(parse(&name, &text)?);
    }
    Ok(vectors)
}
