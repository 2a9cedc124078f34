//! Tables as good unix tools print them: aligned, one record a line, no frames.

/// Space between columns.
const GAP: &str = "  ";

/// A table whose last column is the one that matters and is never cut.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row with one cell per heading.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().map(|cell| printable(&cell)).collect();
        debug_assert_eq!(cells.len(), self.headings.len(), "one cell per heading");
        self.rows.push(cells);
    }

    /// The table's text. Where it does not fit into `width`, the last column moves to lines of its own.
    pub(crate) fn render(&self, width: Option<usize>) -> String {
        let widths = self.widths();
        let total = widths.iter().sum::<usize>() + GAP.len() * (widths.len().saturating_sub(1));
        let fits = width.is_none_or(|width| total <= width);
        let mut text = String::new();
        let headings: Vec<String> = self.headings.iter().map(|&word| word.to_owned()).collect();
        for cells in std::iter::once(&headings).chain(&self.rows) {
            if fits {
                push_line(&mut text, cells, &widths);
                continue;
            }
            let (last, cells) = cells.split_last().map_or(("", &[][..]), |(l, c)| (l.as_str(), c));
            if cells.iter().any(|cell| !cell.is_empty()) {
                push_line(&mut text, cells, &widths);
            }
            if !last.is_empty() {
                text.extend([GAP, last, "\n"]);
            }
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.headings.iter().map(|word| n_columns(word)).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(n_columns(cell));
            }
        }
        widths
    }
}

fn push_line(text: &mut String, cells: &[String], widths: &[usize]) {
    let start = text.len();
    for (i, (cell, width)) in cells.iter().zip(widths).enumerate() {
        if i > 0 {
            text.push_str(GAP);
        }
        text.push_str(cell);
        text.extend(std::iter::repeat_n(' ', width.saturating_sub(n_columns(cell))));
    }
    // Trailing blanks would wrap on narrow terminals and show in copied text.
    text.truncate(start + text[start..].trim_end().len());
    text.push('\n');
}

/// Names come from other people: control characters could rewrite the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '�' } else { c }).collect()
}

/// Columns on a terminal, taking every character for one; wide ones only shift what follows.
fn n_columns(text: &str) -> usize {
    text.chars().count()
}

/// `text` in at most `max` columns, with an ellipsis where something was cut.
pub(crate) fn shorten(text: &str, max: usize) -> String {
    if n_columns(text) <= max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(max.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(&["ID", "NAME", "URL"]);
        table.row(["a1".into(), "lab".into(), "http://lab.x/".into()]);
        table.row([String::new(), String::new(), "http://b.x/".into()]);
        table.row(["b22".into(), "a\x1b[2J".into(), String::new()]);
        table
    }

    #[test]
    fn columns_are_aligned_without_trailing_blanks() {
        let expected = "\
ID   NAME   URL
a1   lab    http://lab.x/
            http://b.x/
b22  a�[2J
";
        assert_eq!(sample().render(None), expected);
        assert_eq!(sample().render(Some(80)), expected);
    }

    #[test]
    fn a_narrow_terminal_gets_the_last_column_below() {
        let expected = "\
ID   NAME
  URL
a1   lab
  http://lab.x/
  http://b.x/
b22  a�[2J
";
        assert_eq!(sample().render(Some(20)), expected);
    }

    #[test]
    fn long_names_are_cut_with_an_ellipsis() {
        assert_eq!(shorten("short", 5), "short");
        assert_eq!(shorten("longer", 5), "long…");
        assert_eq!(shorten("müll and more", 4), "mül…");
    }
}
