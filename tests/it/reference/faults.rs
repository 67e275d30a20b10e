//! What the reference is known to do otherwise than the specification says (September 2025), each with its section. `mod` holds
//! each to be a fault still: one that was mended goes from here.

use async_graphql::ServerError;

use super::generate::Flaw;

/// A known fault of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// 2.9.4, String Value: `\u{1F600}` is a code point; it is refused as a syntax error.
    EscapedPoint,
    /// 3.5.5, ID, Input Coercion: an integer is an ID; it is handed on as a number.
    NumberForId,
    /// 3.11, List, Input Coercion: what is no list is a list of one; it is handed on as it is.
    SingleForList,
    /// 6.3.2, CollectFields, DoesFragmentTypeApply: a fragment on a union applies to its members; it is left out.
    UnionCondition,
    /// 5.8.4, All Variables Used: a variable that `@skip` or `@include` names is used, and so is one within what is skipped; both
    /// are refused, since what is skipped is taken away before the rest is judged.
    OnlySkipped,
    /// 6.1.2, CoerceVariableValues: a variable that is not given has its default; `@skip` and `@include` see none.
    DefaultOfCondition,
    /// 5.3.2, Field Selection Merging: two fields of one key may not differ; of what fields in several places are merged from, it is
    /// not seen.
    Conflict,
    /// 5.4.3, Required Arguments: a directive's `if` is one; it is not missed.
    DirectiveWithoutCondition,
    /// 5.6.3, Input Object Field Uniqueness: a member stands once; the last one counts.
    MemberTwice,
    /// 5.7.3, Directives Are Unique per Location: `@include` twice is taken.
    DirectiveTwice,
    /// 5.7.1, Directives Are Defined: one that is not is taken.
    UnknownDirective,
    /// 6.1.2, CoerceVariableValues: a variable that may not be null and is not given is an error; it is null.
    MissingVariable,
    /// 5.8.5, All Variable Usages Are Allowed: a `Boolean` may not stand for a `String!`; it is taken, and is null.
    VariableOfOtherType,
    /// 5.6.1, Values of Correct Type: a string is no list of input objects, nor one of them; it is taken.
    TextForObjects,
}

impl Fault {
    /// Why the reference may not see what is wrong with a document.
    pub fn of(flaw: Flaw) -> Option<Fault> {
        match flaw {
            Flaw::Conflict => Some(Fault::Conflict),
            Flaw::DirectiveWithoutCondition => Some(Fault::DirectiveWithoutCondition),
            Flaw::MemberTwice => Some(Fault::MemberTwice),
            Flaw::DirectiveTwice => Some(Fault::DirectiveTwice),
            Flaw::UnknownDirective => Some(Fault::UnknownDirective),
            Flaw::MissingVariable => Some(Fault::MissingVariable),
            Flaw::VariableOfOtherType => Some(Fault::VariableOfOtherType),
            _ => None,
        }
    }
}

/// Whether what is refused is nothing but variables that are used where they are said not to be.
pub fn is_only_skipped(refused: &[ServerError], text: &str) -> bool {
    let is_used = |error: &ServerError| {
        let name = error.message.strip_prefix("Variable \"").and_then(|rest| rest.split_once("\" is not used"));
        name.is_some_and(|(name, _)| {
            let follows = |(at, _): (usize, &str)| text[at + name.len()..].starts_with(|next: char| !next.is_alphanumeric());
            text.match_indices(name).filter(|found| follows(*found)).count() > 1
        })
    };
    !refused.is_empty() && refused.iter().all(is_used)
}
