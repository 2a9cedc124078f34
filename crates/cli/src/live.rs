//! A block of lines at the foot of a terminal that is drawn anew in its place while remarks scroll past above it.
//!
//! Everything goes out in whole writes by one lock, so that nothing is garbled: the block is wiped, the remark written, the
//! block drawn again. Lines never wrap. Nothing of the terminal is changed that would have to be put back.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use config::Environment;
use unicode_width::UnicodeWidthChar as _;

/// Between two drawings, so that a burst of news is drawn once.
const PAUSE: Duration = Duration::from_millis(100);
/// Drawn anew at least this often: clocks go on.
const TICK: Duration = Duration::from_secs(1);
/// Columns where the terminal does not tell.
const COLUMNS: usize = 80;
/// Lines where the terminal does not tell.
const ROWS: usize = 24;

/// A colour for a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// It failed.
    Red,
    /// It goes well.
    Green,
    /// It goes on.
    Cyan,
    /// It is past, or does not matter now.
    Gray,
}

/// One line of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The first word, in a colour, and as wide as that of other lines.
    pub lead: String,
    /// The colour.
    pub color: Option<Color>,
    /// What follows it.
    pub text: String,
    /// An address at the end, to be clicked.
    pub link: Option<String>,
}

/// A block at the foot of the terminal that standard error is. Dropped, it is wiped.
pub struct Live {
    shared: Arc<Shared>,
    drawer: Option<JoinHandle<()>>,
}

struct Shared {
    block: Mutex<Block>,
    changed: Condvar,
    has_color: bool,
    columns: Option<usize>,
    lines: Box<dyn Fn(usize) -> Vec<Line> + Send + Sync>,
}

#[derive(Debug, Default)]
struct Block {
    /// Columns of each line that is on the terminal.
    drawn: Vec<usize>,
    is_stale: bool,
    is_over: bool,
}

impl Live {
    /// A block on standard error, where that is a terminal that can be drawn on. `lines` says what is in it, in at most so
    /// many lines.
    pub fn start(
        environment: &Environment,
        lines: impl Fn(usize) -> Vec<Line> + Send + Sync + 'static,
    ) -> Option<Self> {
        let can_draw = environment.term.as_deref().is_some_and(|term| term != "dumb");
        if !io::stderr().is_terminal() || !can_draw {
            return None;
        }
        let shared = Arc::new(Shared {
            block: Mutex::default(),
            changed: Condvar::new(),
            has_color: !environment.no_color,
            columns: environment.columns,
            lines: Box::new(lines),
        });
        let drawing = Arc::clone(&shared);
        let drawer = std::thread::Builder::new().name("live".to_owned());
        let drawer = drawer.spawn(move || drawing.keep_drawing()).ok()?;
        Some(Self { shared, drawer: Some(drawer) })
    }

    /// Writes a remark above the block.
    pub fn say(&self, words: &str) {
        let mut block = self.shared.lock();
        let mut out = self.shared.wipe(&mut block);
        for line in words.lines() {
            out.push_str(&crate::table::printable(line));
            out.push('\n');
        }
        if !block.is_over {
            self.shared.draw(&mut block, &mut out);
        }
        write(&out);
    }

    /// What is in the block has changed.
    pub fn change(&self) {
        self.shared.lock().is_stale = true;
        self.shared.changed.notify_one();
    }

