//! Clients' bytes at random: whole requests, requests with a twist, and both with bytes changed.

/// Numbers at random, the same for the same seed (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bf0_3635)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `n`, without it.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap_or_default()
    }

    /// Whether one of `n` came.
    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// The first choice mostly, and seldom another.
    fn mostly<T: Copy>(&mut self, choices: &[T]) -> T {
        if self.one_in(12) { self.of(choices) } else { choices[0] }
    }
}

const METHODS: [&str; 12] = [
    "GET",
    "POST",
    "PUT",
    "HEAD",
    "OPTIONS",
    "DELETE",
    "PROPFIND",
    "VERSION-CONTROL",
    "get",
    "CONNECT",
    "G(T",
    "",
];
const TARGETS: [&str; 24] = [
    "/",
    "/a",
    "/a/../b",
    "//",
    "/%2f%zz",
    "/a?b=c&d",
    "/?",
    "/a;b=c",
    "/a|b",
    "/{x}",
    "/\"",
    "/~",
    "*",
    "/a#b",
    "/\u{e9}",
    "/a\\b",
    "http://a.test/",
    "http://a.test",
    "a.test:80",
    "/a b",
    "/\u{7f}",
    "",
    "/\t",
    "/^`<>",
];
const VERSIONS: [&str; 10] = [
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/1.9",
    "HTTP/2.0",
    "http/1.1",
    "HTTP/1.1 ",
    "HTTP/11",
    "HTTP/0.9",
    "HTTP/1.",
    "",
];
const LINE_ENDS: [&str; 6] = ["\r\n", "\n", "\r", "\r\r\n", "\n\r\n", " \r\n"];
const COLONS: [&str; 9] = [": ", ":", ":  ", ":\t", " : ", " :", "\t:", ":\u{b}", ""];
const HOSTS: [&str; 8] =
    ["a.test", "a.test:80", "", "A.TEST", "a b", "[::1]", "a.test, b.test", "\u{e9}"];
const FIELDS: [(&str, &str); 30] = [
    ("Accept", "*/*"),
    ("X-A", ""),
    ("x-a", "b"),
    ("X_A", "\u{e9}\u{fc}"),
    ("X.A", "a\tb"),
    ("X-A", " \t b \t "),
    ("Connection", "keep-alive"),
    ("Connection", "close"),
    ("Connection", "x, Close"),
    ("Connection", "close\u{e9}"),
    ("Expect", "100-continue"),
    ("TE", "trailers"),
    ("Trailer", "X-Sum"),
    ("Cookie", "a=b; c=d"),
    ("Upgrade", "h2c"),
    ("Host", "b.test"),
    ("X A", "b"),
    ("X\u{e9}", "b"),
    ("", "b"),
    ("X-A", "a\u{0}b"),
    ("X-A", "a\u{c}"),
    ("X-A", "a\u{7f}"),
    ("X-A", "a\rb"),
    ("X-A", "a\r\n b"),
    ("X-A", "a\n b: c"),
    (" X-A", "b"),
    ("X(A)", "b"),
    ("Content_Length", "3"),
    ("Transfer_Encoding", "chunked"),
    ("X-Long", "llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll"),
];
const LENGTHS: [&str; 12] = [
    "+",
    "-1",
    "0x3",
    "3 3",
    "3,3",
    "3, 4",
    " ",
    "3;",
    "03",
    "99999999999999999999",
    "9223372036854775808",
    "\u{b}3",
];
const CODINGS: [&str; 12] = [
    "Chunked",
    "CHUNKED ",
    "xchunked",
    "chunked, chunked",
    "gzip, chunked",
    "chunked, gzip",
    "identity",
    "chunked,",
    ",chunked",
    "\u{b}chunked",
    "\"chunked\"",
    "chunked;q=1",
];
const EXTENSIONS: [&str; 10] = ["", "", "", ";a", ";a=\"b\"", " ;a", "  ", ";a\n", "\t", ";\u{0}"];
const TRAILERS: [&str; 10] = [
    "",
    "",
    "X-Sum: 1\r\n",
    "X-Sum: 1\r\nx-sum: 2\r\n",
    "Content-Length: 9\r\n",
    "X-Sum: 1\n",
    "X\r\n",
    " X: 1\r\n",
    "X: 1\r\n 2\r\n",
    "X : 1\r\n",
];
const NASTY: &[u8] = b"\r\n\r\n  \t:;,#/?%0123456789abcdefGPTHC\0\x0b\x0c\x7f\x80\xff\"'()*+-._";

/// One to three requests, some with bytes changed, and sometimes something behind them.
pub(crate) fn script(dice: &mut Dice) -> Vec<u8> {
    let mut script = Vec::new();
    if dice.one_in(40) {
        script.extend_from_slice(dice.of(&LINE_ENDS).as_bytes());
    }
    let is_odd = dice.one_in(2);
    for _ in 0..=dice.below(3) {
        request(dice, is_odd, &mut script);
    }
    if dice.one_in(3) {
        for _ in 0..=dice.below(3) {
            mutate(dice, &mut script);
        }
    }
    script
}

