//! `upload`, with real files.

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::running::Running;

const UPLOAD: &str = env!("CARGO_BIN_EXE_upload");

/// Bytes of which no two chunks are alike.
fn content(len: usize) -> Vec<u8> {
    (0..len as u64).flat_map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()).take(len).collect()
}

#[test]
fn the_server_tells_digest_and_size_of_what_it_got_and_keeps_it() {
    let directories = [(); 2].map(|()| TempDir::new().unwrap());
    let [near, far] = directories.each_ref().map(|directory| directory.path());
    let server = Running::start(UPLOAD, &["serve", far.to_str().unwrap()]);
    let address = server.line();
    for (name, content) in [("large", content((5 << 20) + 12_345)), ("empty", Vec::new())] {
        let path = near.join(name);
        std::fs::write(&path, &content).unwrap();
        let (code, lines, stderr) = Running::start(UPLOAD, &["send", &address, path.to_str().unwrap()]).end();
        let digest: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(lines, [format!("{digest}  {} bytes", content.len())]);
        assert_eq!((code, &*stderr), (Some(0), ""));
        assert!(std::fs::read(far.join(name)).unwrap() == content, "{name} is kept as it was");
    }
    assert_eq!(std::fs::read_dir(far).unwrap().count(), 2, "nothing else is left");
}

#[test]
fn without_a_directory_nothing_is_kept() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("abc");
    std::fs::write(&path, "abc").unwrap();
    let server = Running::start(UPLOAD, &["serve"]);
    let (code, lines, _) = Running::start(UPLOAD, &["send", &server.line(), path.to_str().unwrap()]).end();
    // The standard's own example.
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!((code, lines), (Some(0), vec![format!("{digest}  3 bytes")]));
}

#[test]
fn a_refusal_comes_before_the_file_has_ended() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("large");
    std::fs::write(&path, content(3 << 20)).unwrap();
    let gone = directory.path().join("gone");
    let server = Running::start(UPLOAD, &["serve", gone.to_str().unwrap()]);
    let (code, lines, stderr) =
        Running::start(UPLOAD, &["send", &server.line(), path.to_str().unwrap()]).end();
    assert_eq!((code, lines.len()), (Some(1), 0));
    assert!(stderr.starts_with("upload: Upload.Put at 127.0.0.1:"), "{stderr}");
    assert!(stderr.contains("No such file"), "{stderr}");
}
