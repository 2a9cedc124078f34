//! The nouns of Wharf.
