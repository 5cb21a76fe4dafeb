//! Names that a connection keeps.

use anyhow::Result;
use tests::{Frame, NAME};

use super::flood::{Tally, exchange, put};
use super::watch::under;
use crate::attack::{Attack, Trial};
use crate::memory::MIB;
use crate::raw::Raw;
use crate::scene::Scene;

pub(crate) const ATTACKS: &[Attack] = &[Attack {
    name: "names",
    aim: "L20: 4,096 names of 128 bytes on a connection",
    run: |trial| Box::pin(names(trial)),
}];

const NAMES: u16 = 4096;

/// The name that stands under an index.
type Name = fn(u16) -> String;

/// All names that a connection may introduce, on many: such as nobody has, and one that the server has, again and
/// again.
async fn names(trial: &mut Trial) -> Result<()> {
    let kinds: [(&str, Name); 2] =
        [("unknown", |index| format!("{index:0>64}.{index:0>63}")), ("known", |_| "Hostile.Strings".into())];
    for (what, name) in kinds {
        let scene = Scene::set(trial).await?;
        let connections = trial.size(100, 20);
        trial.shows(&format!("connections with 4,096 {what} names"), connections);
        let most = introduce(&scene, trial, connections, name).await?;
        let each = most / connections as f64 / MIB;
        trial.at_most("memory for each, MiB", each, 1.0);
        // What was given back is used again; the allocator keeps it apart for each of the two threads.
        let again = introduce(&scene, trial, connections, name).await? / connections as f64 / MIB;
        trial.at_most("memory for each after a second time, MiB", again, 1.5);
        scene.leave(trial).await?;
    }
    Ok(())
}

/// The most memory; the connections are closed by one name more.
async fn introduce(
    scene: &Scene,
    trial: &mut Trial,
    connections: u64,
    name: fn(u16) -> String,
) -> Result<f64> {
    let mut bytes = Vec::new();
    for index in 1..=NAMES {
        put_introduction(&mut bytes, index, &name(index));
    }
    let mut one_more = Vec::new();
    put_introduction(&mut one_more, NAMES + 1, &name(NAMES + 1));
    let attack = async {
        let mut peers = Vec::new();
        for _ in 0..connections {
            let (mut raw, mut tally) = (Raw::enter(scene.address(), "").await?, Tally::default());
            exchange(&mut raw, &mut tally, [bytes.clone()], |tally| tally.ended() == u64::from(NAMES))
                .await?;
            peers.push((raw, tally));
        }
        Ok(peers)
    };
    let (peers, most) = under(scene, trial, attack).await?;
    let (mut open, mut closed) = (0, 0);
    for (mut raw, mut tally) in peers {
        open += u64::from(!tally.closed && tally.ended() == u64::from(NAMES));
        exchange(&mut raw, &mut tally, [one_more.clone()], |_| false).await?;
        closed += u64::from(tally.reason == Some(1));
    }
    trial.at_least("connections that bore them", open as f64, connections as f64);
    trial.at_least("closed for one name more", closed as f64, connections as f64);
    Ok(most)
}

fn put_introduction(out: &mut Vec<u8>, index: u16, name: &str) {
    let head = [&index.to_be_bytes()[..], &[0; 8], &[name.len() as u8]].concat();
    let flags = NAME;
    put(out, Frame::REQUEST, flags, u64::from(index) << 16, &[&head, name.as_bytes()]);
}
