//! Containers and images: namespaces, overlay, sockets inside the container.
