//! What a `tracing` subscriber sees of a call.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tests::{Args, ArithClient, arith, join, within};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

type Fields = BTreeMap<&'static str, String>;

/// Keeps the fields of all spans of calls, in the order in which they began.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Fields>>>);

struct Recorder<'a>(&'a mut Fields);

impl Visit for Recorder<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.into());
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "rpc_server::call"
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut spans = self.0.lock().expect("no panic under it");
        let mut fields = Fields::new();
        attributes.record(&mut Recorder(&mut fields));
        spans.push(fields);
        Id::from_u64(spans.len() as u64)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        let mut spans = self.0.lock().expect("no panic under it");
        values.record(&mut Recorder(&mut spans[id.into_u64() as usize - 1]));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn a_call_has_one_span_with_opentelemetrys_names_and_a_failed_one_its_code() {
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(spans.clone());
    let (client, _server) = join(arith()).await;
    let arith = ArithClient::new(client);
    within(arith.multiply(Args { a: 7, b: 8 })).await.unwrap();
    within(arith.divide(Args { a: 1, b: 0 })).await.unwrap_err();

    let spans = spans.0.lock().unwrap();
    let field = |at: usize, name: &str| spans[at].get(name).map(String::as_str);
    assert_eq!(spans.len(), 2);
    assert_eq!(field(0, "rpc.service"), Some("Arith"));
    assert_eq!(field(0, "rpc.method"), Some("Multiply"));
    assert_eq!(field(0, "otel.kind"), Some("server"));
    assert_eq!(field(0, "error.type"), None);
    assert_eq!(field(1, "rpc.method"), Some("Divide"));
    assert_eq!(field(1, "error.type"), Some("Unknown"));
}
