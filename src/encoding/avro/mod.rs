//! Avro's binary form into JSON text, by the writer's schema alone.
//!
//! Avro resolves a record against a reader's schema because its bytes carry no names. The JSON that is made here carries
//! them, and whoever reads it takes fields by name, ignores those that are new and misses those that are gone: that is the
//! evolution, so no second schema is needed.
//!
//! Unions give the value of their branch, without its name. Enums are text, bytes and fixed are base64, maps are objects.
//! Logical types and those that Connect names are `semantic`'s.

mod decode;
mod schema;
#[cfg(test)]
mod tests;

pub(super) use schema::Schema;
