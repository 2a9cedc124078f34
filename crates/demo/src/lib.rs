//! The demo service and its image.
