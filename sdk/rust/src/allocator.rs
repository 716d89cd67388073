//! A global allocator for guests that live for a message or a few: blocks have
//! sizes that are powers of two, and freed ones wait in a list for the next of
//! their size. It begins with memory that the module has from the start, since
//! memory that grows while a message is handled cannot be reset for the next.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::memory_grow;
use core::cell::UnsafeCell;
use core::ptr::null_mut;

const START: usize = 256 << 10; // octets that most messages need not exceed
const PAGE: usize = 64 << 10;
const SMALLEST: usize = 16; // a freed block holds the address of the next
const SIZES: usize = 32;

#[repr(align(16))]
struct Start([u8; START]);

struct State {
    start: Start,
    next: usize, // the first octet that was never given; zero before the first call
    end: usize,
    free: [usize; SIZES], // by the logarithm of the size
}

struct Allocator(UnsafeCell<State>);

unsafe impl Sync for Allocator {} // WebAssembly has one thread here

#[global_allocator]
static ALLOCATOR: Allocator =
    Allocator(UnsafeCell::new(State { start: Start([0; START]), next: 0, end: 0, free: [0; SIZES] }));

/// The size of the block for a layout. Blocks are aligned to SMALLEST; what asks
/// for more gets none.
fn block(layout: Layout) -> Option<usize> {
    layout.size().max(SMALLEST).checked_next_power_of_two()
}

impl State {
    fn take(&mut self, size: usize) -> *mut u8 {
        let class = size.trailing_zeros() as usize;
        let first = self.free[class];
        if first != 0 {
            self.free[class] = unsafe { *(first as *const usize) }; // give wrote it
            return first as *mut u8;
        }
        if self.next == 0 {
            self.next = self.start.0.as_ptr() as usize;
            self.end = self.next + START;
        }
        // All sizes are multiples of SMALLEST, and so are all addresses.
        if size > self.end - self.next && !self.grow(size) {
            return null_mut();
        }
        let at = self.next;
        self.next += size;
        at as *mut u8
    }

    /// Goes on in new pages; what is left of the old ones is given up.
    fn grow(&mut self, size: usize) -> bool {
        let pages = size.max(16 * PAGE) / PAGE + 1;
        let at = memory_grow(0, pages);
        if at == usize::MAX {
            return false;
        }
        self.next = at * PAGE;
        self.end = self.next + pages * PAGE;
        true
    }

    fn give(&mut self, at: *mut u8, size: usize) {
        let class = size.trailing_zeros() as usize;
        unsafe { *(at as *mut usize) = self.free[class] }; // a block has room for it
        self.free[class] = at as usize;
    }
}

unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match block(layout) {
            Some(size) if layout.align() <= SMALLEST => (*self.0.get()).take(size),
            _ => null_mut(),
        }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if let Some(size) = block(layout) {
            (*self.0.get()).give(at, size)
        }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let wanted = Layout::from_size_align_unchecked(size, layout.align());
        if block(wanted) == block(layout) {
            return at;
        }
        let to = self.alloc(wanted);
        if !to.is_null() {
            core::ptr::copy_nonoverlapping(at, to, layout.size().min(size));
            self.dealloc(at, layout);
        }
        to
    }
}
