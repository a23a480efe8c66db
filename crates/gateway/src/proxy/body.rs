//! Bodies on their way through, piece by piece: nothing is gathered. A request's body can be had back as long as nobody began to read it,
//! so that another server can be asked; an answer's body ends when it stands still for too long, and when the certificate that asked for
//! it stops opening the gate.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::headers::remove_forged;
use super::upstream::Load;
use super::visitor::Visitor;
use crate::body::BodyError;

/// How often it is looked whether a long answer may go on.
const LOOK: Duration = Duration::from_secs(1);

/// When a body last moved.
#[derive(Debug)]
pub(crate) struct Progress(Mutex<Instant>);

impl Progress {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Instant::now())))
    }

    pub(crate) fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(crate) fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Sent = UnsyncBoxBody<Bytes, BodyError>;

/// Keeps a request's body until it is read.
#[derive(Clone)]
pub(crate) struct Kept(Arc<Mutex<Option<Sent>>>);

impl Kept {
    pub(crate) fn new<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        Self(Arc::new(Mutex::new(Some(body.map_err(Into::into).boxed_unsync()))))
    }

    /// The body for one try; `None` when an earlier try has begun to read it.
    pub(crate) fn lend(&self, progress: &Arc<Progress>) -> Option<Lent> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let body = kept.as_ref()?;
        let (is_empty, size) = (body.is_end_stream(), body.size_hint());
        Some(Lent { kept: self.clone(), taken: None, is_empty, size, progress: Arc::clone(progress) })
    }

    fn take(&self) -> Option<Sent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A request's body on its way to an application.
pub(crate) struct Lent {
    kept: Kept,
    taken: Option<Sent>,
    is_empty: bool,
    size: SizeHint,
    progress: Arc<Progress>,
}

impl Body for Lent {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.taken.is_none() {
            self.taken = self.kept.take();
        }
        let Some(body) = self.taken.as_mut() else { return Poll::Ready(None) };
        let mut frame = ready!(Pin::new(body).poll_frame(cx));
        // Fields after the body are fields, too (RFC 9110 section 6.5.1).
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            remove_forged(trailers);
        }
        self.progress.note();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.taken.as_ref().map_or(self.is_empty, Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.taken.as_ref().map_or_else(|| self.size, Body::size_hint)
    }
}

/// Why an answer was cut.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cut {
    #[error("the application's answer stood still for too long")]
    Still,
    #[error("the certificate does not open the gate any more")]
    Closed,
}

/// The body of an application's answer.
#[derive(Debug)]
pub struct Answer {
    inner: Incoming,
    visitor: Arc<Visitor>,
    idle: Duration,
    moved_at: Instant,
    looked_at: Instant,
    /// Made when there is something to wait for, which short answers never have.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Counts as the server's work until the last byte.
    _load: Load,
}

impl Answer {
    pub(crate) fn new(inner: Incoming, visitor: Arc<Visitor>, idle: Duration, load: Load) -> Self {
        let now = Instant::now();
        Self { inner, visitor, idle, moved_at: now, looked_at: now, alarm: None, _load: load }
    }

    /// Whether it may go on.
    fn look(&mut self, now: Instant) -> Result<(), Cut> {
        if now - self.looked_at < LOOK {
            return Ok(());
        }
        self.looked_at = now;
        if self.visitor.accepted().is_none() { Err(Cut::Closed) } else { Ok(()) }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let now = Instant::now();
                this.moved_at = now;
                if let Err(cut) = this.look(now) {
                    return Poll::Ready(Some(Err(cut.into())));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => loop {
                let alarm = this.alarm.get_or_insert_with(|| Box::pin(sleep(LOOK)));
                ready!(alarm.as_mut().poll(cx));
                let now = Instant::now();
                alarm.as_mut().reset(now + LOOK);
                let overdue = now - this.moved_at >= this.idle;
                if let Err(cut) = if overdue { Err(Cut::Still) } else { this.look(now) } {
                    return Poll::Ready(Some(Err(cut.into())));
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
