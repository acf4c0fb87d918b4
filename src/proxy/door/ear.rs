//! Did anything come? Asked in vain before, and woken by nobody since: no.
//!
//! While an answer streams, Pingora asks with each piece of it, two or three times, whether the client
//! has left: through all layers of the connection, down to what the kernel last said. Here the first
//! vain question leaves word, and those that follow need not be asked until there is an answer.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// After so many vain questions it is worth its memory: a usual answer is over by then.
const OFTEN: u8 = 8;

/// Asks a source, or knows that there is nothing new. Who asks it otherwise says so ([`Ear::forget`]).
#[derive(Debug, Default)]
pub(super) struct Ear {
    vain: u8,
    word: Option<Word>,
}

/// Where a source says that it has something.
#[derive(Debug)]
struct Word {
    left: Arc<Left>,
    /// Of `left`: what the source is given.
    waker: Waker,
    /// The task that asks.
    owner: Waker,
    /// The source had nothing when it was asked last.
    vain: bool,
}

#[derive(Debug)]
struct Left {
    woken: AtomicBool,
    owner: Mutex<Waker>,
}

impl Wake for Left {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.owner.lock().wake_by_ref();
    }
}

impl Word {
    fn new(owner: &Waker) -> Self {
        let left = Arc::new(Left {
            woken: AtomicBool::new(false),
            owner: Mutex::new(owner.clone()),
        });
        Self {
            waker: Arc::clone(&left).into(),
            left,
            owner: owner.clone(),
            vain: false,
        }
    }

    fn poll<T>(&mut self, owner: &Waker, ask: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        let known = self.owner.will_wake(owner);
        if known && self.vain && !self.left.woken.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        if !known {
            self.owner.clone_from(owner);
            self.left.owner.lock().clone_from(owner);
        }
        // Before the question: what comes during it must be asked for again.
        self.left.woken.swap(false, Ordering::AcqRel);
        let answer = ask(&mut Context::from_waker(&self.waker));
        self.vain = answer.is_pending();
        answer
    }
}

impl Ear {
    /// What `ask` says; pending, unasked, where it said so the last time and woke nobody since.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        ask: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if let Some(word) = &mut self.word {
            return word.poll(cx.waker(), ask);
        }
        let answer = ask(cx);
        if answer.is_pending() {
            self.vain += 1;
            if self.vain == OFTEN {
                self.word = Some(Word::new(cx.waker()));
            }
        }
        answer
    }

    /// The source was asked by somebody else, and wakes that one.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Nobody's turn yet: keeps who is to be woken, and counts how often it was asked.
    #[derive(Default)]
    struct Source {
        wakes: Option<Waker>,
        asked: usize,
    }

    impl Source {
        fn ask(&mut self, cx: &mut Context<'_>) -> Poll<()> {
            self.asked += 1;
            self.wakes = Some(cx.waker().clone());
            Poll::Pending
        }

        fn wake(&mut self) {
            self.wakes.take().expect("it was asked").wake();
        }
    }

    /// An ear that has asked often enough to leave word.
    fn ear(source: &mut Source, task: &Arc<Task>) -> Ear {
        let mut ear = Ear::default();
        for _ in 0..=OFTEN {
            ask(&mut ear, source, task);
        }
        source.asked = 0;
        ear
    }

    fn ask(ear: &mut Ear, source: &mut Source, task: &Arc<Task>) {
        let waker = Waker::from(Arc::clone(task));
        let answer = ear.poll(&mut Context::from_waker(&waker), |cx| source.ask(cx));
        assert!(answer.is_pending());
    }

    #[test]
    fn who_asked_in_vain_asks_again_only_when_woken() {
        let (mut source, task) = (Source::default(), Arc::<Task>::default());
        let mut ear = ear(&mut source, &task);
        for n in 1..4 {
            ask(&mut ear, &mut source, &task);
            ask(&mut ear, &mut source, &task);
            assert_eq!(source.asked, n - 1);
            source.wake();
            assert_eq!(task.0.load(Ordering::Relaxed), n, "the task hears of it");
            ask(&mut ear, &mut source, &task);
            assert_eq!(source.asked, n);
        }
    }

    #[test]
    fn another_task_asks_itself_and_is_the_one_that_is_woken() {
        let (mut source, task) = (Source::default(), Arc::<Task>::default());
        let mut ear = ear(&mut source, &task);
        let other = Arc::<Task>::default();
        ask(&mut ear, &mut source, &other);
        assert_eq!(source.asked, 1);
        source.wake();
        assert_eq!(task.0.load(Ordering::Relaxed), 0);
        assert_eq!(other.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_source_that_somebody_else_asked_is_asked_again() {
        let (mut source, task) = (Source::default(), Arc::<Task>::default());
        let mut ear = ear(&mut source, &task);
        ear.forget();
        ask(&mut ear, &mut source, &task);
        assert_eq!(source.asked, 1);
    }

    #[test]
    fn what_comes_while_it_is_asked_is_not_missed() {
        let (mut source, task) = (Source::default(), Arc::<Task>::default());
        let mut ear = ear(&mut source, &task);
        source.wake();
        let waker = Waker::from(Arc::clone(&task));
        let answer: Poll<()> = ear.poll(&mut Context::from_waker(&waker), |cx| {
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        assert!(answer.is_pending());
        ask(&mut ear, &mut source, &task);
        assert_eq!(source.asked, 1);
    }

    #[test]
    fn what_there_is_is_given_at_once() {
        let (mut source, task) = (Source::default(), Arc::<Task>::default());
        let mut ear = ear(&mut source, &task);
        source.wake();
        let waker = Waker::from(task);
        let cx = &mut Context::from_waker(&waker);
        for n in 0..3 {
            assert_eq!(ear.poll(cx, |_| Poll::Ready(n)), Poll::Ready(n));
        }
    }
}
