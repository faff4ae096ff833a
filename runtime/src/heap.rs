//! How the process keeps and returns memory.

/// What is kept for reuse at the end of the heap: enough that a busy service does not fault the same
/// pages in with every message.
#[cfg(target_env = "gnu")]
const KEPT_BYTES: libc::c_int = 32 * 1024 * 1024;

/// Fixes the size from which blocks are mapped alone, and given back when they are freed.
///
/// glibc raises this bound by itself to the largest block freed so far, up to 32 MiB, and then keeps
/// such blocks: a few large bodies or batches cost twice their memory. A bound above what a message
/// needs, on the other hand, spares two system calls and the page faults a message. Called once, by `main`,
/// before there are threads; elsewhere than on glibc it does nothing.
pub fn map_blocks_from(bytes: u32) {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets two numbers of the allocator.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, bytes.try_into().unwrap_or(libc::c_int::MAX));
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES);
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = bytes;
}
