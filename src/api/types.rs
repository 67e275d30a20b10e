//! Small helpers to write dynamic types as one reads them.

use async_graphql::dynamic::{
    Field, FieldFuture, FieldValue, InputObject, InputValue, Object, ResolverContext, TypeRef,
};
use async_graphql::{QueryPathSegment, Value};

use super::Context;
use super::mending::{Path, Segment};
use crate::query::QueryError;

/// A type reference from its GraphQL text, such as `[String!]!`.
pub fn ty(text: &str) -> TypeRef {
    if let Some(inner) = text.strip_suffix('!') {
        return TypeRef::NonNull(Box::new(ty(inner)));
    }
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => TypeRef::List(Box::new(ty(inner))),
        None => TypeRef::named(text),
    }
}

/// A resolver's result that is there already.
pub fn ready<'a>(result: async_graphql::Result<Option<FieldValue<'a>>>) -> FieldFuture<'a> {
    match result {
        Ok(value) => FieldFuture::Value(value),
        Err(error) => FieldFuture::new(async move { Err::<Option<FieldValue<'a>>, _>(error) }),
    }
}

/// A resolver that answers at once.
pub fn field<F>(name: &str, of_type: &str, resolve: F) -> Field
where
    F: for<'a> Fn(&ResolverContext<'a>) -> async_graphql::Result<Option<FieldValue<'a>>> + Send + Sync + 'static,
{
    Field::new(name, ty(of_type), move |resolver| ready(resolve(&resolver)))
}

/// A resolver that may refuse. The refusal is kept with its path, and `instead` stands in until the answer is mended: the
/// executor itself would null the whole answer (docs/adr/0002).
pub fn refusable<F>(name: &str, of_type: &str, instead: fn() -> Option<FieldValue<'static>>, resolve: F) -> Field
where
    F: for<'a> Fn(&ResolverContext<'a>) -> async_graphql::Result<Result<Option<FieldValue<'a>>, QueryError>>
        + Send
        + Sync
        + 'static,
{
    field(name, of_type, move |resolver| {
        resolve(resolver).and_then(|resolved| match resolved {
            Ok(value) => Ok(value),
            Err(error) => {
                context(resolver)?.mending.refuse(path(resolver), resolver.ctx.item.pos, error);
                Ok(instead())
            }
        })
    })
}

/// Where a field stands in the response.
pub fn path(resolver: &ResolverContext<'_>) -> Path {
    let mut path = Vec::new();
    let mut next = resolver.ctx.path_node.as_ref();
    while let Some(node) = next {
        path.push(match node.segment {
            QueryPathSegment::Index(index) => Segment::Index(index),
            QueryPathSegment::Name(name) => Segment::Name(name.to_owned()),
        });
        next = node.parent;
    }
    path.reverse();
    path
}

/// An object whose parent value is GraphQL's own: each field is the parent's member of that name.
pub fn plain_object((name, says, fields): &'static super::fixed::Object) -> Object {
    fields.iter().fold(Object::new(*name).description(*says), |object, (name, of_type, says)| {
        object.field(plain_field(name, of_type).description(*says))
    })
}

fn plain_field(name: &'static str, of_type: &str) -> Field {
    field(name, of_type, move |resolver| {
        let value = match resolver.parent_value.as_value() {
            Some(Value::Object(members)) => members.get(name).cloned(),
            _ => None,
        };
        Ok(value.filter(|value| *value != Value::Null).map(FieldValue::value))
    })
}

/// An argument, or a member of an input, with what it says.
pub fn input(name: &str, of_type: &str, says: impl Into<String>) -> InputValue {
    InputValue::new(name, ty(of_type)).description(says)
}

pub fn input_object(name: &str, says: impl Into<String>, members: impl IntoIterator<Item = InputValue>) -> InputObject {
    members.into_iter().fold(InputObject::new(name).description(says), InputObject::field)
}

/// The request's context.
pub fn context<'a>(resolver: &ResolverContext<'a>) -> async_graphql::Result<&'a Context> {
    Ok(&resolver.data::<super::execute::SharedContext>()?.0)
}

/// An argument as JSON; `null` where it is absent.
pub fn argument(resolver: &ResolverContext<'_>, name: &str) -> serde_json::Value {
    resolver.args.get(name).and_then(|value| value.as_value().clone().into_json().ok()).unwrap_or_default()
}
