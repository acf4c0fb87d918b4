//! For how long is one thing waited for that mostly comes soon?
//!
//! Pingora sets a timer anew for each piece of an answer, be it an event of forty in a second, and
//! looks at the clock for each piece that it writes. This one is set once, rings too early, and is
//! then set to when it is due; so it serves all requests of a connection, and what is between them.

use crate::model::clock;
use pingora::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::task::unconstrained;
use tokio::time::{Sleep, sleep_until};

/// Patience with one end of a connection.
#[derive(Debug, Default)]
pub struct Alarm {
    /// None: without end.
    within: Option<Duration>,
    /// None: nothing is waited for.
    since: Option<Instant>,
    bell: Option<Pin<Box<Sleep>>>,
    /// Whom the bell wakes.
    woken: Option<Waker>,
}

impl Alarm {
    /// What is waited for next has so long; none: it has for ever.
    pub const fn begin(&mut self, within: Option<Duration>) {
        (self.within, self.since) = (within, None);
    }

    /// It came. What is waited for next has its own time, from when it is waited for.
    pub const fn came(&mut self) {
        self.since = None;
    }

    #[cfg(test)]
    pub(crate) const fn is_still(&self) -> bool {
        self.since.is_none()
    }

    /// It did not come yet: whether it is too late by now. If not, the task is woken when it is.
    pub fn poll_late(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(within) = self.within else {
            return false;
        };
        let due = *self.since.get_or_insert_with(clock::now) + within;
        let bell = self
            .bell
            .get_or_insert_with(|| Box::pin(sleep_until(due.into())));
        let hears = |waker: &Waker| waker.will_wake(cx.waker());
        if bell.deadline() > due.into() {
            // There was more time when it was set.
            bell.as_mut().reset(due.into());
        } else if !bell.is_elapsed() && self.woken.as_ref().is_some_and(hears) {
            return false;
        }
        // A task that has done much in its turn is told to wait, and would not be woken.
        while pin!(unconstrained(bell.as_mut())).poll(cx).is_ready() {
            if bell.deadline() >= due.into() {
                return true;
            }
            bell.as_mut().reset(due.into());
        }
        self.woken = Some(cx.waker().clone());
        false
    }

    /// The outcome of what was tried, which must not be waited for too long.
    ///
    /// # Errors
    /// Its own, and that it is too late ([`is_late`]).
    pub fn bound<T>(
        &mut self,
        cx: &mut Context<'_>,
        tried: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match tried {
            Poll::Pending if self.poll_late(cx) => Poll::Ready(Err(late())),
            tried => tried,
        }
    }
}

/// Why an [`io::Error`] is one.
#[derive(Debug)]
struct Late;

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("waited for too long")
    }
}

impl std::error::Error for Late {}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, Late)
}

/// Whether Pingora's error says that an [`Alarm`] rang. (A kernel's own patience ends in the same
/// kind of error, and with something sent that was never acknowledged.)
#[must_use]
pub fn is_late(error: &Error) -> bool {
    let io = error.root_cause().downcast_ref::<io::Error>();
    io.and_then(io::Error::get_ref)
        .is_some_and(|why| why.is::<Late>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pingora::{ErrorType, OrErr};
    use std::future::poll_fn;
    use tokio::time::Instant;

    const WITHIN: Duration = Duration::from_secs(660);

    fn patience(within: Duration) -> Alarm {
        let mut alarm = Alarm::default();
        alarm.begin(Some(within));
        alarm
    }

    /// Waits until it is late; how long that was.
    async fn rings(alarm: &mut Alarm) -> Duration {
        let begun = Instant::now();
        let never = |cx: &mut Context<'_>| alarm.bound(cx, Poll::<io::Result<()>>::Pending);
        let error = poll_fn(never).await.unwrap_err();
        let error = Err::<(), _>(error).or_err(ErrorType::ReadError, "reading");
        assert!(is_late(&error.unwrap_err()));
        begun.elapsed()
    }

    /// Waits a little, and it comes.
    async fn waits(alarm: &mut Alarm, little: Duration) {
        let coming = poll_fn(|cx| {
            let tried = alarm.bound(cx, Poll::<io::Result<()>>::Pending);
            assert!(tried.is_pending(), "not so early");
            Poll::<()>::Pending
        });
        assert!(tokio::time::timeout(little, coming).await.is_err());
        alarm.came();
    }

    #[tokio::test(start_paused = true)]
    async fn it_rings_when_nothing_came_for_so_long() {
        let mut alarm = patience(WITHIN);
        let waited = rings(&mut alarm).await;
        assert!(waited >= WITHIN - Duration::from_secs(1), "{waited:?}");
        assert!(waited <= WITHIN + Duration::from_secs(1), "{waited:?}");
    }

    #[tokio::test]
    async fn what_comes_is_given_its_time_anew_by_the_same_bell() {
        let mut alarm = patience(WITHIN);
        waits(&mut alarm, Duration::from_millis(1)).await;
        let bell = alarm.bell.as_ref().unwrap().deadline();
        waits(&mut alarm, Duration::from_millis(1)).await;
        assert_eq!(alarm.bell.as_ref().unwrap().deadline(), bell, "untouched");
    }

    #[tokio::test(start_paused = true)]
    async fn a_bell_that_rings_too_early_is_set_to_when_it_is_due() {
        let mut alarm = patience(WITHIN);
        // It was set for something that has come since.
        alarm.bell = Some(Box::pin(sleep_until(Instant::now())));
        let waited = rings(&mut alarm).await;
        assert!(waited >= WITHIN - Duration::from_secs(1), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn less_time_counts_from_the_next_waiting_on() {
        let mut alarm = patience(100 * WITHIN);
        waits(&mut alarm, Duration::from_millis(1)).await;
        alarm.begin(Some(WITHIN));
        assert!(rings(&mut alarm).await <= WITHIN + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nothing_is_too_late() {
        let mut alarm = Alarm::default();
        waits(&mut alarm, 10 * WITHIN).await;
        assert!(alarm.bell.is_none(), "it costs nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_has_done_much_is_still_woken() {
        let mut alarm = patience(WITHIN);
        while tokio::task::coop::has_budget_remaining() {
            tokio::task::coop::consume_budget().await;
        }
        assert!(rings(&mut alarm).await >= WITHIN - Duration::from_secs(1));
    }

    #[test]
    fn a_kernel_that_gave_up_is_something_else() {
        let kernel = Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut));
        let error = kernel.or_err(ErrorType::ReadError, "reading");
        assert!(!is_late(&error.unwrap_err()));
    }
}
