//! An app's bytes, read whole and read in pieces: both readings must be the same.

#![no_main]

use bytes::BytesMut;
use http::Method;
use http1::chunked::{Decoder, Piece};
use http1::length::{self, BodyLength};
use http1::response::{self, Head};

const HEAD_BYTES_MAX: usize = 8 * 1024;

libfuzzer_sys::fuzz_target!(|script: &[u8]| {
    let [step, wire @ ..] = script else { return };
    let step = usize::from(*step).max(1);
    let whole = read(wire, wire.len().max(1));
    assert_eq!(whole, read(wire, step), "cuts of {step} change the reading");
});

/// What was read before the bytes ran out or stopped making sense.
#[derive(Debug, Default, PartialEq)]
struct Read {
    status: Option<u16>,
    n_fields: usize,
    body: Vec<u8>,
    n_trailers: usize,
    is_over: bool,
    is_refused: bool,
}

fn read(wire: &[u8], step: usize) -> Read {
    let (mut read, mut buffer, mut body) = (Read::default(), BytesMut::new(), None);
    for piece in wire.chunks(step) {
        buffer.extend_from_slice(piece);
        if take(&mut read, &mut buffer, &mut body).is_err() {
            read.is_refused = true;
        }
        if read.is_refused || read.is_over {
            break;
        }
    }
    read
}

enum Body {
    Exact(u64),
    Chunked(Decoder),
    UntilClose,
}

fn take(
    read: &mut Read,
    buffer: &mut BytesMut,
    body: &mut Option<Body>,
) -> Result<(), http1::Problem> {
    if body.is_none() {
        let Some(head) = response::read_head(buffer, HEAD_BYTES_MAX)? else { return Ok(()) };
        read.status = Some(head.status.as_u16());
        read.n_fields = head.headers.len();
        *body = Some(body_of(&head)?);
    }
    match body.as_mut() {
        Some(Body::Exact(left)) => {
            let n = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
            read.body.extend_from_slice(&buffer.split_to(n));
            *left -= n as u64;
            read.is_over = *left == 0;
        }
        Some(Body::Chunked(decoder)) => {
            while let Some(piece) = decoder.next(buffer)? {
                match piece {
                    Piece::Data(data) => read.body.extend_from_slice(&data),
                    Piece::Trailers(fields) => read.n_trailers = fields.len(),
                    Piece::End => {
                        read.is_over = true;
                        break;
                    }
                }
            }
        }
        Some(Body::UntilClose) | None => read.body.extend_from_slice(&buffer.split()),
    }
    Ok(())
}

fn body_of(head: &Head) -> Result<Body, http1::Problem> {
    let _says_whether_it_may_be_kept = head.keeps_alive();
    let length = length::of_response(&Method::GET, head.status, head.is_http10, &head.headers)?;
    Ok(match length {
        BodyLength::Exact(n) => Body::Exact(n),
        BodyLength::Chunked => Body::Chunked(Decoder::default()),
        BodyLength::UntilClose => Body::UntilClose,
    })
}
