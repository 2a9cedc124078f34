//! The demo service and the image it runs from.
//!
//! `wharf demo` must show a real service in a real container on a machine that has no image at
//! all, so the project brings its own: the program inside is Wharf's executable started as
//! `wharf demo-app`, and [`image::build`] makes a docker-archive out of that executable and the
//! shared libraries it runs with.
//!
//! - [`app`]: the web application inside the container. It knows nothing of Wharf's records, has
//!   no credential and does not do any check of who calls: that is the gate's work, outside.
//! - [`image`]: the archive. It reads only this process's own files and writes one file.
//!
//! Start reading at [`app::router`] and [`image::build`].

pub mod app;
pub mod image;
