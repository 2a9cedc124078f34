//! Who signed in, as the provider tells it.

use serde_json::{Map, Value};

/// Longest text that is taken over from a provider.
const TEXT_CHARS_MAX: usize = 200;

/// Where in a provider's answer things are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The address.
    pub email: String,
    /// Whether the address was verified; empty where the provider verifies each.
    pub email_verified: String,
    /// The short name; empty takes `preferred_username`, or else what the address begins with.
    pub username: String,
}

impl Default for Claims {
    fn default() -> Self {
        Self {
            email: "email".to_owned(),
            email_verified: "email_verified".to_owned(),
            username: String::new(),
        }
    }
}

/// Somebody whom a provider vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The provider.
    pub issuer: String,
    /// Whom it means: never another person, while an address or a name may become another's.
    pub subject: String,
    /// Their address; empty where it does not say.
    pub email: String,
    /// Whether the provider says that the address is theirs.
    pub is_email_verified: bool,
    /// What they would be called; empty where it does not say.
    pub username: String,
    /// First name; may be empty.
    pub first_name: String,
    /// Last name; may be empty.
    pub last_name: String,
}

impl Person {
    /// From claims that were checked: those of an ID token, with what the provider adds to them.
    pub(crate) fn of(issuer: &str, claims: &Map<String, Value>, names: &Claims) -> Self {
        let text = |name: &str| {
            let found = claims.get(name).and_then(Value::as_str).unwrap_or_default();
            cleaned(found)
        };
        let email = text(&names.email);
        let is_email_verified = !email.is_empty()
            && (names.email_verified.is_empty()
                || claims.get(&names.email_verified).is_some_and(is_true));
        let username = match names.username.as_str() {
            "" => Some(text("preferred_username"))
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| email.split('@').next().unwrap_or_default().to_owned()),
            name => text(name),
        };
        let (mut first_name, mut last_name) = (text("given_name"), text("family_name"));
        if first_name.is_empty() && last_name.is_empty() {
            let name = text("name");
            let (first, last) = name.rsplit_once(' ').unwrap_or((&name, ""));
            (first_name, last_name) = (first.to_owned(), last.to_owned());
        }
        // As it is: the pair is compared, never shown as text of ours.
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned();
        let issuer = issuer.to_owned();
        Self { issuer, subject, email, is_email_verified, username, first_name, last_name }
    }
}

/// Some providers write it as text.
fn is_true(value: &Value) -> bool {
    *value == Value::Bool(true) || value == "true"
}

fn cleaned(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn person(claims: &Value, names: &Claims) -> Person {
        Person::of("https://id", claims.as_object().unwrap(), names)
    }

    #[test]
    fn names_come_from_the_claims_that_there_are() {
        let names = Claims::default();
        let claims = json!({"sub": "1", "email": "ada@example.com", "name": "Ada King Lovelace"});
        let ada = person(&claims, &names);
        assert_eq!((ada.first_name.as_str(), ada.last_name.as_str()), ("Ada King", "Lovelace"));
        assert_eq!((ada.username.as_str(), ada.is_email_verified), ("ada", false));
        let claims = json!({"sub": "1", "preferred_username": "al", "given_name": "Ada",
            "family_name": "L", "name": "x y", "login": "lovelace"});
        let ada = person(&claims, &names);
        assert_eq!((ada.first_name.as_str(), ada.last_name.as_str()), ("Ada", "L"));
        assert_eq!((ada.username.as_str(), ada.email.as_str()), ("al", ""));
        let names = Claims { username: "login".to_owned(), ..names };
        assert_eq!(person(&claims, &names).username, "lovelace");
    }

    #[test]
    fn an_address_counts_as_verified_only_where_that_is_said() {
        let verified = |claim: Value, name: &str| {
            let names = Claims { email_verified: name.to_owned(), ..Claims::default() };
            person(&json!({"sub": "1", "email": "a@b", "email_verified": claim}), &names)
                .is_email_verified
        };
        assert!(
            verified(json!(true), "email_verified") && verified(json!("true"), "email_verified")
        );
        for no in [json!(false), json!("false"), json!(null), json!(1), json!("yes")] {
            assert!(!verified(no.clone(), "email_verified"), "{no}");
        }
        assert!(!verified(json!(true), "other"));
        assert!(verified(json!(false), ""), "this provider verifies each");
        let none = Claims { email_verified: String::new(), ..Claims::default() };
        assert!(!person(&json!({"sub": "1"}), &none).is_email_verified, "no address at all");
    }

    #[test]
    fn text_of_a_provider_is_short_and_plain() {
        let claims = json!({"sub": "1", "given_name": format!("A\u{1b}[2J{}", "x".repeat(500))});
        let name = person(&claims, &Claims::default()).first_name;
        assert!(name.starts_with("A[2Jx") && name.len() == TEXT_CHARS_MAX, "{name}");
    }
}
