//! What programs ask of us, one file each.

pub(crate) mod ocsp;
