//! Heads that come byte by byte.

use anyhow::{Result, ensure};

use crate::attack::Trial;
use crate::memory;
use crate::raw::Raw;
use crate::scene::Scene;

/// Of which the median counts.
const TIMES: usize = 3;

const SHORT: usize = 1024;
const LONG: usize = 8 * 1024;

/// At a time, a byte from each in turn.
const PEERS: usize = 16;

/// As many bytes in heads of 8 KiB as in heads of 1 KiB, all in slices of one byte: if what has come were looked at again
/// with each slice, a byte of the long ones would cost up to eight times as much.
pub(super) async fn sliced_heads(trial: &mut Trial) -> Result<()> {
    let scene = Scene::set(trial).await?;
    let (times, passes) = (trial.size(TIMES, 1), trial.size(4, 1));
    let mut costs = Vec::new();
    for _ in 0..times {
        let short = slices(&scene, SHORT, passes * LONG / SHORT).await?;
        costs.push((short, slices(&scene, LONG, passes).await?));
    }
    costs.sort_unstable_by(|one, other| (one.1 / one.0).total_cmp(&(other.1 / other.0)));
    let (short, long) = costs[times / 2];
    trial.shows("bytes, each in a slice of its own", 2 * times * passes * PEERS * LONG);
    trial.shows("processor time for a byte of 1 KiB, us", format!("{short:.2}"));
    trial.shows("processor time for a byte of 8 KiB, us", format!("{long:.2}"));
    trial.at_most_in_quiet("that is times as much", long / short, 1.5);
    scene.leave(trial).await
}

/// Microseconds of the server's processor time for each byte of heads of this length.
async fn slices(scene: &Scene, length: usize, passes: usize) -> Result<f64> {
    let mut head = b"CONNECT /_rpc_ HTTP/1.0\r\nX: ".to_vec();
    head.resize(length - 4, b'x');
    head.extend_from_slice(b"\r\n\r\n");
    let before = memory::processor(scene.pid())?;
    for _ in 0..passes {
        let mut peers = Vec::new();
        for _ in 0..PEERS {
            peers.push(Raw::dial(scene.address()).await?);
        }
        for byte in &head {
            for peer in &mut peers {
                peer.say(&[*byte]).await?;
            }
            // Once it is answered the server has read what came before it: no two bytes are read at once.
            scene.live().await?;
        }
        for peer in &mut peers {
            let answer = peer.head().await?;
            ensure!(answer.starts_with("HTTP/1.0 200 "), "told {answer}");
        }
    }
    let took = memory::processor(scene.pid())? - before;
    Ok(took.as_secs_f64() * 1e6 / (passes * PEERS * length) as f64)
}
