//! What each system does in a way of its own: who may read a file, names that are replaced in one step, and the programs that are started.
//! Both files offer the same functions; nothing else in the agent asks on which system it runs, the stores aside.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;
