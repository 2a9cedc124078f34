//! Parts of Arvados's API that are not here: who asks for one is told so, and what to do in its place.

/// First parts of a path below `/arvados/v1/` (`*` is any one), and what to do in its place.
const MISSING: &[(&str, &str)] = &[
    ("credentials/*/secret", "no credentials are kept here"),
    ("sys", "trash is swept by the server itself (Collections.TrashSweepInterval)"),
    ("user_agreements/sign", "there are no agreements to sign here"),
    ("virtual_machines/*/logins", "there are no shell nodes here: wharf shell opens services"),
];

/// Words about a path, if it is one of these.
pub(crate) fn words_about(path: &str) -> Option<String> {
    let below = path.strip_prefix("/arvados/v1/")?;
    let is_it = |known: &str| {
        let mut parts = below.split('/');
        known.split('/').all(|known| parts.next().is_some_and(|it| known == "*" || known == it))
    };
    let (known, instead) = MISSING.iter().find(|(known, _)| is_it(known))?;
    let known = known.replace('*', "UUID");
    Some(format!("{known} of Arvados's API is not in Wharf: {instead}"))
}

#[cfg(test)]
mod tests {
    use super::words_about;

    #[test]
    fn only_what_is_missing_is_told_as_missing() {
        for path in [
            "sys/trash_sweep",
            "virtual_machines/x/logins",
            "user_agreements/sign",
            "credentials/x/secret",
        ] {
            let words = words_about(&format!("/arvados/v1/{path}"));
            assert!(words.is_some_and(|words| words.contains("is not in Wharf: ")), "{path}");
        }
        for path in ["/arvados/v1/users", "/arvados/v1/credentials/x", "/arvados/v1/system", "/sys"]
        {
            assert_eq!(words_about(path), None, "{path}");
        }
    }
}
