//! Proxies in front of us whose word about their clients counts. Pure.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// Whether a socket's peer is one of the listed proxies.
pub(crate) fn is_front(peer: IpAddr, fronts: &[IpAddr]) -> bool {
    let peer = peer.to_canonical();
    fronts.iter().any(|front| front.to_canonical() == peer)
}

/// The client of a listed proxy: the last address in `X-Forwarded-For` that is none of a listed proxy, since what
/// stands before it is the client's own word. The peer itself, where the field says nothing that can be read.
pub(crate) fn client_ip(peer: IpAddr, headers: &HeaderMap, fronts: &[IpAddr]) -> IpAddr {
    let fields = headers.get_all(X_FORWARDED_FOR).iter().rev();
    let named = fields.flat_map(|field| field.as_bytes().rsplit(|byte| *byte == b','));
    for name in named {
        match address_in(name) {
            None => return peer,
            Some(address) if is_front(address, fronts) => {}
            Some(address) => return address,
        }
    }
    peer
}

/// An address, alone or with a port behind it.
fn address_in(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let alone = text.parse().ok();
    alone.or_else(|| text.parse().ok().map(|with_port: SocketAddr| with_port.ip()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn t03_only_what_listed_proxies_added_counts() {
        let fronts = [ip("10.0.0.1"), ip("10.0.0.2")];
        for (fields, client) in [
            (&["192.0.2.7"][..], "192.0.2.7"),
            (&["6.6.6.6, 192.0.2.7"], "192.0.2.7"),
            (&["6.6.6.6", "192.0.2.7, 10.0.0.2"], "192.0.2.7"),
            (&["6.6.6.6", "192.0.2.7", "10.0.0.2"], "192.0.2.7"),
            (&["192.0.2.7:51234"], "192.0.2.7"),
            (&["[2001:db8::7]:443"], "2001:db8::7"),
            (&["6.6.6.6, unknown"], "10.0.0.1"),
            (&["6.6.6.6,"], "10.0.0.1"),
            (&["10.0.0.2"], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(X_FORWARDED_FOR, HeaderValue::from_static(field));
            }
            assert_eq!(client_ip(ip("10.0.0.1"), &headers, &fronts), ip(client), "{fields:?}");
        }
        assert!(is_front(ip("::ffff:10.0.0.1"), &fronts) && !is_front(ip("10.0.0.3"), &fronts));
    }
}
