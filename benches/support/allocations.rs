//! An allocator that counts, for benches of one thread; growing counts as one more.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

/// How often memory was asked for since the start.
pub static NUMBER: AtomicU64 = AtomicU64::new(0);
/// How many bytes are in use now.
pub static BYTES: AtomicU64 = AtomicU64::new(0);

/// Without a lock on the memory, which would weigh on whoever allocates most.
fn add(counter: &AtomicU64, amount: usize) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount as u64), Ordering::Relaxed);
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(&NUMBER, 1);
        add(&BYTES, layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(&BYTES, layout.size().wrapping_neg());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(&NUMBER, 1);
        add(&BYTES, size.wrapping_sub(layout.size()));
        unsafe { System.realloc(pointer, layout, size) }
    }
}
