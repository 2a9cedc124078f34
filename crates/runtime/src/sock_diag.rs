//! The kernel's word on which TCP ports have listeners, over netlink (sock_diag(7)).
//!
//! `/proc/PID/net/tcp` says it too, but only at the end of the machine's whole table of connections, which takes milliseconds
//! where there is much memory; this takes some 20 microseconds.

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

/// `SOCK_DIAG_BY_FAMILY`, the only question asked.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`: all sockets that match.
const DUMP: u16 = 0x1 | 0x300;
/// Kinds of answers: that something failed, that it was all.
const ERROR: u16 = 2;
const DONE: u16 = 3;
const TCP: u8 = 6;
/// A bit for each state of a socket; this is `TCP_LISTEN`'s.
const LISTENING: u32 = 1 << 10;

/// `struct nlmsghdr`, and `struct inet_diag_req_v2` behind it.
const HEADER_BYTES: usize = 16;
const REQUEST_BYTES: usize = HEADER_BYTES + 56;
/// One piece of an answer; the kernel makes them smaller.
const ANSWER_BYTES: usize = 32 * 1024;

/// A socket for such questions about the network namespace that we are in, and about no other.
pub(crate) fn open() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let protocol = Some(netlink::SOCK_DIAG);
    rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)
}

/// Asks over such a socket, one question at a time.
#[derive(Debug)]
pub(crate) struct SockDiag {
    asked: Mutex<Asked>,
}

#[derive(Debug)]
struct Asked {
    socket: OwnedFd,
    /// The last question's; answers repeat it.
    number: u32,
}

impl SockDiag {
    pub(crate) fn over(socket: OwnedFd) -> Self {
        Self { asked: Mutex::new(Asked { socket, number: 0 }) }
    }

    /// Whether something listens on a TCP port, on whatever address.
    ///
    /// # Errors
    /// When the kernel cannot tell: it may lack this (`ENOENT`).
    pub(crate) fn has_listener(&self, port: u16) -> io::Result<bool> {
        // Nothing is half changed by a panic.
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let families = [AddressFamily::INET, AddressFamily::INET6];
        // Both, since an answer is read to its end.
        let found: Vec<bool> = families
            .into_iter()
            .map(|family| asked.ask(family, port))
            .collect::<rustix::io::Result<_>>()?;
        Ok(found.contains(&true))
    }
}

impl Asked {
    fn ask(&mut self, family: AddressFamily, port: u16) -> rustix::io::Result<bool> {
        self.number = self.number.wrapping_add(1);
        let question = question(self.number, family, port);
        rustix::net::send(&self.socket, &question, SendFlags::empty())?;
        let (mut piece, mut found) = ([0; ANSWER_BYTES], false);
        loop {
            // Made as it is read: there is nothing to wait for.
            let (n, _all) = rustix::net::recv(&self.socket, &mut piece, RecvFlags::empty())?;
            for message in messages(&piece[..n]).filter(|it| it.number == self.number) {
                match message.kind {
                    DONE | ERROR => return message.failure().map_or(Ok(found), Err),
                    _ => found = true,
                }
            }
        }
    }
}

/// The kernel looks for the port itself.
fn question(number: u32, family: AddressFamily, port: u16) -> [u8; REQUEST_BYTES] {
    let mut bytes = [0; REQUEST_BYTES];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(0, &u32::try_from(REQUEST_BYTES).unwrap_or_default().to_ne_bytes());
    put(4, &BY_FAMILY.to_ne_bytes());
    put(6, &DUMP.to_ne_bytes());
    put(8, &number.to_ne_bytes());
    put(HEADER_BYTES, &[family.as_raw().to_le_bytes()[0], TCP]);
    put(HEADER_BYTES + 4, &LISTENING.to_ne_bytes());
    // Ports are in the order of the network.
    put(HEADER_BYTES + 8, &port.to_be_bytes());
    // `INET_DIAG_NOCOOKIE`, twice.
    put(REQUEST_BYTES - 8, &[0xff; 8]);
    bytes
}

struct Message<'m> {
    kind: u16,
    number: u32,
    content: &'m [u8],
}

impl Message<'_> {
    /// Of what ends an answer: it begins with the error's number, negative. A kernel that cannot tell says so in a [`DONE`] too.
    fn failure(&self) -> Option<Errno> {
        let number = self.content.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes));
        let number = number.map_or(libc::EPROTO, i32::wrapping_neg);
        (number != 0).then(|| Errno::from_raw_os_error(number))
    }
}

/// The messages of one piece, each behind its length and padded to four bytes.
fn messages(mut piece: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let header: &[u8; HEADER_BYTES] = piece.first_chunk()?;
        let word = |at: usize| {
            u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let length = word(0) as usize;
        let content = piece.get(HEADER_BYTES..length)?;
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        piece = piece.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message { kind, number: word(8), content })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_found_by_the_kernel_whatever_else_there_is() {
        let kernel = SockDiag::over(open().unwrap());
        let listeners: Vec<_> =
            (0..50).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<u16> = listeners.iter().map(|it| it.local_addr().unwrap().port()).collect();
        assert!(ports.iter().all(|port| kernel.has_listener(*port).unwrap()));
        // Who is connected does not listen.
        let connected = std::net::TcpStream::connect(("127.0.0.1", ports[0])).unwrap();
        let own = connected.local_addr().unwrap().port();
        assert!(!kernel.has_listener(own).unwrap());
        drop(listeners);
        assert!(!kernel.has_listener(ports[1]).unwrap());
    }

    #[test]
    fn what_cannot_be_asked_is_an_error_and_the_next_question_is_answered() {
        let kernel = SockDiag::over(open().unwrap());
        let mut asked = kernel.asked.lock().unwrap();
        let none = AddressFamily::from_raw(200);
        assert!(asked.ask(none, 80).is_err());
        drop(asked);
        assert!(kernel.has_listener(0).is_ok());
    }

    #[test]
    fn an_end_tells_whether_it_was_all() {
        let end = |content: &'static [u8]| Message { kind: DONE, number: 1, content }.failure();
        assert_eq!(end(&[0; 4]), None);
        assert_eq!(end(&[]), Some(Errno::PROTO));
        let none = (-libc::ENOENT).to_ne_bytes();
        assert_eq!(Message { kind: DONE, number: 1, content: &none }.failure(), Some(Errno::NOENT));
    }

    #[test]
    fn a_piece_that_is_cut_short_is_read_as_far_as_it_goes() {
        let mut piece = question(7, AddressFamily::INET, 80).to_vec();
        assert_eq!(messages(&piece).map(|it| it.number).collect::<Vec<_>>(), [7]);
        piece.truncate(REQUEST_BYTES - 1);
        assert_eq!(messages(&piece).count(), 0);
        piece[0] = 3;
        assert_eq!(messages(&piece).count(), 0);
        assert_eq!(messages(&[]).count(), 0);
    }
}
