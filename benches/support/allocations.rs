//! Counts allocations, for benchmarks with one thread. A reallocation counts as an allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of allocations since the start.
pub static NUMBER: AtomicU64 = AtomicU64::new(0);
/// The number of bytes in use.
pub static BYTES: AtomicU64 = AtomicU64::new(0);
/// The largest number of bytes that were in use at once.
#[allow(dead_code, reason = "only one benchmark asks")]
pub static PEAK: AtomicU64 = AtomicU64::new(0);

/// Adds without an atomic read-modify-write, whose cost would distort the measurement of frequent
/// allocations.
fn add(counter: &AtomicU64, amount: usize) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount as u64), Ordering::Relaxed);
}

fn add_bytes(amount: usize) {
    add(&BYTES, amount);
    let bytes = BYTES.load(Ordering::Relaxed);
    if bytes > PEAK.load(Ordering::Relaxed) {
        PEAK.store(bytes, Ordering::Relaxed);
    }
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call passes its arguments to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(&NUMBER, 1);
        add_bytes(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(&BYTES, layout.size().wrapping_neg());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(&NUMBER, 1);
        add_bytes(size.wrapping_sub(layout.size()));
        unsafe { System.realloc(pointer, layout, size) }
    }
}
