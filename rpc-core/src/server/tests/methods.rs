//! Method names and their indices.

use super::*;
use crate::message::MAX_NAME;
use crate::service::split_name;

fn introduce(server: &mut Server, index: u16) -> Result<Method, ProtocolError> {
    server.request(flags::NAME, &introduction(index, b"A.B")).map(|request| request.method)
}

fn by_index(server: &mut Server, index: u16) -> Result<Method, ProtocolError> {
    server.request(0, &index.to_be_bytes()).map(|request| request.method)
}

#[test]
fn an_introduced_method_is_known_by_its_index() {
    let mut server = Server::new();
    introduce(&mut server, 1).unwrap();
    introduce(&mut server, 2).unwrap();
    for index in [2, 1, 2] {
        assert_eq!(by_index(&mut server, index), Ok(Method::Known(index)));
    }
}

#[test]
fn an_index_that_was_never_introduced_is_an_error() {
    for index in [0, 2, u16::MAX] {
        let mut server = Server::new();
        introduce(&mut server, 1).unwrap();
        assert_eq!(by_index(&mut server, index), Err(ProtocolError::UnknownMethod { index }));
    }
}

#[test]
fn indices_are_introduced_one_after_the_other() {
    for index in [1, 3, 4096, u16::MAX] {
        let mut server = Server::new();
        introduce(&mut server, 1).unwrap();
        let error = ProtocolError::IndexOutOfOrder { index, expected: 2 };
        assert_eq!(introduce(&mut server, index), Err(error));
    }
}

#[test]
fn the_4096th_name_is_taken_and_the_next_one_is_an_error() {
    let mut server = Server::with_room_for(4097);
    for index in 1..=4096 {
        introduce(&mut server, index).unwrap();
    }
    assert_eq!(by_index(&mut server, 4096), Ok(Method::Known(4096)));
    let once = Method::Once { name: (*b"A.B").into() };
    assert_eq!(introduce(&mut server, 0), Ok(once));
    assert_eq!(introduce(&mut server, 4097), Err(ProtocolError::TooManyMethods { limit: 4096 }));
}

#[test]
fn a_method_named_once_takes_no_index() {
    let mut server = Server::new();
    introduce(&mut server, 0).unwrap();
    assert_eq!(by_index(&mut server, 1), Err(ProtocolError::UnknownMethod { index: 1 }));
}

#[test]
fn a_refused_request_introduces_its_method_all_the_same() {
    let mut server = Server::with_room_for(1);
    for flags in [flags::COMPRESSED, flags::COMPRESSED | flags::MORE] {
        let mut server = Server::new();
        refusal(server.request(flags::NAME | flags, &introduction(1, b"A.B")).unwrap().admission);
        assert_eq!(by_index(&mut server, 1), Ok(Method::Known(1)));
    }
    server.admitted();
    refusal(server.request(flags::NAME, &introduction(1, b"A.B")).unwrap().admission);
    server.calls.end(CallId::NONE);
    assert_eq!(by_index(&mut server, 1), Ok(Method::Known(1)));
}

#[test]
fn a_name_that_no_service_can_have_is_taken_and_unimplemented() {
    let long = vec![b'a'; MAX_NAME + 1];
    for name in [&b""[..], b"A", b"A B.C", b"\xff.B", &long] {
        let mut server = Server::new();
        let body = introduction(1, name);
        let request = server.request(flags::NAME, &body).unwrap();
        assert_eq!(request.admission, Admission::Admitted);
        let Method::New { name, .. } = request.method else { panic!("{:?}", request.method) };
        assert_eq!(split_name(&name).unwrap_err().code(), Code::Unimplemented);
        assert_eq!(by_index(&mut server, 1), Ok(Method::Known(1)));
    }
}

#[test]
fn a_name_of_128_bytes_can_be_called() {
    let name = [&[b'a'; MAX_NAME - 2][..], b".B"].concat();
    assert!(split_name(&name).is_ok());
}
