//! Whether records made by one model serve another.

use crate::checkpoint::head::Differs;
use crate::model::Model;

/// Whether a graph of the same records would be the same by another model.
pub fn compare(then: &Model, now: &Model) -> Result<(), Differs> {
    match then.fingerprint == now.fingerprint {
        true => Ok(()),
        false => Err(Differs::Rule("the model".into(), format!("{} then, {} now", then.fingerprint, now.fingerprint))),
    }
}
