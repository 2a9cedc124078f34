//! What the app does for each path. Everything that is not named is echoed.

use std::io::{Error, ErrorKind, Result, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use testkit::pattern::{self, Digest};

use crate::request::{Reader, Request};
use crate::{listeners, site, websocket};

/// Ticks asked for so far; `/events` sends one event for each.
static TICKS: Mutex<u64> = Mutex::new(0);
static TICKED: Condvar = Condvar::new();

/// What `/range` serves pieces of.
const RANGE_BYTES: u64 = 1000;

/// Serves one connection until one side has enough.
pub(crate) fn serve(stream: TcpStream) {
    let _unheard = stream.set_nodelay(true);
    let mut reader = Reader::with_capacity(256 * 1024, stream);
    loop {
        let Ok(Some(request)) = Request::read(&mut reader) else { return };
        let closes = request.header("connection").is_some_and(|value| value.contains("close"));
        match answer(&request, &mut reader) {
            Ok(true) if !closes => {}
            _ => return,
        }
    }
}

/// Answers one request; false where the connection is used up.
fn answer(request: &Request, reader: &mut Reader) -> Result<bool> {
    if site::recall(request, reader)? {
        return Ok(false);
    }
    match request.path.as_str() {
        "/remember" => {
            site::remember(request, reader)?;
            reply(reader, "text/plain", b"remembered\n")
        }
        "/sh" => shell(request, reader),
        "/log" => log(request, reader),
        "/listen" | "/unlisten" => listen(request, reader),
        "/connect" => connect(request, reader),
        "/tick" => tick(request, reader),
        "/events" => events(request, reader),
        "/poll" => poll(request, reader),
        "/upload" => upload(request, reader),
        "/download" => download(request, reader),
        "/duplex" => duplex(request, reader),
        "/range" => range(request, reader),
        "/raw" => raw(request, reader),
        "/refuse-body" => refuse_body(reader),
        "/ws" => websocket::echo(request, reader),
        "/ws-half-close" => websocket::half_close(request, reader),
        _ => echo(request, reader),
    }
}

/// 200 with a whole body.
fn reply(reader: &mut Reader, kind: &str, body: &[u8]) -> Result<bool> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut whole = head.into_bytes();
    whole.extend_from_slice(body);
    reader.get_mut().write_all(&whole)?;
    Ok(true)
}

/// The head as it came, then the body without its framing, then the trailers, each after a line
/// that says so. HEAD gets the header lines alone.
fn echo(request: &Request, reader: &mut Reader) -> Result<bool> {
    let (body, trailers) = request.whole_body(reader)?;
    let mut out = request.raw.clone();
    out.extend_from_slice(b"--body--\r\n");
    out.extend_from_slice(&body);
    out.extend_from_slice(b"\r\n--trailers--\r\n");
    out.extend_from_slice(&trailers);
    if request.method == "HEAD" {
        let head =
            format!("HTTP/1.1 200 OK\r\nX-App: echo\r\nContent-Length: {}\r\n\r\n", out.len());
        reader.get_mut().write_all(head.as_bytes())?;
        return Ok(true);
    }
    reply(reader, "text/plain", &out)
}

fn shell(request: &Request, reader: &mut Reader) -> Result<bool> {
    let (script, _) = request.whole_body(reader)?;
    let script =
        String::from_utf8(script).map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
    let run = Command::new("/bin/sh").args(["-c", &script]).output()?;
    reply(reader, "text/plain", &[run.stdout, run.stderr].concat())
}

fn log(request: &Request, reader: &mut Reader) -> Result<bool> {
    let (line, _) = request.whole_body(reader)?;
    let line = String::from_utf8_lossy(&line);
    println!("{line}");
    eprintln!("{line}");
    reply(reader, "text/plain", b"logged\n")
}

/// `/listen?port=9000&bind=::1` and `/unlisten?port=9000`.
fn listen(request: &Request, reader: &mut Reader) -> Result<bool> {
    let port = request.number("port").and_then(|port| u16::try_from(port).ok()).unwrap_or(9000);
    if request.path == "/unlisten" {
        let known = listeners::close(port);
        return reply(reader, "text/plain", if known { b"closed\n" } else { b"was not open\n" });
    }
    let bind = request.parameter("bind").unwrap_or("127.0.0.1").to_owned();
    match listeners::open(&bind, port) {
        Ok(()) => reply(reader, "text/plain", b"open\n"),
        Err(error) => reply(reader, "text/plain", format!("failed: {error}\n").as_bytes()),
    }
}

/// `/connect?to=127.0.0.1:80`: whether a connection from in here comes about.
fn connect(request: &Request, reader: &mut Reader) -> Result<bool> {
    let to = request.parameter("to").unwrap_or_default().to_owned();
    let outcome = match TcpStream::connect(&to) {
        Ok(_) => "connected\n".to_owned(),
        Err(error) => format!("failed: {error}\n"),
    };
    reply(reader, "text/plain", outcome.as_bytes())
}

fn tick(request: &Request, reader: &mut Reader) -> Result<bool> {
    request.whole_body(reader)?;
    *TICKS.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    TICKED.notify_all();
    reply(reader, "text/plain", b"ticked\n")
}

