//! What clients send as XML: which properties they want, which lock.

use quick_xml::NsReader;
use quick_xml::events::Event;
use quick_xml::name::{Namespace, ResolveResult};

/// Largest body; a list of a hundred properties has some 10 KB.
pub(super) const BODY_BYTES_MAX: usize = 64 << 10;
/// Properties that may be named.
const NAMES_MAX: usize = 500;
const DEPTH_MAX: usize = 32;

/// A name with its namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) namespace: String,
    pub(super) local: String,
}

impl Name {
    pub(super) fn is_dav(&self, local: &str) -> bool {
        self.namespace == "DAV:" && self.local == local
    }
}

/// What a `PROPFIND` wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All there is.
    All,
    /// The names alone.
    Names,
    /// These.
    These(Vec<Name>),
}

/// What a `LOCK` wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WantedLock {
    pub(super) is_shared: bool,
    /// The text in `owner`: a person's name, or an address.
    pub(super) owner: String,
}

/// One step through a document.
enum Step {
    /// An element, and how deep it is: the outermost is 0.
    Element(Name, usize),
    Text(String, usize),
}

/// The elements and texts of a document; none where it is not well-formed, or declares a type (such
/// things are there to make readers fetch or expand).
fn steps(text: &str) -> Option<Vec<Step>> {
    let mut reader = NsReader::from_str(text);
    let (mut steps, mut depth) = (Vec::new(), 0);
    loop {
        let (namespace, event) = reader.read_resolved_event().ok()?;
        let namespace = match namespace {
            ResolveResult::Bound(Namespace(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            ResolveResult::Unbound => String::new(),
            ResolveResult::Unknown(_) => return None,
        };
        let name = |bytes: &[u8]| Name {
            namespace: namespace.clone(),
            local: String::from_utf8_lossy(bytes).into_owned(),
        };
        match event {
            Event::Start(start) => {
                steps.push(Step::Element(name(start.local_name().as_ref()), depth));
                depth += 1;
            }
            Event::Empty(empty) => {
                steps.push(Step::Element(name(empty.local_name().as_ref()), depth));
            }
            Event::End(_) => depth -= 1,
            Event::Text(text) => steps.push(Step::Text(text.decode().ok()?.into_owned(), depth)),
            Event::DocType(_) => return None,
            Event::Eof => return (depth == 0).then_some(steps),
            _ => {}
        }
        if depth > DEPTH_MAX || steps.len() > 4 * NAMES_MAX {
            return None;
        }
    }
}

/// The body of a `PROPFIND`; an empty one wants everything (RFC 4918 section 9.1).
pub(super) fn properties(body: &str) -> Option<Wanted> {
    if body.trim().is_empty() {
        return Some(Wanted::All);
    }
    let steps = steps(body)?;
    let mut elements = elements(&steps);
    if !elements.next().is_some_and(|(name, depth)| depth == 0 && name.is_dav("propfind")) {
        return None;
    }
    let (kind, _) = elements.next()?;
    match kind.local.as_str() {
        "propname" if kind.is_dav("propname") => Some(Wanted::Names),
        "allprop" if kind.is_dav("allprop") => Some(Wanted::All),
        "prop" if kind.is_dav("prop") => named(elements).map(Wanted::These),
        _ => None,
    }
}

/// The properties that a `PROPPATCH` would change.
pub(super) fn changes(body: &str) -> Option<Vec<Name>> {
    let steps = steps(body)?;
    let mut elements = elements(&steps);
    if !elements.next().is_some_and(|(name, depth)| depth == 0 && name.is_dav("propertyupdate")) {
        return None;
    }
    // propertyupdate / set or remove / prop / the property
    let names: Vec<Name> =
        elements.filter(|(_, depth)| *depth == 3).map(|(name, _)| name.clone()).collect();
    (!names.is_empty() && names.len() <= NAMES_MAX).then_some(names)
}

/// The body of a `LOCK` that makes one.
pub(super) fn lock(body: &str) -> Option<WantedLock> {
    let steps = steps(body)?;
    let mut elements = elements(&steps);
    if !elements.next().is_some_and(|(name, depth)| depth == 0 && name.is_dav("lockinfo")) {
        return None;
    }
    let has =
        |local: &str| self::elements(&steps).any(|(name, depth)| depth == 2 && name.is_dav(local));
    let (is_exclusive, is_shared) = (has("exclusive"), has("shared"));
    if is_exclusive == is_shared || !has("write") {
        return None;
    }
    Some(WantedLock { is_shared, owner: owner(&steps) })
}

/// The texts below `owner`.
fn owner(steps: &[Step]) -> String {
    let mut texts = String::new();
    let mut is_inside = false;
    for step in steps {
        match step {
            Step::Element(name, 1) => is_inside = name.is_dav("owner"),
            Step::Text(text, depth) if is_inside && *depth >= 2 => texts.push_str(text.trim()),
            _ => {}
        }
    }
    texts.chars().take(500).collect()
}

fn elements(steps: &[Step]) -> impl Iterator<Item = (&Name, usize)> {
    steps.iter().filter_map(|step| match step {
        Step::Element(name, depth) => Some((name, *depth)),
        Step::Text(..) => None,
    })
}

fn named<'s>(elements: impl Iterator<Item = (&'s Name, usize)>) -> Option<Vec<Name>> {
    let names: Vec<Name> =
        elements.filter(|(_, depth)| *depth == 2).map(|(name, _)| name.clone()).collect();
    (names.len() <= NAMES_MAX).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(namespace: &str, local: &str) -> Name {
        Name { namespace: namespace.to_owned(), local: local.to_owned() }
    }

    #[test]
    fn what_is_wanted_is_read() {
        assert_eq!(properties(" "), Some(Wanted::All));
        let all = "<?xml version=\"1.0\"?><propfind xmlns=\"DAV:\"><allprop/></propfind>";
        assert_eq!(properties(all), Some(Wanted::All));
        let names = "<D:propfind xmlns:D=\"DAV:\"><D:propname/></D:propfind>";
        assert_eq!(properties(names), Some(Wanted::Names));
        let these = "<D:propfind xmlns:D=\"DAV:\"><D:prop><D:getetag/><x xmlns=\"urn:y\"/></D:prop></D:propfind>";
        let expected = vec![name("DAV:", "getetag"), name("urn:y", "x")];
        assert_eq!(properties(these), Some(Wanted::These(expected)));
        let change = "<D:propertyupdate xmlns:D=\"DAV:\"><D:set><D:prop><a xmlns=\"b\">1</a></D:prop></D:set></D:propertyupdate>";
        assert_eq!(changes(change), Some(vec![name("b", "a")]));
        let wanted = "<lockinfo xmlns='DAV:'><lockscope><exclusive/></lockscope>\
            <locktype><write/></locktype><owner><href>ada</href></owner></lockinfo>";
        assert_eq!(lock(wanted), Some(WantedLock { is_shared: false, owner: "ada".to_owned() }));
    }

    #[test]
    fn nonsense_is_refused() {
        let entity = "<!DOCTYPE x [<!ENTITY a \"b\">]><propfind xmlns='DAV:'><allprop/></propfind>";
        let deep = "<a>".repeat(100);
        for text in [
            "<",
            "<propfind",
            "<a/>",
            "<propfind><allprop/></propfind>",
            entity,
            &deep,
            "<x:propfind xmlns='DAV:'><allprop/></x:propfind>",
            "<propfind xmlns='DAV:'>",
        ] {
            assert_eq!(properties(text), None, "{text}");
            assert_eq!(lock(text), None, "{text}");
            assert_eq!(changes(text), None, "{text}");
        }
    }
}
