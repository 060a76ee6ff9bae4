//! An executor whose order is chosen by a seed, and whose clock is the world's.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use crate::world::World;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tasks that run in turn, each to its next await.
pub struct Tasks {
    world: World,
    tasks: Vec<Option<(Job, Arc<Ready>)>>,
    random: u64,
    /// The number of steps so far, to notice what never ends.
    steps: u32,
}

/// The number of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task(usize);

/// A future that was spawned, and the place of its output.
pub struct Started<T> {
    pub task: Task,
    output: Arc<Mutex<Option<T>>>,
}

struct Ready(AtomicBool);

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Tasks {
    pub fn new(world: &World, seed: u64) -> Self {
        Self {
            world: world.clone(),
            tasks: Vec::new(),
            random: seed.wrapping_mul(2).wrapping_add(1),
            steps: 0,
        }
    }

    pub fn spawn(&mut self, job: impl Future<Output = ()> + Send + 'static) -> Task {
        self.tasks.push(Some((Box::pin(job), Arc::new(Ready(AtomicBool::new(true))))));
        Task(self.tasks.len() - 1)
    }

    /// Drops a task, wherever it is.
    pub fn cancel(&mut self, task: Task) {
        self.tasks[task.0] = None;
    }

    pub fn is_done(&self, task: Task) -> bool {
        self.tasks[task.0].is_none()
    }

    /// Returns a number below `limit`.
    pub fn random(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % limit
    }

    /// Returns whether nothing is ready, and nothing will be within a second.
    pub fn are_quiet(&self) -> bool {
        self.ready().is_empty() && !self.world.is_busy()
    }

    fn ready(&self) -> Vec<usize> {
        let is_ready = |task: &Option<(Job, Arc<Ready>)>| {
            task.as_ref().is_some_and(|(_, ready)| ready.0.load(Ordering::Relaxed))
        };
        (0..self.tasks.len()).filter(|&number| is_ready(&self.tasks[number])).collect()
    }

    /// Runs one task that is ready to its next await; where none is ready, lets time pass. False if nothing can happen.
    #[track_caller]
    pub fn step(&mut self) -> bool {
        self.steps += 1;
        assert!(self.steps < 1_000_000, "a million steps, and no end");
        let ready = self.ready();
        if ready.is_empty() {
            return self.world.pass_to_next_timer();
        }
        let number = ready[self.random(ready.len() as u64) as usize];
        self.poll(Task(number));
        true
    }

    /// Runs one task to its next await.
    pub fn poll(&mut self, task: Task) {
        let (job, ready) = self.tasks[task.0].as_mut().unwrap();
        ready.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(ready.clone());
        if let Poll::Ready(()) = job.as_mut().poll(&mut Context::from_waker(&waker)) {
            self.tasks[task.0] = None;
        }
    }

    /// Runs this many steps, or fewer if nothing can happen any more.
    #[track_caller]
    pub fn steps(&mut self, number: usize) {
        let _ = (0..number).all(|_| self.step());
    }

    /// Runs until this future is done, and returns its output.
    #[track_caller]
    pub fn block_on<T: Send + 'static>(&mut self, future: impl Future<Output = T> + Send + 'static) -> T {
        let started = self.start(future);
        self.finish(started)
    }

    /// Spawns a future whose output is wanted.
    pub fn start<T: Send + 'static>(
        &mut self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Started<T> {
        let output = Arc::new(Mutex::new(None));
        let slot = output.clone();
        let task = self.spawn(async move { *slot.lock().unwrap() = Some(future.await) });
        Started { task, output }
    }

    /// Runs until a future that was started is done, and returns its output.
    #[track_caller]
    pub fn finish<T>(&mut self, started: Started<T>) -> T {
        while !self.is_done(started.task) {
            assert!(self.step(), "nothing can happen any more, and the future is not done");
        }
        let mut output = started.output.lock().unwrap();
        output.take().unwrap()
    }
}
