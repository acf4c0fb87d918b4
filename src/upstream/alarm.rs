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
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::task::unconstrained;
use tokio::time::Instant;

/// Pingora's, which has a thread of its own. While one of tokio's is set, a runtime looks at it before
/// and after each time that it waits for sockets, and has the kernel end that waiting: twice for a
/// request. Virtual time is kept by tokio's alone.
#[cfg(not(test))]
use pingora::prelude::sleep;
#[cfg(test)]
use tokio::time::sleep;

/// Patience with one end of a connection.
#[derive(Debug, Default)]
pub struct Alarm {
    /// None: without end.
    within: Option<Duration>,
    /// None: nothing is waited for.
    since: Option<Instant>,
    bell: Option<Bell>,
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
        let begins = self.since.is_none();
        let since = *self.since.get_or_insert_with(Instant::now);
        let due = since + within;
        let hears = |waker: &Waker| waker.will_wake(cx.waker());
        match &self.bell {
            // There was more time when it was set.
            Some(bell) if bell.rings > due => self.bell = None,
            Some(bell)
                if begins && bell.rings > since && self.woken.as_ref().is_some_and(hears) =>
            {
                return false;
            }
            _ => {}
        }
        loop {
            let bell = match &mut self.bell {
                Some(bell) => bell,
                none => {
                    let now = Instant::now();
                    if due <= now {
                        return true;
                    }
                    none.insert(Bell::early(now, due, within))
                }
            };
            // A task that has done much in its turn is told to wait, and would not be woken.
            let rung = pin!(unconstrained(bell.rung.as_mut())).poll(cx);
            if rung.is_pending() && !bell.is_lost() {
                self.woken = Some(cx.waker().clone());
                return false;
            }
            let rang = bell.rings;
            self.bell = None;
            if rang >= due {
                return true;
            }
        }
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

/// Pingora keeps each moment at which something rings until it has passed, and what should ring then
/// in one place: of one patience there are so many of them, however many connections come and go.
const MOMENTS: u32 = 64;
/// Pingora counts whole ones of these, and would ring by a part of one too early.
const TICK: Duration = Duration::from_millis(1);
/// It rings up to 20 ms late; who was not told by then will not be.
const LOST: Duration = Duration::from_millis(100);

/// What the moments are counted from. Of the real clock: the virtual one of a test is never before it.
static ORIGIN: LazyLock<Instant> = LazyLock::new(|| clock::now().into());

/// It rings once.
struct Bell {
    rings: Instant,
    rung: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
}

impl Bell {
    /// Rings when something may be due, or a little before; then, set again, when it is.
    fn early(now: Instant, due: Instant, within: Duration) -> Self {
        let apart = (within / MOMENTS).as_millis().max(1);
        let past = due.saturating_duration_since(*ORIGIN).as_millis() % apart;
        let early = due - Duration::from_millis(past as u64);
        let rings = if early > now { early } else { due };
        Self {
            rings,
            rung: Box::pin(sleep(rings - now + TICK)),
        }
    }

    /// Whether it should have rung. Pingora wakes nobody where a moment passes between being told of
    /// it and being listened to; what is waited for next must not have the same bell.
    fn is_lost(&self) -> bool {
        Instant::now() > self.rings + LOST
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bell").field(&self.rings).finish()
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
        let bell = alarm.bell.as_ref().unwrap().rings;
        waits(&mut alarm, Duration::from_millis(1)).await;
        assert_eq!(alarm.bell.as_ref().unwrap().rings, bell, "untouched");
    }

    #[tokio::test(start_paused = true)]
    async fn a_bell_that_rings_too_early_is_set_to_when_it_is_due() {
        let mut alarm = patience(WITHIN);
        // It was set for something that has come since.
        let (now, soon) = (Instant::now(), Duration::from_secs(1));
        alarm.bell = Some(Bell::early(now, now + soon, soon));
        let waited = rings(&mut alarm).await;
        assert!(waited >= WITHIN - Duration::from_secs(1), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn many_ring_at_few_moments_and_none_of_them_late() {
        let (begun, apart) = (Instant::now(), WITHIN / MOMENTS);
        let mut moments = std::collections::BTreeSet::new();
        for millis in 0..(4 * apart.as_millis() as u64) {
            let now = begun + Duration::from_millis(millis);
            let bell = Bell::early(now, now + WITHIN, WITHIN);
            assert!(bell.rings <= now + WITHIN && bell.rings > now + WITHIN - apart);
            moments.insert(bell.rings);
        }
        assert!(moments.len() <= 5, "{} in four steps", moments.len());
        // Where no moment is left before its end.
        let due = begun + apart / 2;
        let rings = Bell::early(begun, due, WITHIN).rings;
        assert!(rings > begun && rings <= due);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bell_that_was_lost_costs_no_later_waiting_its_end() {
        let mut alarm = patience(WITHIN);
        waits(&mut alarm, Duration::from_millis(1)).await;
        alarm.bell.as_mut().unwrap().rung = Box::pin(std::future::pending());
        tokio::time::advance(WITHIN).await;
        assert!(rings(&mut alarm).await >= WITHIN - Duration::from_secs(1));
    }

    /// Pingora's own timer, in true time.
    #[tokio::test]
    async fn with_a_tick_more_nothing_rings_too_early() {
        let mut asked = tokio::task::JoinSet::new();
        for n in 0..200 {
            asked.spawn(async move {
                let (begun, wanted) = (Instant::now(), Duration::from_micros(5_000 + 137 * n));
                pingora::prelude::sleep(wanted + TICK).await;
                assert!(begun.elapsed() >= wanted);
            });
        }
        asked.join_all().await;
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
