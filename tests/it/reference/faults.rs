//! What the reference is known to do otherwise than the specification says (September 2025), each with its section. A test holds
//! each to be a fault still: one that was mended goes from here.

use async_graphql::ServerError;

use super::generate::{Flaw, Question};

/// A known fault of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// 2.9.4, String Value: `\u{1F600}` is a code point; it is refused as a syntax error. Written as the letter for it.
    EscapedPoint,
    /// 3.11, List, Input Coercion: what is no list is a list of one; it is handed on as it is. Written with brackets for it.
    SingleForList,
    /// 6.3.2, CollectFields, DoesFragmentTypeApply: a fragment on a union applies to its members; it is left out. Written as on the
    /// interface of the same for it.
    UnionCondition,
    /// 6.1.2, CoerceVariableValues: a variable that is not given has its default; `@skip` and `@include` see none. Given for it.
    DefaultOfCondition,
    /// 5.7 and 5.8.4, Directives and All Variables Used: they hold at `__typename` too; what stands there is not looked at.
    DirectivesOfTypename,
    /// 5.3.2, Field Selection Merging: two fields of one key may not differ; of what fields in several places are merged from, it is
    /// not seen.
    Conflict,
    /// 5.6.1, Values of Correct Type: a text is no input object, nor a list of them; it is taken. Not generated.
    TextForObjects,
    /// 5.6, Values: what is wrong with a value is refused whatever variables stand in it; beside one that is not given nothing is
    /// looked at.
    BesideVariable,
    /// 5.6.3, Input Object Field Uniqueness: a member stands once; the last one counts.
    MemberTwice,
    /// 5.8.5, All Variable Usages Are Allowed: a `Boolean` may not stand for a `String!`; without a value it is taken. Generated with
    /// a value.
    VariableOfOtherType,
    /// 6.1.2, CoerceVariableValues: a variable that may not be null and is not given is an error; it is null.
    MissingVariable,
    /// 4.2.2, The __Type Type: of an interface, `interfaces` are those that it implements, and none is the empty list; it is null.
    InterfacesOfInterface,
}

impl Fault {
    pub const ALL: [Fault; 12] = [
        Fault::EscapedPoint,
        Fault::SingleForList,
        Fault::UnionCondition,
        Fault::DefaultOfCondition,
        Fault::DirectivesOfTypename,
        Fault::Conflict,
        Fault::TextForObjects,
        Fault::BesideVariable,
        Fault::MemberTwice,
        Fault::VariableOfOtherType,
        Fault::MissingVariable,
        Fault::InterfacesOfInterface,
    ];

    /// Whether the reference may not see what is wrong with a document.
    pub fn hides(asked: &Question) -> bool {
        match asked.flaw {
            Some(
                Flaw::UnknownMember | Flaw::UnknownEnumValue | Flaw::TwoOfOne | Flaw::NoneOfOne | Flaw::NullForOne,
            ) => {
                let arguments = asked.text.theirs.lines().skip(1).filter_map(|line| line.split(" @").next());
                arguments.into_iter().any(|arguments| arguments.contains('$'))
            }
            // No fault: its scalars are the test's, and take any text.
            Some(Flaw::NoDate) => true,
            // As little a fault: they take any other value, too.
            Some(Flaw::WrongVariable) => {
                let head = asked.text.theirs.lines().next().unwrap_or_default();
                let mut words = head.split(|letter: char| !letter.is_alphanumeric());
                // And beside a variable that is not given nothing is looked at, as above.
                let given = asked.variables.theirs.as_object().map_or(0, serde_json::Map::len);
                head.matches('$').count() > given || words.any(|word| matches!(word, "Date" | "DateTime" | "Long"))
            }
            Some(Flaw::Conflict | Flaw::MemberTwice | Flaw::MissingVariable) => true,
            _ => false,
        }
    }
}

/// Whether what is refused is nothing but variables that are used at `__typename` alone: each selection has a line of its own, and
/// the first is the operation's.
pub fn is_only_of_typename(refused: &[ServerError], text: &str) -> bool {
    let is_used = |error: &ServerError| {
        let name = error.message.strip_prefix("Variable \"$").and_then(|rest| rest.split_once("\" is not used"));
        name.is_some_and(|(name, _)| {
            let (named, mut elsewhere) = (format!("${name})"), text.lines().skip(1));
            text.contains(&named) && elsewhere.all(|line| line.contains("__typename @") || !line.contains(&named))
        })
    };
    !refused.is_empty() && refused.iter().all(is_used)
}
