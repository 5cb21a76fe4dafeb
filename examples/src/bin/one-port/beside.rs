//! What operators ask for: health, metrics, the debug page.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TEXT_FORMAT, TextEncoder};
use rpc_core::Context;
use rpc_core::health::{Health, HealthReporter, Serving};
use rpc_server::Server;

pub(crate) fn routes(server: &Server, reporter: HealthReporter) -> Router {
    let (counts, shown) = (server.clone(), server.clone());
    let metrics = async move || match metrics(&counts) {
        Ok(text) => Ok(([(CONTENT_TYPE, TEXT_FORMAT)], text)),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    };
    let debug = async move |request: Request| shown.answer_debug(request.into_parts().0).map(Body::from);
    Router::new()
        .route("/health", get(async move || health(&reporter).await))
        .route("/metrics", get(metrics))
        .route("/debug/rpc", get(debug))
}

/// What the RPC method `Health.Check` says of the server as a whole.
async fn health(reporter: &HealthReporter) -> (StatusCode, &'static str) {
    match reporter.check(&Context::detached("Health.Check"), String::new()).await {
        Ok(Serving::Serving) => (StatusCode::OK, "serving\n"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "not serving\n"),
    }
}

/// What the server counts anyway; so it costs nothing until somebody asks.
fn metrics(server: &Server) -> prometheus::Result<String> {
    let labels = ["service", "method"];
    let calls = IntCounterVec::new(Opts::new("rpc_calls_total", "Calls that came in."), &labels)?;
    let errors =
        IntCounterVec::new(Opts::new("rpc_errors_total", "Calls that ended without a result."), &labels)?;
    let in_flight = IntGaugeVec::new(Opts::new("rpc_in_flight", "Calls that have not ended."), &labels)?;
    let connections = IntGauge::new("rpc_connections", "Connections that are open.")?;
    for method in server.stats() {
        let labels = [&*method.service, &*method.method];
        calls.with_label_values(&labels).inc_by(method.calls);
        errors.with_label_values(&labels).inc_by(method.errors);
        in_flight.with_label_values(&labels).set(method.in_flight.try_into().unwrap_or(i64::MAX));
    }
    connections.set(server.connections().try_into().unwrap_or(i64::MAX));
    let registry = Registry::new();
    registry.register(Box::new(calls))?;
    registry.register(Box::new(errors))?;
    registry.register(Box::new(in_flight))?;
    registry.register(Box::new(connections))?;
    TextEncoder::new().encode_to_string(&registry.gather())
}
