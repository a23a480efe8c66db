//! Bodies with limits: a request's body has a size and a deadline; an answer's body reports its progress. [`RequestBody`] is what a
//! service gets; an `axum::Router` takes it as it is.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::activity::{Activity, Answering};

/// What may be wrong with a body, as hyper and axum pass it on.
pub type BodyError = Box<dyn Error + Send + Sync>;

/// The body did not arrive in time.
#[derive(Debug, thiserror::Error)]
#[error("the request body did not arrive in time")]
pub struct TooSlow;

/// What a request's body did wrong; the listener answers for it when the service does not.
#[derive(Debug, Default)]
pub(crate) struct Trouble(AtomicU8);

const TOO_LARGE: u8 = 1;
const TOO_SLOW: u8 = 2;

impl Trouble {
    /// The status that it deserves.
    pub(crate) fn status(&self) -> Option<http::StatusCode> {
        match self.0.load(Ordering::Relaxed) {
            TOO_LARGE => Some(http::StatusCode::PAYLOAD_TOO_LARGE),
            TOO_SLOW => Some(http::StatusCode::REQUEST_TIMEOUT),
            _ => None,
        }
    }
}

/// How large a request's body may be, and how slow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) max_bytes: usize,
    pub(crate) timeout: Duration,
    /// Whether each piece has this time, and not the whole.
    pub(crate) for_each_piece: bool,
}

/// The body of a request, cut at the listener's limits. Past its size it fails with [`LengthLimitError`], past its time with [`TooSlow`].
#[derive(Debug)]
pub struct RequestBody {
    inner: Limited<Incoming>,
    bounds: Bounds,
    deadline: Instant,
    /// Wakes at the deadline; made when there is something to wait for, which most requests never have.
    alarm: Option<Pin<Box<Sleep>>>,
    trouble: Arc<Trouble>,
    activity: Arc<Activity>,
}

impl RequestBody {
    pub(crate) fn new(inner: Incoming, bounds: Bounds, activity: Arc<Activity>) -> Self {
        Self {
            inner: Limited::new(inner, bounds.max_bytes),
            bounds,
            deadline: Instant::now() + bounds.timeout,
            alarm: None,
            trouble: Arc::default(),
            activity,
        }
    }

    pub(crate) fn trouble(&self) -> Arc<Trouble> {
        Arc::clone(&self.trouble)
    }

    fn note(&self, trouble: u8) {
        self.trouble.0.store(trouble, Ordering::Relaxed);
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        // Looked at first: a body that always has one more byte must not outrun its deadline.
        let deadline = self.deadline;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if deadline <= Instant::now() || alarm.as_mut().poll(cx).is_ready() {
            self.note(TOO_SLOW);
            return Poll::Ready(Some(Err(TooSlow.into())));
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Err(error)) = &frame
            && error.is::<LengthLimitError>()
        {
            self.note(TOO_LARGE);
        }
        if self.bounds.for_each_piece {
            let deadline = Instant::now() + self.bounds.timeout;
            self.deadline = deadline;
            if let Some(alarm) = &mut self.alarm {
                alarm.as_mut().reset(deadline);
            }
        }
        self.activity.progress();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of an answer.
pub(crate) struct ResponseBody {
    inner: UnsyncBoxBody<Bytes, BodyError>,
    answering: Answering,
}

impl ResponseBody {
    pub(crate) fn new<B>(body: B, activity: &Arc<Activity>) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        Self { inner: body.map_err(Into::into).boxed_unsync(), answering: activity.answer() }
    }

    pub(crate) fn text(text: &'static str, activity: &Arc<Activity>) -> Self {
        Self::new(Full::new(Bytes::from_static(text.as_bytes())), activity)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        self.answering.note(frame.is_pending());
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
