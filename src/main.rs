//! The `lapidary` command.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    // SAFETY: the first statement of `main`, before any thread could read the environment. Plugins read this
    // when they are loaded, and would otherwise log to the user's terminal; whoever sets it sees their logs.
    unsafe {
        if std::env::var_os("TF_CPP_MIN_LOG_LEVEL").is_none() {
            std::env::set_var("TF_CPP_MIN_LOG_LEVEL", "2");
        }
    }
    take_memory_in_large_pieces();
    cli::main()
}

/// Has the C library's heaps grow by megabytes. They grow by pages otherwise, and each time the process's memory map is
/// locked for it: while another thread maps weights, a plugin that builds an executable of small objects waits as long
/// as it works. Setting one of these numbers ends their adjusting themselves, so that the others are set to what they
/// would have come to.
fn take_memory_in_large_pieces() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: no other thread allocates yet. What cannot be set stays as it is.
    unsafe {
        libc::mallopt(libc::M_TOP_PAD, 64 << 20);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 64 << 20);
    }
}