fn request(dice: &mut Dice, is_odd: bool, out: &mut Vec<u8>) {
    let choose = |dice: &mut Dice, choices: &[&'static str]| {
        if is_odd { dice.mostly(choices) } else { choices[0] }
    };
    let method = if is_odd { dice.of(&METHODS) } else { dice.of(&METHODS[..8]) };
    let target = if is_odd { dice.of(&TARGETS) } else { dice.of(&TARGETS[..13]) };
    let mut lines = vec![format!("{method} {target} {}", choose(dice, &VERSIONS))];
    let mut fields = vec![("Host".to_owned(), choose(dice, &HOSTS).to_owned())];
    if is_odd && dice.one_in(20) {
        fields.clear();
    }
    for _ in 0..dice.below(5) {
        let (name, value) = if is_odd { dice.of(&FIELDS) } else { dice.of(&FIELDS[..15]) };
        fields.push((name.to_owned(), value.to_owned()));
    }
    let body = body(dice, is_odd, &mut fields);
    let at = dice.below(fields.len());
    fields.rotate_left(at);
    for (name, value) in fields {
        lines.push(format!("{name}{}{value}", choose(dice, &COLONS)));
    }
    for line in lines {
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(
            if dice.one_in(30) { choose(dice, &LINE_ENDS) } else { "\r\n" }.as_bytes(),
        );
    }
    out.extend_from_slice(choose(dice, &LINE_ENDS).as_bytes());
    out.extend_from_slice(&body);
}

/// A body, and the fields that say how long it is, mostly truly.
fn body(dice: &mut Dice, is_odd: bool, fields: &mut Vec<(String, String)>) -> Vec<u8> {
    let mut length = |dice: &mut Dice, body: &[u8]| {
        let told = match dice.below(if is_odd { 8 } else { 1 }) {
            1 => (body.len() + 1).to_string(),
            2 => dice.of(&LENGTHS).to_owned(),
            _ => body.len().to_string(),
        };
        fields.push(("Content-Length".to_owned(), told));
    };
    match dice.below(5) {
        0 | 1 => Vec::new(),
        2 | 3 => {
            let body = data(dice);
            length(dice, &body);
            if is_odd && dice.one_in(8) {
                length(dice, &body);
            }
            body
        }
        _ => {
            let body = chunks(dice, is_odd);
            let coding = if is_odd && dice.one_in(4) { dice.of(&CODINGS) } else { "chunked" };
            if is_odd && dice.one_in(6) {
                length(dice, &body);
            }
            fields.push(("Transfer-Encoding".to_owned(), coding.to_owned()));
            if is_odd && dice.one_in(10) {
                fields.push(("Transfer-Encoding".to_owned(), "chunked".to_owned()));
            }
            body
        }
    }
}

/// Bytes that may look like anything.
fn data(dice: &mut Dice) -> Vec<u8> {
    match dice.below(3) {
        0 => b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n".to_vec(),
        1 => b"0\r\n\r\n".to_vec(),
        _ => (0..dice.below(50)).map(|_| dice.of(NASTY)).collect(),
    }
}

fn chunks(dice: &mut Dice, is_odd: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..dice.below(4) {
        let data = [data(dice), vec![b'x']].concat();
        let size = match dice.below(if is_odd { 6 } else { 3 }) {
            1 => format!("{:X}", data.len()),
            2 => format!("{:04x}", data.len()),
            3 => format!("{:x}", data.len() + dice.below(2)),
            4 => format!("{}{:x}", dice.of(&["+", "0x", " ", "-", "", "\u{0}"]), data.len()),
            _ => format!("{:x}", data.len()),
        };
        let extension = if is_odd { dice.of(&EXTENSIONS) } else { dice.of(&EXTENSIONS[..7]) };
        out.extend_from_slice(format!("{size}{extension}\r\n").as_bytes());
        out.extend_from_slice(&data);
        out.extend_from_slice(if is_odd { dice.mostly(&LINE_ENDS) } else { "\r\n" }.as_bytes());
    }
    let last = if is_odd { dice.mostly(&["0", "00", "0;a", "-0", ""]) } else { "0" };
    let trailers = if is_odd { dice.of(&TRAILERS) } else { dice.of(&TRAILERS[..5]) };
    out.extend_from_slice(format!("{last}\r\n{trailers}").as_bytes());
    out.extend_from_slice(if is_odd { dice.mostly(&LINE_ENDS) } else { "\r\n" }.as_bytes());
    out
}

fn mutate(dice: &mut Dice, script: &mut Vec<u8>) {
    if script.is_empty() {
        return;
    }
    let at = dice.below(script.len());
    match dice.below(6) {
        0 => script[at] = dice.of(NASTY),
        1 => script[at] ^= 1 << dice.below(8),
        2 => script.insert(at, dice.of(NASTY)),
        3 => {
            script.remove(at);
        }
        4 => {
            let end = (at + 1 + dice.below(20)).min(script.len());
            let piece = script[at..end].to_vec();
            let to = dice.below(script.len());
            script.splice(to..to, piece);
        }
        _ => script.truncate(at),
    }
}
