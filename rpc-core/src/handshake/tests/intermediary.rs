use http::StatusCode;

use crate::format::Format;
use crate::handshake::{AnswerError, Entry, parse_answer};

fn read(status: &str, lines: &[&str]) -> Result<(), AnswerError> {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!("HTTP/1.1 {status}\r\n{lines}\r\n");
    parse_answer(Entry::Connect, head.as_bytes(), &[Format::Bincode]).map(|_| ())
}

#[test]
fn a_proxy_is_recognised_by_the_headers_that_only_proxies_write_and_names_itself() {
    for (status, lines, named) in [
        (
            "503 Service Unavailable",
            &["X-Squid-Error: ERR_DNS_FAIL 0", "Via: 1.1 gate (squid/6.6)"][..],
            "Via: 1.1 gate (squid/6.6)",
        ),
        ("502 Bad Gateway", &["Proxy-Agent: Fortinet/7"], "Proxy-Agent: Fortinet/7"),
        ("403 Forbidden", &["X-Squid-Error: ERR_ACCESS_DENIED 0"], "X-Squid-Error: ERR_ACCESS_DENIED 0"),
        (
            "401 Unauthorized",
            &["Proxy-Authenticate: Basic realm=\"a\""],
            "Proxy-Authenticate: Basic realm=\\\"a\\\"",
        ),
        ("407 Proxy Authentication Required", &["Server: gate"], "Server: gate"),
        ("511 Network Authentication Required", &[], ""),
    ] {
        match read(status, lines) {
            Err(AnswerError::Proxy { proxy, answer }) => {
                assert_eq!((proxy.as_str(), answer.to_string().as_str()), (named, status));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_web_server_that_refuses_is_no_proxy() {
    let refused = read("404 Not Found", &["Server: nginx", "Content-Type: text/html"]);
    assert!(matches!(refused, Err(AnswerError::Refused(_))), "{refused:?}");
}

#[test]
fn a_page_of_html_is_not_an_acceptance() {
    for kind in ["text/html", "Text/HTML; charset=utf-8", "application/xhtml+xml"] {
        match read("203 Fine", &[&format!("Content-Type: {kind}"), "Server: portal"]) {
            Err(AnswerError::WebPage { status, sender }) => {
                assert_eq!(
                    (status, sender.as_str()),
                    (StatusCode::NON_AUTHORITATIVE_INFORMATION, "Server: portal")
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_type_or_a_proxys_name_alone_does_not_undo_an_acceptance() {
    read("200 Connected", &["Content-Type: text/html", "Rpc-Version: 1"]).unwrap();
    read("200 Connected", &["Content-Type: text/html", "Rpc-New: x"]).unwrap();
    read("200 Connected", &["Content-Type: text/plain"]).unwrap();
    read("200 Connected", &["Via: 1.1 gate", "Server: x"]).unwrap();
}

#[test]
fn both_say_who_answered() {
    let proxy = read("407 Proxy Authentication Required", &["Via: 1.1 gate"]).unwrap_err();
    assert_eq!(proxy.to_string(), "a proxy (Via: 1.1 gate) answered 407 Proxy Authentication Required");
    let page = read("200 OK", &["Content-Type: text/html"]).unwrap_err();
    assert_eq!(page.to_string(), "a web page came instead of an answer: 200 OK");
}
