//! The frame of every page and the parts that pages share.

pub(crate) mod icons;
pub(crate) mod layout;
pub(crate) mod parts;
pub(crate) mod plot;
