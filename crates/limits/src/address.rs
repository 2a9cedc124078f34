//! What counts as one address.

use std::net::{IpAddr, Ipv6Addr};

/// Bits of an IPv6 address that name a network; within it a host chooses its own addresses (RFC 4291 section 2.5.1).
const NETWORK_BITS: u32 = 64;

/// An address of IPv4, or a network of IPv6: who has one address of it has them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressKey(u128);

impl From<IpAddr> for AddressKey {
    fn from(address: IpAddr) -> Self {
        let bits = match address.to_canonical() {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) if address.is_loopback() => Ipv6Addr::LOCALHOST.to_bits(),
            IpAddr::V6(address) => address.to_bits() >> NETWORK_BITS << NETWORK_BITS,
        };
        Self(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(address: &str) -> AddressKey {
        address.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn an_address_is_one_a_network_of_version_6_too() {
        assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
        assert_eq!(key("10.0.0.1"), key("::ffff:10.0.0.1"));
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_ne!(key("::1"), key("::2"));
    }
}
