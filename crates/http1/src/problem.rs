//! Why bytes are no HTTP/1.1 message.

/// What is wrong with a message. With an answer, each means that the connection is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The head breaks the grammar of RFC 9112: a bare line feed, a folded line, a space before a colon.
    #[error("the head is malformed")]
    MalformedHead,
    /// The head of a request has a form that is not read here, though others may: another version, a whole address as
    /// its target, no host or several.
    #[error("the head has another form than those that are read")]
    OtherForm,
    /// The head has more bytes than allowed, whether or not it would ever end.
    #[error("the head has too many bytes")]
    HeadTooLong,
    /// The head has more fields than allowed.
    #[error("the head has too many fields")]
    TooManyFields,
    /// `Content-Length` is no number, or several of them differ.
    #[error("the content length is malformed or contradicts itself")]
    BadContentLength,
    /// A transfer coding other than `chunked` alone, one in an answer of HTTP/1.0, or one in a request with a length.
    #[error("the transfer coding cannot be undone")]
    BadTransferCoding,
    /// The chunked coding breaks its grammar, or its extensions or trailers are too long.
    #[error("the chunked coding is malformed")]
    BadChunk,
}
