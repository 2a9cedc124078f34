//! Runs one container and carries its traffic.
