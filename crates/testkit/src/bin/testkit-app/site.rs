//! A site that a test writes: answers that are remembered, for pages that register service workers and the like.
//!
//! `POST /remember?path=/page.html` keeps its body, a whole answer with head, for GET of that path. Each connection
//! ends with such an answer, so that it needs no length.

use std::collections::HashMap;
use std::io::{Result, Write as _};
use std::sync::{Mutex, PoisonError};

use crate::request::{Reader, Request};

static ANSWERS: Mutex<Option<HashMap<String, Vec<u8>>>> = Mutex::new(None);

pub(crate) fn remember(request: &Request, reader: &mut Reader) -> Result<()> {
    let (answer, _) = request.whole_body(reader)?;
    let path = request.parameter("path").unwrap_or("/").to_owned();
    let mut answers = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
    answers.get_or_insert_default().insert(path, answer);
    Ok(())
}

/// Whether there is one for this request, which is answered then.
pub(crate) fn recall(request: &Request, reader: &mut Reader) -> Result<bool> {
    if request.method != "GET" {
        return Ok(false);
    }
    let answers = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
    let found = answers.as_ref().and_then(|answers| answers.get(&request.path)).cloned();
    drop(answers);
    if let Some(answer) = &found {
        reader.get_mut().write_all(answer)?;
    }
    Ok(found.is_some())
}
