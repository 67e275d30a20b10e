//! What does not fit, and where: the first fault of a record.

use std::borrow::Cow;
use std::fmt::Write;

pub(super) type Fit<T = ()> = Result<T, Box<Fault>>;

/// A fault and its field, named from the inside out while the decoder returns. Neither repeats a value.
#[derive(Debug)]
pub(super) struct Fault {
    /// The innermost first.
    path: Vec<Step>,
    message: Cow<'static, str>,
}

#[derive(Debug)]
enum Step {
    Name(Box<str>),
    Index(usize),
    /// A member of a map, whose key may be anybody's.
    Key,
}

impl Fault {
    pub(super) fn new(message: impl Into<Cow<'static, str>>) -> Box<Fault> {
        Box::new(Fault { path: Vec::new(), message: message.into() })
    }

    pub(super) fn within(mut self: Box<Self>, name: &str) -> Box<Fault> {
        self.path.push(Step::Name(name.into()));
        self
    }

    pub(super) fn at(mut self: Box<Self>, index: usize) -> Box<Fault> {
        self.path.push(Step::Index(index));
        self
    }

    pub(super) fn under_key(mut self: Box<Self>) -> Box<Fault> {
        self.path.push(Step::Key);
        self
    }

    /// The field, such as `after.rooms[2].price` or `labels[*]`, and the message.
    pub(super) fn into_parts(self) -> (Option<String>, String) {
        let mut field = String::new();
        for step in self.path.iter().rev() {
            match step {
                Step::Name(name) if field.is_empty() => field.push_str(name),
                Step::Name(name) => field.extend([".", name]),
                Step::Index(index) => {
                    let _ = write!(field, "[{index}]");
                }
                Step::Key => field.push_str("[*]"),
            }
        }
        (Some(field).filter(|field| !field.is_empty()), self.message.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_from_the_outside() {
        let fault = Fault::new("is wrong").within("price").at(2).within("rooms").under_key().within("after");
        assert_eq!(fault.into_parts(), (Some("after[*].rooms[2].price".to_owned()), "is wrong".to_owned()));
        assert_eq!(Fault::new("is short").into_parts(), (None, "is short".to_owned()));
    }
}
