use proptest::prelude::*;

use super::*;

/// A body, its trailers, and what was left over.
type Decoded = (Vec<u8>, Option<HeaderMap>, Vec<u8>);

/// Feeds `wire` in pieces of `step` bytes.
fn decode(wire: &[u8], step: usize) -> Result<Decoded, Problem> {
    let (mut decoder, mut buffer) = (Decoder::default(), BytesMut::new());
    let (mut body, mut trailers) = (Vec::new(), None);
    for piece in wire.chunks(step.max(1)) {
        buffer.extend_from_slice(piece);
        while let Some(piece) = decoder.next(&mut buffer)? {
            match piece {
                Piece::Data(data) => body.extend_from_slice(&data),
                Piece::Trailers(found) => trailers = Some(found),
                Piece::End => break,
            }
        }
    }
    if !decoder.is_over() {
        return Err(Problem::HeadTooLong); // Stands for "not over yet" in these tests.
    }
    Ok((body, trailers, buffer.to_vec()))
}

#[test]
fn chunks_extensions_and_trailers_come_apart_however_they_are_cut() {
    let wire =
        b"5\r\nhello\r\n00A;name=\"v\"\r\n, chunked!\r\n0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\nNEXT";
    for step in 1..=wire.len() {
        let (body, trailers, rest) = decode(wire, step).unwrap();
        assert_eq!(body, b"hello, chunked!");
        assert_eq!(trailers.unwrap().get_all("x-sum").iter().count(), 2);
        // Later pieces are appended behind the end, where nobody takes them.
        assert_eq!(rest, b"NEXT");
    }
    assert_eq!(decode(LAST_CHUNK, 1).unwrap(), (vec![], None, vec![]));
    assert_eq!(decode(b"1  \r\nx\r\n0\r\n\r\n", 1).unwrap().0, b"x");
}

#[test]
fn t21_what_is_no_chunk_is_refused() {
    for bad in [
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "+1\r\nx\r\n",
        "0x1\r\nx\r\n",
        " 1\r\nx\r\n",
        "1\nx\n0\n\n",
        "1\rx",
        "1;a\nb\r\nx\r\n",
        "1;a\rb\r\nx\r\n",
        "1 2\r\nx\r\n",
        "1\r\nxx\r\n",
        "1\r\nx\n0\r\n\r\n",
        "1\r\nx0\r\n\r\n",
        "ffffffffffffffff1\r\nx",
        "1;\0\r\nx\r\n",
        "0\r\na b\r\n\r\n",
        "0\r\n: x\r\n\r\n",
        "0\r\na: b\r\n c\r\n\r\n",
        "0\r\na: b\nc: d\r\n\r\n",
        "0\r\na: b\n\r\n",
        "0\r\na: b\r\n\n",
        "0\r\n\n",
    ] {
        for step in [1, 1000] {
            assert_eq!(decode(bad.as_bytes(), step), Err(Problem::BadChunk), "{bad:?} by {step}");
        }
    }
    let endless = [&b"1;"[..], &[b'x'; 5000]].concat();
    assert_eq!(decode(&endless, 100), Err(Problem::BadChunk));
    let extended =
        b"1;".iter().chain(&[b'x'; 500]).chain(b"\r\nx\r\n").copied().collect::<Vec<u8>>();
    assert_eq!(decode(&extended.repeat(20), 100), Err(Problem::BadChunk));
    let endless = [&b"0\r\na: "[..], &[b'x'; 20_000]].concat();
    assert_eq!(decode(&endless, 100), Err(Problem::BadChunk));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(
        chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..8),
        step in 1..64_usize,
        has_trailer in any::<bool>(),
    ) {
        let mut wire = BytesMut::new();
        for chunk in &chunks {
            write_size(&mut wire, chunk.len());
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(CHUNK_END);
        }
        let mut sent = HeaderMap::new();
        if has_trailer {
            sent.insert("x-sum", HeaderValue::from_static("abc"));
            write_trailers(&mut wire, &sent);
        } else {
            wire.extend_from_slice(LAST_CHUNK);
        }
        let (body, trailers, rest) = decode(&wire, step).unwrap();
        prop_assert_eq!(body, chunks.concat());
        prop_assert_eq!(trailers.unwrap_or_default(), sent);
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn nothing_sent_panics_and_cuts_change_no_verdict(
        wire in "[0-9a-f;x \r\n:]{0,60}", step in 1..8_usize,
    ) {
        let whole = decode(wire.as_bytes(), 1000);
        let cut = decode(wire.as_bytes(), step);
        prop_assert_eq!(whole, cut);
    }
}
