//! Links of class `service_access`: who may open a private port besides those who started the service.
//!
//! The head is a container request, the tail a user or a role, and `properties.port` the port; without it the link
//! is about every port. The name follows from the port, so that the database can hold that there is one of each.

use crate::port::ContainerPort;
use crate::records::Link;

/// The link class that opens ports.
pub const SERVICE_ACCESS_CLASS: &str = "service_access";
/// The name of a link that is about every port; of others it is the port's number.
pub const EVERY_PORT: &str = "any";

/// The name that a link about this port has.
pub fn access_name(port: Option<ContainerPort>) -> String {
    port.map_or_else(|| EVERY_PORT.to_owned(), |port| port.to_string())
}

impl Link {
    /// Whether it opens ports of a service.
    pub fn is_service_access(&self) -> bool {
        self.link_class == SERVICE_ACCESS_CLASS
    }

    /// Whether it gives its tail something of its head: then who manages the head makes and removes it.
    pub fn gives(&self) -> bool {
        self.is_service_access() || self.link_class == crate::permission::PERMISSION_CLASS
    }

    /// Whether a link that opens ports is about this one.
    pub fn opens(&self, port: ContainerPort) -> bool {
        self.is_service_access()
            && (self.name == EVERY_PORT || self.name == access_name(Some(port)))
    }
}
