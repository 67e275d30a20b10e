//! The service and async-graphql, as the tests have them.

#[path = "../../../tests/it/reference/faults.rs"]
mod faults;
#[path = "../../../tests/it/reference/generate.rs"]
mod generate;
#[path = "../../../tests/it/reference/pair.rs"]
pub mod pair;
#[path = "../../../tests/it/reference/schema.rs"]
mod schema;
#[path = "../../../tests/it/reference/world.rs"]
mod world;
