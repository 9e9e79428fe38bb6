//! The bindings by number: little more than the text of their keys, for a cluster has as many as people.

use crate::key::ObjectKey;
use crate::names::{NONE, number_of};

/// All bindings of an index, in the order of their keys.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    all: Vec<Binding>,
    names: String,
    /// The roles that do not exist, by the number of the binding that names one.
    missing_roles: Vec<(u32, ObjectKey)>,
}

/// A binding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding {
    /// Its number, or that of the cluster.
    pub(crate) namespace: u32,
    name_start: u32,
    name_len: u32,
}

impl Bindings {
    /// Adds a binding of a namespace's number, and says the binding's own: [`NONE`] when numbers or text are used up.
    pub(crate) fn push(&mut self, namespace: u32, name: &str, missing_role: Option<ObjectKey>) -> u32 {
        let number = number_of(self.all.len());
        let (name_start, name_len) = (number_of(self.names.len()), number_of(name.len()));
        if [number, name_start, name_len].contains(&NONE) {
            return NONE;
        }
        self.all.push(Binding { namespace, name_start, name_len });
        self.names.push_str(name);
        self.missing_roles.extend(missing_role.map(|role| (number, role)));
        number
    }

    /// Gives back what growing took too much.
    pub(crate) fn shrink(&mut self) {
        self.all.shrink_to_fit();
        self.names.shrink_to_fit();
    }

    /// The binding of a number.
    pub(crate) fn get(&self, number: u32) -> Option<&Binding> {
        self.all.get(number as usize)
    }

    /// The name of a binding.
    pub(crate) fn name(&self, binding: &Binding) -> &str {
        let start = binding.name_start as usize;
        self.names.get(start..start.saturating_add(binding.name_len as usize)).unwrap_or_default()
    }

    /// The role that the binding of a number names, if there is none of that key.
    pub(crate) fn missing_role(&self, number: u32) -> Option<&ObjectKey> {
        let at = self.missing_roles.binary_search_by_key(&number, |&(number, _)| number).ok()?;
        self.missing_roles.get(at).map(|(_, role)| role)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// The bytes it holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.all.capacity() * size_of::<Binding>()
            + self.names.capacity()
            + self.missing_roles.capacity() * size_of::<(u32, ObjectKey)>()
    }
}