/// Server-sent events: one "hello", then one for each tick from now on.
fn events(_request: &Request, reader: &mut Reader) -> Result<bool> {
    let out = reader.get_mut();
    let mut seen = *TICKS.lock().unwrap_or_else(PoisonError::into_inner);
    // No length and no chunks: the stream ends with the connection.
    out.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\
          Connection: close\r\n\r\ndata: hello\n\n",
    )?;
    loop {
        let ticks = TICKS.lock().unwrap_or_else(PoisonError::into_inner);
        let waited =
            TICKED.wait_timeout_while(ticks, Duration::from_secs(1), |ticks| *ticks == seen);
        let now = *waited.unwrap_or_else(PoisonError::into_inner).0;
        if now == seen {
            // A comment finds out whether anyone still listens.
            out.write_all(b": still here\n\n")?;
        }
        while seen < now {
            seen += 1;
            out.write_all(format!("data: tick {seen}\n\n").as_bytes())?;
        }
    }
}

/// `/poll?tick=3`: answers once there have been so many ticks; with `begin=now` the head goes out at once.
fn poll(request: &Request, reader: &mut Reader) -> Result<bool> {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n";
    let wanted = request.number("tick").unwrap_or(1);
    let begins_now = request.parameter("begin") == Some("now");
    let out = reader.get_mut();
    if begins_now {
        out.write_all(HEAD)?;
    }
    let ticks = TICKS.lock().unwrap_or_else(PoisonError::into_inner);
    drop(TICKED.wait_while(ticks, |ticks| *ticks < wanted));
    out.write_all(if begins_now { b"" } else { HEAD })?;
    out.write_all(b"ticked\n")?;
    Ok(true)
}

fn upload(request: &Request, reader: &mut Reader) -> Result<bool> {
    let mut digest = Digest::new();
    let mut n_bytes = 0;
    let trailers = request.read_body(reader, |bytes| {
        digest.update(bytes);
        n_bytes += bytes.len();
        Ok(())
    })?;
    let trailers = String::from_utf8_lossy(&trailers);
    let said = serde_json::json!({"bytes": n_bytes, "sha256": digest.hex(), "trailers": trailers});
    reply(reader, "application/json", said.to_string().as_bytes())
}

/// `?bytes=N`: the pattern with a length; `&chunked=1`: in chunks, with its digest as a trailer.
fn download(request: &Request, reader: &mut Reader) -> Result<bool> {
    let n_bytes = request.number("bytes").unwrap_or(0);
    let out = reader.get_mut();
    if request.parameter("chunked").is_none() {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {n_bytes}\r\n\r\n"
        );
        out.write_all(head.as_bytes())?;
        pattern::each_block(n_bytes, |bytes| out.write_all(bytes))?;
        return Ok(true);
    }
    out.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTrailer: X-Digest\r\n\
          Transfer-Encoding: chunked\r\n\r\n",
    )?;
    let mut digest = Digest::new();
    pattern::each_block(n_bytes, |bytes| {
        digest.update(bytes);
        write_chunk(out, bytes)
    })?;
    out.write_all(format!("0\r\nX-Digest: {}\r\n\r\n", digest.hex()).as_bytes())?;
    Ok(true)
}

fn write_chunk(out: &mut TcpStream, bytes: &[u8]) -> Result<()> {
    let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
    framed.extend_from_slice(bytes);
    framed.extend_from_slice(b"\r\n");
    out.write_all(&framed)
}

/// Sends every piece of a chunked body back before it reads the next, then counts in a trailer.
fn duplex(request: &Request, reader: &mut Reader) -> Result<bool> {
    let mut out = reader.get_ref().try_clone()?;
    out.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTrailer: X-Received\r\n\
          Transfer-Encoding: chunked\r\n\r\n",
    )?;
    let mut n_bytes = 0;
    request.read_body(reader, |bytes| {
        n_bytes += bytes.len();
        write_chunk(&mut out, bytes)
    })?;
    out.write_all(format!("0\r\nX-Received: {n_bytes}\r\n\r\n").as_bytes())?;
    Ok(true)
}

/// `Range: bytes=A-B` over a thousand digits.
fn range(request: &Request, reader: &mut Reader) -> Result<bool> {
    let all: Vec<u8> = b"0123456789".repeat(100);
    let asked = request.header("range").and_then(|value| value.strip_prefix("bytes="));
    let bounds = asked.and_then(|pair| pair.split_once('-'));
    let bounds = bounds.and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    let Some((from, to)): Option<(usize, usize)> = bounds else {
        return reply(reader, "text/plain", &all);
    };
    let Some(piece) = all.get(from..=to) else {
        let head = format!(
            "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */{RANGE_BYTES}\r\nContent-Length: 0\r\n\r\n"
        );
        reader.get_mut().write_all(head.as_bytes())?;
        return Ok(true);
    };
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nAccept-Ranges: bytes\r\n\
         Content-Range: bytes {from}-{to}/{RANGE_BYTES}\r\nContent-Length: {}\r\n\r\n",
        piece.len()
    );
    reader.get_mut().write_all(&[head.as_bytes(), piece].concat())?;
    Ok(true)
}

/// Answers with exactly the bytes of the body, or of `?hex=`, and closes: any misbehaviour at all.
fn raw(request: &Request, reader: &mut Reader) -> Result<bool> {
    let (mut bytes, _) = request.whole_body(reader)?;
    if let Some(hex) = request.parameter("hex") {
        let pairs = hex.as_bytes().chunks(2).map(std::str::from_utf8);
        bytes = pairs.filter_map(|pair| u8::from_str_radix(pair.ok()?, 16).ok()).collect();
    }
    reader.get_mut().write_all(&bytes)?;
    Ok(false)
}

/// Says no to `Expect: 100-continue` without reading the body.
fn refuse_body(reader: &mut Reader) -> Result<bool> {
    reader.get_mut().write_all(
        b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 8\r\n\r\ntoo big\n",
    )?;
    Ok(false)
}
