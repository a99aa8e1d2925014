//! The most memory that one conversion holds at once, beside its input.
//!
//! `tandem-bench-peak ATTACK SIZE` prints bytes. What counts is what the allocator was asked for:
//! a buffer that grows counts with its new size and, while it moves, not with its old one, as the
//! system moves large ones without a copy.
//!
//! A program of its own, so that the counter of instructions runs on the system's allocator.

#![expect(unsafe_code, reason = "an allocator cannot be written without; it only counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use tandem_bench_payload::NODE;
use tandem_bench_payload::call::Codec;
use tandem_bench_payload::hostile::all;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn took(bytes: usize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(held, Ordering::Relaxed);
}

fn gave(bytes: usize) {
    HELD.fetch_sub(bytes, Ordering::Relaxed);
}

// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller keeps the conditions of this very function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        gave(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        gave(layout.size());
        took(size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let attack = words.first().and_then(|name| all().into_iter().find(|a| a.name == *name));
    let size = words.get(1).and_then(|size| size.parse().ok());
    let (Some(attack), Some(size)) = (attack, size) else {
        eprintln!("usage: tandem-bench-peak ATTACK SIZE");
        return ExitCode::FAILURE;
    };
    let input = attack.input(size);
    let codec = Codec::new(NODE, attack.options, attack.limits);
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let output = codec.convert(attack.direction, &input);
    let most = MOST.load(Ordering::Relaxed);
    drop(output);
    println!("{}", most - before);
    ExitCode::SUCCESS
}
