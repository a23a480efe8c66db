//! A connection that left HTTP (a WebSocket, RFC 6455): bytes both ways until an end hangs up, nothing moves for too long, the
//! certificate stops opening the gate, or the server stops.

use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, interval};

use super::body::Progress;
use super::upstream::Load;
use super::visitor::Visitor;

/// How often it is looked whether it may go on.
const LOOK: Duration = Duration::from_secs(1);
const BUFFER: usize = 16 * 1024;

/// Joins both ends as soon as both have left HTTP. Goes on by itself.
pub(crate) fn join(client: OnUpgrade, application: OnUpgrade, visitor: Arc<Visitor>, idle: Duration, load: Load) {
    tokio::spawn(async move {
        let (client, application) = match tokio::try_join!(client, application) {
            Ok(ends) => ends,
            Err(error) => return tracing::debug!(%error, "a connection did not leave HTTP"),
        };
        metrics::gauge!("tegata_tunnels_open").increment(1.0);
        run(client, application, &visitor, idle).await;
        metrics::gauge!("tegata_tunnels_open").decrement(1.0);
        drop((load, visitor));
    });
}

async fn run(client: Upgraded, application: Upgraded, visitor: &Visitor, idle: Duration) {
    let (client_in, client_out) = tokio::io::split(TokioIo::new(client));
    let (application_in, application_out) = tokio::io::split(TokioIo::new(application));
    let progress = Progress::new();
    let there = pour(client_in, application_out, &progress);
    let back = pour(application_in, client_out, &progress);
    let mut stopped = visitor.stopped.clone();
    let why = tokio::select! {
        _ = async { tokio::join!(there, back) } => "ended",
        why = watch(visitor, &progress, idle) => why,
        _ = stopped.wait_for(|stopped| *stopped) => "the server stops",
    };
    tracing::debug!(client.address = %visitor.client.ip(), why, "a tunnel was closed");
}

async fn watch(visitor: &Visitor, progress: &Progress, idle: Duration) -> &'static str {
    let mut looks = interval(LOOK);
    loop {
        looks.tick().await;
        if visitor.accepted().is_none() {
            return "the certificate does not open the gate any more";
        }
        if Instant::now() - progress.last() >= idle {
            return "nothing moved for too long";
        }
    }
}

/// Until the reading end is at its end; the other end is told.
async fn pour(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, progress: &Progress) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        progress.note();
        if to.write_all(&buffer[..read]).await.is_err() || to.flush().await.is_err() {
            break;
        }
        progress.note();
    }
    // An end that is gone already needs no goodbye.
    let _ = to.shutdown().await;
}
