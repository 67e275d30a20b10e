//! Rules against the `cel` crate.
