//! What the reference is known to do otherwise than the specification says (September 2025), each with its section. `mod` holds
//! each to be a fault still: one that was mended goes from here.

/// A known fault of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// 2.9.4, String Value: `\u{1F600}` is a code point; it is refused as a syntax error.
    EscapedPoint,
    /// 3.5.5, ID, Input Coercion: an integer is an ID; it is handed on as a number.
    NumberForId,
    /// 3.11, List, Input Coercion: what is no list is a list of one; it is handed on as it is.
    SingleForList,
}
