//! Figures as Prometheus reads them: the text format 0.0.4.
//!
//! Text of our own: what is counted lies in counters that serve other purposes too (limits, histories), and a registry
//! would want to own them. The format is a dozen lines.

use std::fmt::{self, Write as _};

/// What a client of Prometheus says of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Labels of one sample: names are ours, values are escaped.
pub type Labels<'l> = &'l [(&'l str, &'l str)];

/// How the samples of a family are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Grows, and begins anew with the process; its name ends with `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets.
    Histogram,
}

/// A page in the making.
#[derive(Debug, Default)]
pub struct Exposition(String);

/// The samples of one name.
#[derive(Debug)]
pub struct Family<'e> {
    text: &'e mut String,
    name: &'static str,
}

impl Exposition {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins the samples of a name; each name comes once.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family { text: &mut self.0, name }
    }

    /// A family of a single sample without labels.
    pub fn single(&mut self, name: &'static str, kind: Kind, help: &str, value: f64) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// The page.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }

    fn put(&mut self, text: fmt::Arguments<'_>) {
        let _infallible = self.0.write_fmt(text);
    }
}

impl Family<'_> {
    /// One sample.
    pub fn sample(&mut self, labels: Labels<'_>, value: f64) {
        self.line("", labels, None, value);
    }

    /// A histogram. `counts` are those of each bucket alone, one more than `bounds_us`, which are in microseconds.
    ///
    /// # Panics
    /// When there are not as many.
    #[expect(clippy::cast_precision_loss, reason = "counts and times far below 2^52")]
    pub fn histogram(
        &mut self,
        labels: Labels<'_>,
        bounds_us: &[u64],
        counts: &[u64],
        sum_us: u64,
    ) {
        assert_eq!(bounds_us.len() + 1, counts.len(), "one bucket is for what lies beyond");
        let mut n_all = 0;
        for (at, n) in counts.iter().enumerate() {
            n_all += n;
            let bound = bounds_us.get(at);
            let bound = bound.map_or("+Inf".to_owned(), |us| (*us as f64 / 1e6).to_string());
            self.line("_bucket", labels, Some(&bound), n_all as f64);
        }
        self.line("_sum", labels, None, sum_us as f64 / 1e6);
        self.line("_count", labels, None, n_all as f64);
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, bound: Option<&str>, value: f64) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        let all = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        let mut before = '{';
        for (name, value) in all {
            self.text.push(before);
            let _infallible = write!(self.text, "{name}=\"");
            self.escape(value);
            self.text.push('"');
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
        let _infallible = writeln!(self.text, " {value}");
    }

    fn escape(&mut self, value: &str) {
        for character in value.chars() {
            match character {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                other => self.text.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_prometheus_s() {
        let mut page = Exposition::new();
        let mut family = page.family("wharf_requests_total", Kind::Counter, "Requests.");
        family.sample(&[("route", "/a\"b\\\n"), ("code", "2xx")], 3.0);
        page.single("wharf_open", Kind::Gauge, "Open.", 0.5);
        let mut times = page.family("wharf_seconds", Kind::Histogram, "Times.");
        times.histogram(&[("a", "b")], &[1_000, 2_500_000], &[1, 2, 1], 8_500_000);
        assert_eq!(
            page.finish(),
            "# HELP wharf_requests_total Requests.\n# TYPE wharf_requests_total counter\n\
             wharf_requests_total{route=\"/a\\\"b\\\\\\n\",code=\"2xx\"} 3\n\
             # HELP wharf_open Open.\n# TYPE wharf_open gauge\nwharf_open 0.5\n\
             # HELP wharf_seconds Times.\n# TYPE wharf_seconds histogram\n\
             wharf_seconds_bucket{a=\"b\",le=\"0.001\"} 1\nwharf_seconds_bucket{a=\"b\",le=\"2.5\"} 3\n\
             wharf_seconds_bucket{a=\"b\",le=\"+Inf\"} 4\nwharf_seconds_sum{a=\"b\"} 8.5\n\
             wharf_seconds_count{a=\"b\"} 4\n"
        );
    }
}
