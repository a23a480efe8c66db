//! What an operator can count.

use tegata_gateway::limits::Limits;
use tegata_gateway::tls::TlsSettings;

use crate::world::*;

#[tokio::test]
async fn connections_handshakes_and_requests_are_counted() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder().expect("the only recorder");
    let ca = Ca::new();
    let server = Server::with(&ca, TlsSettings::default(), Limits { max_connections: 1, ..Limits::default() }).await;
    let config = client(&ca, Some(&ca.terminal(at("2027-01-21"))));
    let mut http = Http::over(connect(server.address, &config).await.expect("TLS")).await.expect("HTTP");
    http.get("/peer").await.expect("an answer");
    http.get("/nowhere").await.expect("an answer");
    assert!(connect(server.address, &config).await.is_err());
    let text = recorder.render();
    for line in [
        "tegata_connections_total ",
        "tegata_connections_open ",
        "tegata_handshakes_total{result=\"ok\",version=\"TLSv1.3\"} ",
        "tegata_handshake_seconds",
        "tegata_requests_total{peer_state=\"due\",status=\"200\"} ",
        "tegata_requests_total{peer_state=\"due\",status=\"404\"} ",
        "tegata_connections_rejected_total{reason=\"total\"} ",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}
