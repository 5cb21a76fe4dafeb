//! `chat`, with guests that talk.

use crate::running::Running;

const CHAT: &str = env!("CARGO_BIN_EXE_chat");

fn join(address: &str, name: &str) -> Running {
    let guest = Running::start(CHAT, &["join", address, name]);
    assert_eq!(guest.line(), format!("{name} joined"));
    guest
}

#[test]
fn guests_hear_what_the_others_say_and_who_comes_and_goes() {
    let server = Running::start(CHAT, &["serve"]);
    let address = server.line();
    let mut ada = join(&address, "Ada");
    let mut bob = join(&address, "Bob");
    assert_eq!(ada.line(), "Bob joined");
    ada.say("Hello, Bob!");
    assert_eq!(bob.line(), "Ada: Hello, Bob!");
    bob.say("Hello, Ada!\u{1b}[2J");
    assert_eq!(ada.line(), "Bob: Hello, Ada! [2J");
    ada.say("Bye.");
    assert_eq!(ada.end(), (Some(0), Vec::new(), String::new()));
    assert_eq!([bob.line(), bob.line()], ["Ada: Bye.", "Ada left"]);

    // One that is killed has left too.
    let eve = join(&address, "Eve");
    drop(eve);
    assert_eq!([bob.line(), bob.line()], ["Eve joined", "Eve left"]);
}

#[test]
fn a_guest_that_does_not_listen_is_told_that_it_missed_something_and_delays_nobody() {
    let server = Running::start(CHAT, &["serve"]);
    let address = server.line();
    let mut ada = join(&address, "Ada");
    let bob = join(&address, "Bob");
    let deaf = join(&address, "Deaf");
    assert_eq!([ada.line(), ada.line(), bob.line()], ["Bob joined", "Deaf joined", "Deaf joined"]);

    // Several times what fits between the server and a guest that does not listen.
    let times = 600;
    let text = "x".repeat(4000);
    for number in 0..times {
        ada.say(&format!("{number} {text}"));
        assert_eq!(bob.line(), format!("Ada: {number} {text}"));
    }
    assert_eq!(ada.end().0, Some(0));
    assert_eq!(bob.line(), "Ada left");

    let (mut heard, mut missed) = (0, 0);
    loop {
        match &*deaf.line() {
            "Ada left" => break,
            line => match line.strip_prefix("you missed ") {
                Some(more) => missed += more.parse::<u32>().unwrap(),
                None => {
                    // Nothing else is lost.
                    assert!(line.starts_with(&format!("Ada: {} x", heard + missed)), "{}", &line[..20]);
                    heard += 1;
                }
            },
        }
    }
    assert_eq!(heard + missed, times);
    assert!(missed > 0 && heard > 0, "heard {heard}, missed {missed}");
}

#[test]
fn a_name_that_is_none_is_refused() {
    let server = Running::start(CHAT, &["serve"]);
    let (code, lines, stderr) = Running::start(CHAT, &["join", &server.line(), ""]).end();
    assert_eq!((code, lines.len()), (Some(1), 0));
    assert!(stderr.ends_with("a name has 1 to 32 bytes\n"), "{stderr}");
}
