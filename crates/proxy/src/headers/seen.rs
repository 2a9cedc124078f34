//! Which fields a head has, told by one look at each of its names: most heads have few of those that are asked for, and
//! to look up each costs more.

use http::header::{
    ACCEPT, CONNECTION, COOKIE, HeaderName, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue};

/// The fields of a head as it came; what was added later is not in here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen(u8);

impl Seen {
    pub(crate) fn in_head(headers: &HeaderMap) -> Self {
        headers.keys().fold(Self(0), Self::and)
    }

    /// Those, and one more.
    fn and(self, name: &HeaderName) -> Self {
        Self(self.0 | bit_of(name))
    }

    /// Whether the head may have a field. One that is not noted here always may.
    pub(crate) fn may_have(self, name: &HeaderName) -> bool {
        let bit = bit_of(name);
        bit == 0 || self.0 & bit != 0
    }

    /// All values of a field.
    pub(crate) fn all<'h>(
        self,
        headers: &'h HeaderMap,
        name: &HeaderName,
    ) -> impl Iterator<Item = &'h HeaderValue> + use<'h> {
        let values = self.may_have(name).then(|| headers.get_all(name).iter());
        values.into_iter().flatten()
    }
}

/// Fields that are asked for in each head.
fn bit_of(name: &HeaderName) -> u8 {
    match *name {
        ACCEPT => 1,
        COOKIE => 1 << 1,
        UPGRADE => 1 << 2,
        TE => 1 << 3,
        CONNECTION => 1 << 4,
        TRANSFER_ENCODING => 1 << 5,
        SET_COOKIE => 1 << 6,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use http::header::{AUTHORIZATION, HOST};

    use super::*;

    const NOTED: [HeaderName; 7] =
        [ACCEPT, COOKIE, UPGRADE, TE, CONNECTION, TRANSFER_ENCODING, SET_COOKIE];

    #[test]
    fn only_what_is_surely_not_there_is_said_not_to_be() {
        let none = Seen::in_head(&HeaderMap::new());
        for name in &NOTED {
            let mut headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("a.test"))]);
            assert!(!Seen::in_head(&headers).may_have(name), "{name}");
            headers.append(name, HeaderValue::from_static("a"));
            headers.append(name, HeaderValue::from_static("b"));
            let seen = Seen::in_head(&headers);
            assert!(seen.may_have(name) && !none.may_have(name), "{name}");
            assert_eq!(seen.all(&headers, name).count(), 2, "{name}");
            assert!(NOTED.iter().all(|other| seen.may_have(other) == (name == other)), "{name}");
        }
        assert!(none.may_have(&AUTHORIZATION) && none.may_have(&HOST), "they are not noted");
    }
}
