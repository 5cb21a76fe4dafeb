use http::StatusCode;

use super::parsed;
use crate::format::Format;
use crate::handshake::{Entry, Refusal, Terms, negotiate_terms, websocket_key};

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\n";

fn head(headers: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\nConnection: Upgrade\nUpgrade: websocket\n{headers}\n").into_bytes()
}

fn refused(headers: &str) -> Refusal {
    websocket_key(&parsed(&head(headers))).unwrap_err()
}

#[test]
fn a_websocket_has_one_key_of_16_bytes() {
    let asked = parsed(&head(&format!("{KEY}{VERSION}")));
    assert_eq!(websocket_key(&asked).unwrap(), b"dGhlIHNhbXBsZSBub25jZQ==");
    for (key, told) in [
        ("", "a WebSocket without Sec-WebSocket-Key"),
        (&*format!("{KEY}{KEY}"), "Sec-WebSocket-Key given more than once"),
        ("Sec-WebSocket-Key:\n", "Sec-WebSocket-Key must be 16 bytes in base64"),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\n", "Sec-WebSocket-Key must be 16 bytes in base64"),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j==\n", "Sec-WebSocket-Key must be 16 bytes in base64"),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j?Q==\n", "Sec-WebSocket-Key must be 16 bytes in base64"),
    ] {
        let refusal = refused(&format!("{key}{VERSION}"));
        assert_eq!((refusal.status(), refusal.message()), (StatusCode::BAD_REQUEST, told), "{key}");
    }
}

#[test]
fn another_version_of_websocket_is_refused_with_426_and_13() {
    for (version, said) in [
        ("", "none"),
        ("Sec-WebSocket-Version: 8\n", "\"8\""),
        ("Sec-WebSocket-Version: 13, 8\n", "\"13, 8\""),
    ] {
        let refusal = refused(&format!("{KEY}{version}"));
        assert_eq!(refusal.status(), StatusCode::UPGRADE_REQUIRED);
        assert_eq!(refusal.message(), format!("Sec-WebSocket-Version must be 13, not {said}"));
        assert_eq!(refusal.headers()["sec-websocket-version"], "13");
    }
    let twice = refused(&format!("{KEY}{VERSION}Sec-WebSocket-Version: 8\n"));
    assert_eq!(twice.status(), StatusCode::BAD_REQUEST);
}

#[test]
fn a_websocket_names_its_format_as_subprotocol_or_as_others_do() {
    let negotiated = |headers: &str, formats: &[Format]| -> Result<Terms, Refusal> {
        negotiate_terms(Entry::WebSocket, &parsed(&head(headers)), formats)
    };
    for (headers, format) in [
        ("", Format::Bincode),
        ("Sec-WebSocket-Protocol: rpc.bincode\n", Format::Bincode),
        ("Sec-WebSocket-Protocol: chat, rpc.bincode\n", Format::Bincode),
        ("Sec-WebSocket-Protocol: chat\nSec-WebSocket-Protocol: rpc.bincode\n", Format::Bincode),
        // A page cannot say it, but who says both means the one that is answered.
        ("Sec-WebSocket-Protocol: rpc.bincode\nRpc-Format: json\n", Format::Bincode),
        #[cfg(feature = "json")]
        ("Sec-WebSocket-Protocol: rpc.json, rpc.bincode\n", Format::Json),
        #[cfg(feature = "json")]
        ("Rpc-Format: json\n", Format::Json),
    ] {
        assert_eq!(negotiated(headers, Format::ALL).unwrap().format, format, "{headers}");
    }
    for name in ["rpc.json", "chat", "rpc.", "RPC.BINCODE", "bincode", ""] {
        let refusal =
            negotiated(&format!("Sec-WebSocket-Protocol: {name}\n"), &[Format::Bincode]).unwrap_err();
        assert_eq!(refusal.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{name}");
        let told = "no known Sec-WebSocket-Protocol, this server has: rpc.bincode";
        assert_eq!(refusal.message(), told);
    }
    // Elsewhere the header means nothing.
    let connect = parsed(b"CONNECT / HTTP/1.1\nSec-WebSocket-Protocol: chat\n\n");
    assert!(negotiate_terms(Entry::Connect, &connect, Format::ALL).is_ok());
}
