//! Watches one connection for progress, so that a client which opens it and then dawdles is cut: a header that trickles in, a kept-alive
//! connection that nobody uses, an answer that nobody reads. Time that our own service takes is never held against the client.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until};

use crate::limits::Limits;

/// How long a client may dawdle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Over a header that it has begun.
    header: Duration,
    /// Before it sends another request.
    idle: Duration,
    /// Before it reads more of an answer.
    answer: Duration,
}

impl Patience {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { header: limits.header_timeout, idle: limits.idle_timeout, answer: limits.idle_timeout }
    }

    /// With a server that stops: only answers under way still have time.
    pub(crate) fn while_stopping(self, farewell: Duration) -> Self {
        Self { header: farewell, idle: farewell, ..self }
    }

    /// With a client that was told that the connection ends.
    pub(crate) fn at_an_end(self, farewell: Duration) -> Self {
        Self { answer: farewell, ..self.while_stopping(farewell) }
    }
}

/// Why a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// A header did not end in time.
    Header,
    /// Nothing moved.
    Idle,
}

/// What one connection is doing.
#[derive(Debug)]
pub(crate) struct Activity(Mutex<State>);

#[derive(Debug)]
struct State {
    in_service: usize,
    answering: usize,
    /// Of these, the answers of which our own service owes the next piece.
    owed: usize,
    progress_at: Instant,
    header_since: Option<Instant>,
}

impl Activity {
    pub(crate) fn new() -> Arc<Self> {
        let state = State { in_service: 0, answering: 0, owed: 0, progress_at: Instant::now(), header_since: None };
        Arc::new(Self(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A piece of a body went by.
    pub(crate) fn progress(&self) {
        self.state().progress_at = Instant::now();
    }

    /// A request is complete but for its body, and is with the service until the guard is dropped.
    pub(crate) fn serve(self: &Arc<Self>) -> InService {
        let mut state = self.state();
        state.in_service += 1;
        state.header_since = None;
        InService(Arc::clone(self))
    }

    /// An answer is on its way until the guard is dropped.
    pub(crate) fn answer(self: &Arc<Self>) -> Answering {
        self.state().answering += 1;
        Answering { activity: Arc::clone(self), is_owed: false }
    }

    fn bytes_arrived(&self) {
        let mut state = self.state();
        if state.in_service == 0 && state.answering == 0 && state.header_since.is_none() {
            state.header_since = Some(Instant::now());
        }
    }

    /// Ends when the client has dawdled for too long.
    pub(crate) async fn overdue(&self, patience: Patience) -> Overdue {
        loop {
            match self.judge(patience, Instant::now()) {
                Ok(next_look) => sleep_until(next_look).await,
                Err(overdue) => return overdue,
            }
        }
    }

    fn judge(&self, patience: Patience, now: Instant) -> Result<Instant, Overdue> {
        let state = self.state();
        // Nothing that begins while we sleep can become overdue before this.
        let soonest = now + patience.header.min(patience.idle).min(patience.answer);
        let all_owed = state.answering > 0 && state.owed == state.answering;
        if state.in_service > 0 || all_owed {
            return Ok(soonest);
        }
        let still = if state.answering > 0 { patience.answer } else { patience.idle };
        let idle_end = state.progress_at + still;
        let header_end = state.header_since.map_or(soonest, |since| since + patience.header);
        if header_end <= now {
            return Err(Overdue::Header);
        }
        if idle_end <= now {
            return Err(Overdue::Idle);
        }
        Ok(header_end.min(idle_end).min(soonest))
    }
}

/// A request is with the service.
#[derive(Debug)]
pub(crate) struct InService(Arc<Activity>);

impl Drop for InService {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_service -= 1;
        state.progress_at = Instant::now();
    }
}

/// An answer is on its way.
#[derive(Debug)]
pub(crate) struct Answering {
    activity: Arc<Activity>,
    is_owed: bool,
}

impl Answering {
    /// The client asked for a piece: it is there, or the service owes it.
    pub(crate) fn note(&mut self, is_owed: bool) {
        if is_owed && self.is_owed {
            return;
        }
        let mut state = self.activity.state();
        if is_owed != self.is_owed {
            state.owed = if is_owed { state.owed + 1 } else { state.owed - 1 };
            self.is_owed = is_owed;
        }
        state.progress_at = Instant::now();
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.answering -= 1;
        state.owed -= usize::from(self.is_owed);
        state.progress_at = Instant::now();
    }
}

/// The plain side of an HTTP/1.1 connection; tells [`Activity`] when the first byte of a request arrives.
#[derive(Debug)]
pub(crate) struct Watched<IO> {
    pub(crate) io: IO,
    pub(crate) activity: Arc<Activity>,
}

impl<IO: AsyncRead + Unpin> AsyncRead for Watched<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.bytes_arrived();
        }
        polled
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Watched<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience() -> Patience {
        let (header_timeout, idle_timeout) = (Duration::from_secs(10), Duration::from_secs(60));
        Patience::new(&Limits { header_timeout, idle_timeout, ..Limits::default() })
    }

    fn after(activity: &Activity, seconds: u64) -> Option<Overdue> {
        activity.judge(patience(), Instant::now() + Duration::from_secs(seconds)).err()
    }

    #[test]
    fn a_header_has_less_time_than_an_idle_connection() {
        let activity = Activity::new();
        assert_eq!(after(&activity, 59), None);
        assert_eq!(after(&activity, 61), Some(Overdue::Idle));
        activity.bytes_arrived();
        assert_eq!(after(&activity, 9), None);
        assert_eq!(after(&activity, 11), Some(Overdue::Header));
    }

    #[test]
    fn the_time_our_service_takes_is_not_the_clients() {
        let activity = Activity::new();
        activity.bytes_arrived();
        let serving = activity.serve();
        assert_eq!(after(&activity, 10_000), None);
        let answering = activity.answer();
        drop(serving);
        assert_eq!(after(&activity, 59), None);
        assert_eq!(after(&activity, 61), Some(Overdue::Idle), "an answer that nobody reads");
        drop(answering);
    }

    #[test]
    fn an_answer_of_which_the_service_owes_the_next_piece_is_not_the_clients_delay() {
        let activity = Activity::new();
        let mut answering = activity.answer();
        answering.note(true);
        assert_eq!(after(&activity, 10_000), None);
        let other = activity.answer();
        assert_eq!(after(&activity, 61), Some(Overdue::Idle), "the other one is not read");
        drop(other);
        answering.note(false);
        assert_eq!(after(&activity, 61), Some(Overdue::Idle));
        drop(answering);
        assert_eq!(activity.state().owed, 0);
    }

    #[test]
    fn a_stop_waits_for_answers_and_not_for_idle_clients() {
        let activity = Activity::new();
        let stopping = patience().while_stopping(Duration::from_secs(1));
        let later = Instant::now() + Duration::from_secs(2);
        assert_eq!(activity.judge(stopping, later).err(), Some(Overdue::Idle));
        let _answering = activity.answer();
        assert_eq!(activity.judge(stopping, later).err(), None);
    }
}
