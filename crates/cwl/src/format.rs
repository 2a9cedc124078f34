//! Formats that are kinds of other formats: what `$schemas` say with `subClassOf` and
//! `equivalentClass`, read from RDF/XML and Turtle as ontologies write them.

use std::collections::{HashMap, HashSet};

/// Says which formats are kinds of others.
pub trait Ontology {
    /// Whether a file of the one format may go where the other is wanted.
    fn is_kind_of(&self, format: &str, wanted: &str) -> bool;
}

/// The relations of some ontologies.
#[derive(Clone, Debug, Default)]
pub struct Relations {
    parents: HashMap<String, Vec<String>>,
}

impl Relations {
    /// Adds what a text says; unknown syntax adds nothing.
    pub fn add(&mut self, text: &str) {
        if text.trim_start().starts_with("<?xml") || text.contains("<rdf:RDF") {
            self.add_xml(text);
        } else {
            self.add_turtle(text);
        }
    }

    /// Adds what another one knows.
    pub fn join(&mut self, other: &Self) {
        for (child, parents) in &other.parents {
            self.parents.entry(child.clone()).or_default().extend_from_slice(parents);
        }
    }

    fn relate(&mut self, child: &str, parent: &str, is_both_ways: bool) {
        self.parents.entry(child.to_owned()).or_default().push(parent.to_owned());
        if is_both_ways {
            self.parents.entry(parent.to_owned()).or_default().push(child.to_owned());
        }
    }

    /// `<owl:Class rdf:about="X"> … <rdfs:subClassOf rdf:resource="Y"/>`.
    fn add_xml(&mut self, text: &str) {
        let mut about = String::new();
        for tag in text.split('<').skip(1) {
            let tag = tag.split('>').next().unwrap_or_default();
            let attribute = |name: &str| {
                let at = tag.find(name)? + name.len();
                let rest = tag[at..].trim_start().strip_prefix('=')?.trim_start();
                let quote = rest.chars().next().filter(|c| *c == '"' || *c == '\'')?;
                rest[1..].split(quote).next()
            };
            if let Some(id) = attribute("rdf:about") {
                id.clone_into(&mut about);
            }
            let both = tag.contains("equivalentClass");
            if (tag.contains("subClassOf") || both)
                && let Some(parent) = attribute("rdf:resource")
            {
                let child = about.clone();
                self.relate(&child, parent, both);
            }
        }
    }

    /// `<X> rdfs:subClassOf <Y> ;` with prefixes.
    fn add_turtle(&mut self, text: &str) {
        let mut prefixes: HashMap<String, String> = HashMap::new();
        let mut words: Vec<String> = Vec::new();
        let expand = |word: &str, prefixes: &HashMap<String, String>| -> String {
            if let Some(iri) = word.strip_prefix('<').and_then(|word| word.strip_suffix('>')) {
                return iri.to_owned();
            }
            let split = word
                .split_once(':')
                .and_then(|(p, rest)| prefixes.get(p).map(|base| format!("{base}{rest}")));
            split.unwrap_or_else(|| word.to_owned())
        };
        for token in turtle_tokens(text) {
            if token != "." {
                words.push(token);
                continue;
            }
            if words.first().is_some_and(|word| word.eq_ignore_ascii_case("@prefix"))
                && words.len() >= 3
            {
                let iri = words[2].trim_matches(['<', '>']).to_owned();
                prefixes.insert(words[1].trim_end_matches(':').to_owned(), iri);
            } else if let Some(subject) = words.first().map(|word| expand(word, &prefixes)) {
                for statement in words[1..].split(|word| word == ";") {
                    let Some(predicate) = statement.first().map(|word| expand(word, &prefixes))
                    else {
                        continue;
                    };
                    let both = predicate.ends_with("equivalentClass");
                    if both || predicate.ends_with("subClassOf") {
                        for object in statement[1..].iter().filter(|word| *word != ",") {
                            let object = expand(object, &prefixes);
                            self.relate(&subject, &object, both);
                        }
                    }
                }
            }
            words.clear();
        }
    }
}

/// Words, `;`, `,` and `.`; texts in quotes are one word, comments nothing.
fn turtle_tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return tokens };
        let length = match first {
            '#' => {
                rest = rest.split_once('\n').map_or("", |(_, behind)| behind);
                continue;
            }
            '<' => rest.find('>').map_or(rest.len(), |at| at + 1),
            '"' => rest[1..].find('"').map_or(rest.len(), |at| at + 2),
            ';' | ',' | '.' | '[' | ']' | '(' | ')' => 1,
            _ => {
                let end = rest
                    .find(|c: char| c.is_whitespace() || ";,[]()".contains(c))
                    .unwrap_or(rest.len());
                let word = &rest[..end];
                if word.len() > 1 { word.trim_end_matches('.').len().max(1) } else { end }
            }
        };
        tokens.push(rest[..length].to_owned());
        rest = &rest[length..];
    }
}

impl Ontology for Relations {
    fn is_kind_of(&self, format: &str, wanted: &str) -> bool {
        let mut seen = HashSet::new();
        let mut open = vec![format];
        while let Some(next) = open.pop() {
            if next == wanted {
                return true;
            }
            if seen.insert(next) {
                open.extend(self.parents.get(next).into_iter().flatten().map(String::as_str));
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_over_several_steps_in_both_syntaxes() {
        let mut relations = Relations::default();
        relations.add("<?xml version=\"1.0\"?><rdf:RDF><owl:Class rdf:about=\"http://e/b\"><rdfs:subClassOf rdf:resource=\"http://e/a\"/></owl:Class></rdf:RDF>");
        relations.add("@prefix e: <http://e/> .\n# no\ne:c a owl:Class ; rdfs:label \"x\" ;\n rdfs:subClassOf e:b .\n<http://e/d> owl:equivalentClass e:c .\n");
        assert!(relations.is_kind_of("http://e/c", "http://e/a"));
        assert!(relations.is_kind_of("http://e/d", "http://e/a"));
        assert!(relations.is_kind_of("http://e/c", "http://e/d"));
        assert!(!relations.is_kind_of("http://e/a", "http://e/b"));
    }
}
