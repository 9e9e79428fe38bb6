//! What the agent changes in the node's network, by netlink: its addresses, and the redirection of the instance-metadata road. No
//! program is run for it, so that the image needs none.

mod links;
mod netlink;
mod redirect;

pub use links::{Addresses, LINK_NAME};
pub use netlink::KernelError;
pub use redirect::{Redirect, TABLE_NAME};
