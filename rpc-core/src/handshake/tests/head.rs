use proptest::prelude::*;

use super::plausible_head;
use crate::handshake::{HeadBuffer, HeadTooLarge, MAX_HEAD, Refusal};

type HeadAndRest = (Vec<u8>, Vec<u8>);

/// The head and everything behind it, or the error, after feeding the bytes in these slices.
fn feed<'a>(
    limit: usize,
    slices: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<HeadAndRest>, HeadTooLarge> {
    let mut buffer = HeadBuffer::new(limit);
    let mut whole: Option<HeadAndRest> = None;
    for slice in slices {
        match &mut whole {
            Some((_, rest)) => rest.extend_from_slice(slice),
            None => whole = buffer.push(slice)?.map(|whole| (whole.head, whole.rest.to_vec())),
        }
    }
    Ok(whole)
}

fn split_at_all<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let (mut slices, mut start) = (Vec::new(), 0);
    for cut in cuts {
        slices.push(&bytes[start..cut]);
        start = cut;
    }
    slices.push(&bytes[start..]);
    slices
}

#[test]
fn a_head_ends_with_its_first_empty_line_whatever_the_line_ends() {
    for head in [
        "CONNECT / HTTP/1.0\r\n\r\n",
        "CONNECT / HTTP/1.0\n\n",
        "CONNECT / HTTP/1.0\r\n\n",
        "CONNECT / HTTP/1.0\n\r\n",
        "CONNECT / HTTP/1.0\nA: b\r\nC: d\n\r\n",
    ] {
        let wire = format!("{head}\n\r\nframes");
        let whole = feed(MAX_HEAD, [wire.as_bytes()]).unwrap().unwrap();
        assert_eq!(whole, (head.as_bytes().to_vec(), b"\n\r\nframes".to_vec()));
    }
}

#[test]
fn empty_lines_before_the_first_line_do_not_end_the_head() {
    let wire = b"\r\n\n\r\nCONNECT / HTTP/1.0\r\n\r\n";
    assert_eq!(feed(MAX_HEAD, [&wire[..]]).unwrap().unwrap().0, wire);
}

#[test]
fn empty_lines_before_the_first_line_count_against_the_limit() {
    assert_eq!(feed(64, [&[b'\n'; 65][..]]), Err(HeadTooLarge { limit: 64 }));
}

#[test]
fn carriage_returns_alone_do_not_make_an_empty_line() {
    assert_eq!(feed(MAX_HEAD, [&b"A\r\n\r\r\n\r"[..]]), Ok(None));
}

#[test]
fn a_head_of_exactly_the_limit_passes_and_one_more_byte_does_not() {
    let head = b"CONNECT / HTTP/1.0\r\n\r\n";
    assert!(feed(head.len(), [&head[..]]).unwrap().is_some());
    assert_eq!(feed(head.len() - 1, [&head[..]]), Err(HeadTooLarge { limit: head.len() - 1 }));
}

#[test]
fn bytes_behind_the_head_do_not_count_against_the_limit() {
    let mut wire = b"CONNECT / HTTP/1.0\r\n\r\n".to_vec();
    let head = wire.len();
    wire.resize(head + 200_000, b'\n');
    let (_, rest) = feed(64, [&wire[..]]).unwrap().unwrap();
    assert_eq!(rest, wire[head..]);
}

#[test]
fn too_large_stays_too_large_and_is_a_431() {
    let mut buffer = HeadBuffer::new(4);
    let error = buffer.push(b"GET / HTTP").unwrap_err();
    assert!(buffer.push(b"\n\n").is_err());
    assert_eq!(buffer.bytes(), b"GET ");
    let refusal = Refusal::from(error);
    assert_eq!((refusal.status().as_u16(), refusal.message()), (431, "head larger than 4 bytes"));
}

#[test]
fn an_unfinished_head_can_be_looked_at() {
    let mut buffer = HeadBuffer::default();
    assert!(buffer.is_empty());
    buffer.push(b"SSH-2.0").unwrap();
    assert_eq!(buffer.bytes(), b"SSH-2.0");
    buffer.push(b"\n\n").unwrap();
    assert!(buffer.is_empty());
}

#[test]
fn a_head_in_slices_of_one_byte_is_scanned_once() {
    let mut buffer = HeadBuffer::default();
    for count in 1..=MAX_HEAD {
        buffer.push(b"x").unwrap();
        assert_eq!(buffer.scanned(), count);
    }
    assert!(buffer.push(b"x").is_err());
    assert_eq!(buffer.scanned(), MAX_HEAD);
}

proptest! {
    #[test]
    fn any_split_gives_the_same_head_and_rest(
        bytes in plausible_head(),
        cuts in prop::collection::vec(any::<usize>(), 0..8),
        limit in 0_usize..200,
    ) {
        let at_once = feed(limit, [&bytes[..]]);
        prop_assert_eq!(&at_once, &feed(limit, split_at_all(&bytes, &cuts)));
        prop_assert_eq!(&at_once, &feed(limit, bytes.chunks(1)));
        if let Ok(Some((head, rest))) = at_once {
            prop_assert_eq!([head, rest].concat(), bytes);
        }
    }
}
