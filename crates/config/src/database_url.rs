//! The address of a PostgreSQL database, whose password nobody sees.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::setting::Setting;

/// `postgres://user:password@host:5432/name?options`. Printed without password and options.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// All of it, password included: for who connects.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Says what is wrong with it, without repeating it.
    ///
    /// # Errors
    /// Where it names no PostgreSQL database.
    pub fn check(&self) -> Result<(), &'static str> {
        let is_postgres = ["postgres://", "postgresql://"].iter().any(|it| self.0.starts_with(it));
        if is_postgres {
            Ok(())
        } else {
            Err("must be an address such as postgres://user:password@host:5432/name")
        }
    }
}

impl From<String> for DatabaseUrl {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// What is wrong is said by [`DatabaseUrl::check`]: who parses a command line repeats what it refuses.
impl FromStr for DatabaseUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Options can hold a password, too.
        let plain = self.0.split(['?', '#']).next().unwrap_or_default();
        let Some((scheme, rest)) = plain.split_once("://") else {
            return f.write_str("postgres://");
        };
        match rest.rsplit_once('@') {
            Some((user, host)) => {
                let user = user.split(':').next().unwrap_or_default();
                write!(f, "{scheme}://{user}@{host}")
            }
            None => write!(f, "{scheme}://{rest}"),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

impl Setting for DatabaseUrl {
    fn from_value(value: &Value) -> Result<Self, String> {
        let url = value.as_str().map(|text| Self(text.to_owned()));
        let url = url.filter(|url| url.check().is_ok());
        // The value is not repeated: it can hold a password.
        url.ok_or_else(|| {
            "must be an address such as postgres://user:password@host:5432/name".to_owned()
        })
    }

    fn show(&self) -> String {
        Value::from(self.to_string()).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_never_printed() {
        for (url, shown) in [
            ("postgres://ada:hush@db.example:5432/wharf", "postgres://ada@db.example:5432/wharf"),
            ("postgres://ada:hu@sh@db/wharf?sslmode=require", "postgres://ada@db/wharf"),
            ("postgresql:///wharf?host=/run/postgresql&password=hush", "postgresql:///wharf"),
            ("hush", "postgres://"),
        ] {
            let url = DatabaseUrl::from(url.to_owned());
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?} {}", url.show()).contains("hush"));
        }
    }

    #[test]
    fn what_is_no_postgresql_is_refused_without_being_repeated() {
        let refused = DatabaseUrl::from_value(&Value::from("mysql://ada:hush@db/wharf"));
        assert!(!refused.unwrap_err().contains("hush"));
        assert!(DatabaseUrl::from_value(&Value::from("postgresql://db/wharf")).is_ok());
    }
}
