//! The store as the rest of Wharf uses it, over a real file.

mod codes;
mod containers;
mod fixture;
mod lists;
mod names;
mod requests;
mod tokens;
