//! The Kubernetes wire shape of the objects: read strictly where it decides something, written as `kubectl` prints it.

mod convert;
mod fault;
mod member;
mod name;
mod read;
mod rule;

mod tree;

pub use fault::{Fault, ObjectError, Position};
pub(crate) use fault::{Flaw, Segment, one_line, shown};
pub(crate) use name::is_namespace;
pub(crate) use read::{Document, document, key_of};
pub(crate) use tree::{Node, Placed, Plain, position};

#[cfg(test)]
mod tests;
