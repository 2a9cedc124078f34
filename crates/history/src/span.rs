//! How far back a history goes, and how finely.

/// A range of time that is shown as a whole, each with a ring of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// 15 minutes.
    Quarter,
    /// 1 hour.
    Hour,
    /// 24 hours.
    Day,
    /// 7 days.
    Week,
}

impl Span {
    /// All of them, shortest first; their rings lie in the file in this order.
    pub const ALL: [Self; 4] = [Self::Quarter, Self::Hour, Self::Day, Self::Week];

    /// Its word in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quarter => "15m",
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
        }
    }

    /// The one of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|span| span.as_str() == word)
    }

    /// Seconds that one slot stands for.
    pub const fn period_s(self) -> u64 {
        match self {
            Self::Quarter => super::PERIOD_S,
            Self::Hour => 20,
            Self::Day => 300,
            Self::Week => 1800,
        }
    }

    /// How many slots it has.
    pub const fn n_slots(self) -> u64 {
        match self {
            Self::Quarter | Self::Hour => 180,
            Self::Day => 288,
            Self::Week => 336,
        }
    }

    /// Slots of the rings before its own.
    pub(crate) fn n_slots_before(self) -> u64 {
        Self::ALL.into_iter().take_while(|span| *span != self).map(Self::n_slots).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_span_is_as_long_as_its_word_says() {
        let seconds = [900, 3600, 86_400, 7 * 86_400];
        for (span, seconds) in Span::ALL.into_iter().zip(seconds) {
            assert_eq!(span.period_s() * span.n_slots(), seconds, "{span:?}");
            assert_eq!(span.period_s() % super::super::PERIOD_S, 0, "{span:?}");
            assert_eq!(Span::parse(span.as_str()), Some(span));
        }
        assert_eq!(Span::parse("15"), None);
    }
}
