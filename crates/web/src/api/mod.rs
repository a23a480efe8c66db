//! What programs ask of us, one protocol a file.

pub(crate) mod orca;
