//! Control messages on the wire: one JSON object per line, at most 64 KiB.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Longest line, its newline included. A whole state with a hundred ports takes 6 KiB.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// The next line without its newline; `None` at the end of the stream. Not cancel-safe.
///
/// # Errors
/// When the line is too long, breaks off, or the stream fails.
pub async fn next_line(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    from.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) if line.len() as u64 + 1 >= LINE_BYTES_MAX => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "control line is over 64 KiB"))
        }
        Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_end_with_a_newline_and_are_bounded() {
        let mut input = &b"{}\n{\"a\":1}\n"[..];
        assert_eq!(next_line(&mut input).await.unwrap().as_deref(), Some(&b"{}"[..]));
        assert_eq!(next_line(&mut input).await.unwrap().as_deref(), Some(&b"{\"a\":1}"[..]));
        assert_eq!(next_line(&mut input).await.unwrap(), None);
        let cut = next_line(&mut &b"{\"a\""[..]).await.unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
        let long = vec![b'x'; 1 << 20];
        let error = next_line(&mut &long[..]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