    /// Wipes the block for good.
    pub fn finish(&mut self) {
        let Some(drawer) = self.drawer.take() else { return };
        {
            let mut block = self.shared.lock();
            block.is_over = true;
            let out = self.shared.wipe(&mut block);
            write(&out);
        }
        self.shared.changed.notify_one();
        // It panics with a lock that nobody needs any more.
        let _ended = drawer.join();
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.finish();
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Block> {
        self.block.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_drawing(&self) {
        let mut drawn_at = Instant::now();
        let mut block = self.lock();
        while !block.is_over {
            let due = if block.is_stale { PAUSE } else { TICK };
            let wait = due.saturating_sub(drawn_at.elapsed());
            if !wait.is_zero() {
                let waited = self.changed.wait_timeout(block, wait);
                block = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            block.is_stale = false;
            let mut out = self.wipe(&mut block);
            self.draw(&mut block, &mut out);
            write(&out);
            drawn_at = Instant::now();
        }
    }

    /// Leads back to where the block began, and clears all below. Lines that wrapped since, as the terminal became narrower,
    /// count as what they are now.
    fn wipe(&self, block: &mut Block) -> String {
        let columns = self.size().0;
        let rows: usize = block.drawn.iter().map(|width| width.div_ceil(columns).max(1)).sum();
        block.drawn.clear();
        match rows {
            0 => String::new(),
            rows => format!("\r\x1b[{rows}A\x1b[J"),
        }
    }

    fn draw(&self, block: &mut Block, out: &mut String) {
        let (columns, rows) = self.size();
        for line in (self.lines)(rows.saturating_sub(1).max(1)) {
            let width = push_line(out, &line, columns.saturating_sub(1), self.has_color);
            block.drawn.push(width);
            out.push('\n');
        }
    }

    /// Columns and lines of the terminal.
    fn size(&self) -> (usize, usize) {
        let asked = rustix::termios::tcgetwinsize(io::stderr()).ok();
        let of = |n: Option<u16>| n.map(usize::from).filter(|n| *n > 0);
        let columns = of(asked.map(|size| size.ws_col)).or(self.columns).unwrap_or(COLUMNS);
        (columns, of(asked.map(|size| size.ws_row)).unwrap_or(ROWS))
    }
}

/// One line in at most so many columns; its columns. An address that has to be cut still leads to where it does.
fn push_line(out: &mut String, line: &Line, columns: usize, has_color: bool) -> usize {
    let lead = cut(&line.lead, columns);
    let color = line.color.filter(|_| has_color && !lead.text.is_empty());
    match color.map(code) {
        Some(code) => {
            let _infallible = write!(out, "\x1b[{code}m{}\x1b[0m", lead.text);
        }
        None => out.push_str(&lead.text),
    }
    let text = cut(&line.text, columns - lead.columns);
    out.push_str(&text.text);
    let used = lead.columns + text.columns;
    let Some(link) = line.link.as_ref().filter(|_| used + 2 < columns) else { return used };
    let shown = cut(link, columns - used - 2);
    let target = crate::table::printable(link);
    let _infallible = write!(out, "  \x1b]8;;{target}\x1b\\{}\x1b]8;;\x1b\\", shown.text);
    used + 2 + shown.columns
}

fn code(color: Color) -> u8 {
    match color {
        Color::Red => 31,
        Color::Green => 32,
        Color::Cyan => 36,
        Color::Gray => 90,
    }
}

struct Cut {
    text: String,
    columns: usize,
}

/// As much of a text as fits, with an ellipsis where something was cut off. Control characters are shown as such.
fn cut(text: &str, columns_max: usize) -> Cut {
    let text = crate::table::printable(text);
    let width = |c: char| c.width().unwrap_or(0);
    let all: usize = text.chars().map(width).sum();
    if all <= columns_max {
        return Cut { text, columns: all };
    }
    let mut kept = Cut { text: String::new(), columns: 0 };
    for c in text.chars() {
        if kept.columns + width(c) + 1 > columns_max {
            break;
        }
        kept.text.push(c);
        kept.columns += width(c);
    }
    if columns_max > 0 {
        kept.text.push('…');
        kept.columns += 1;
    }
    kept
}

/// In one piece, as far as the terminal takes it. Lost without harm if it has gone.
fn write(out: &str) {
    let mut stderr = io::stderr().lock();
    let _gone = stderr.write_all(out.as_bytes()).and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, link: Option<&str>, columns: usize, has_color: bool) -> (String, usize) {
        let line = Line {
            lead: "ready    ".to_owned(),
            color: Some(Color::Green),
            text: text.to_owned(),
            link: link.map(str::to_owned),
        };
        let mut out = String::new();
        let width = push_line(&mut out, &line, columns, has_color);
        (out, width)
    }

    #[test]
    fn lines_fit_and_addresses_lead_on_when_they_are_cut() {
        assert_eq!(line("serve", None, 80, false), ("ready    serve".to_owned(), 14));
        assert_eq!(line("serve", None, 80, true), ("\x1b[32mready    \x1b[0mserve".to_owned(), 14));
        assert_eq!(line("serve it all", None, 14, false), ("ready    serv…".to_owned(), 14));
        assert_eq!(line("数数数", None, 14, false), ("ready    数数…".to_owned(), 14));
        let link = "\x1b]8;;http://x.y/z\x1b\\http…\x1b]8;;\x1b\\";
        let (out, width) = line("s", Some("http://x.y/z"), 17, false);
        assert_eq!((out, width), (format!("ready    s  {link}"), 17));
        // Nothing in a name moves the cursor.
        assert_eq!(line("a\x1b[2Jb", None, 80, false).0, "ready    a\u{fffd}[2Jb");
        assert_eq!(line("x", Some("y"), 0, false), (String::new(), 0));
    }
}
