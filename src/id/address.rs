//! Where a call came from.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::text::Text;

/// How CloudTrail writes that a call was made inside AWS.
const AWS_INTERNAL: &str = "AWS Internal";

/// Where a call came from, as `sourceIPAddress` tells it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Address {
    /// A legal IPv4 or IPv6 address.
    Ip(IpAddr),
    /// An AWS service, by its name (`ec2.amazonaws.com`, `AWS Internal`).
    Service(Text),
    /// Anything else, kept as text: masked or illegal addresses, or nothing at all.
    Text(Text),
}

impl Address {
    /// Reads `sourceIPAddress`; what is no legal address stays text.
    #[must_use]
    pub fn read(raw: &str) -> Self {
        match raw.parse() {
            Ok(ip) => Self::Ip(ip),
            Err(_) if raw == AWS_INTERNAL || is_service_name(raw) => Self::Service(Text::clip(raw)),
            Err(_) => Self::Text(Text::clip(raw)),
        }
    }

    /// Whether the call was made inside AWS for somebody: the console does so, and where the
    /// person was is told by other records.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        matches!(self, Self::Service(name) if name.as_str() == AWS_INTERNAL)
    }

    /// What stands instead of an IP address.
    #[must_use]
    pub fn as_name(&self) -> Option<&str> {
        match self {
            Self::Ip(_) => None,
            Self::Service(text) | Self::Text(text) => Some(text.as_str()),
        }
    }

    /// The address as the log wrote it.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Ip(IpAddr::V4(v4)) => Dotted::of(*v4).as_str().to_owned(),
            Self::Ip(ip) => ip.to_string(),
            Self::Service(text) | Self::Text(text) => text.as_str().to_owned(),
        }
    }

    /// The address inside a sentence.
    #[must_use]
    pub fn display(&self) -> String {
        match self.to_text() {
            text if text.is_empty() => "an unknown address".to_owned(),
            text => crate::text::inline(&text),
        }
    }

    /// The network the address stands for: its /24 (IPv4) or /48 (IPv6), which is what a site
    /// or a customer is usually given; a service stands for itself.
    #[must_use]
    pub fn network(&self) -> Network {
        self.cut(24, 48)
    }

    /// The block that the network lies in: its /16 (IPv4) or /32 (IPv6), which is about what a
    /// provider holds in one place. All private addresses are one block, for which of them a
    /// machine has tells nothing about where it stands.
    #[must_use]
    pub fn block(&self) -> Network {
        match self.plain_ip() {
            Some(IpAddr::V4(v4)) if v4.is_private() => Network("private".into()),
            Some(IpAddr::V6(v6)) if v6.is_unique_local() => Network("private".into()),
            _ => self.cut(16, 32),
        }
    }

    /// The address, an IPv4 one that is mapped into IPv6 as what it is.
    #[must_use]
    pub fn plain_ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(ip.to_canonical()),
            Self::Service(_) | Self::Text(_) => None,
        }
    }

    fn cut(&self, v4_bits: u8, v6_bits: u8) -> Network {
        let Some(ip) = self.plain_ip() else { return Network(self.to_text().into()) };
        if let IpAddr::V4(v4) = ip {
            return Network(Dotted::network(v4, v4_bits).as_str().into());
        }
        let network = IpNet::new(ip, v6_bits).map(|net| net.trunc().to_string());
        Network(network.unwrap_or_else(|_| ip.to_string()).into())
    }
}

/// An IPv4 address or network as text. Several are made of each call, for which the formatting of
/// the standard library takes several times as long.
#[derive(Default)]
struct Dotted {
    bytes: [u8; "255.255.255.255/32".len()],
    length: usize,
}

impl Dotted {
    fn of(address: Ipv4Addr) -> Self {
        let mut text = Self::default();
        let [first, rest @ ..] = address.octets();
        text.push_number(first);
        for octet in rest {
            text.push(b".");
            text.push_number(octet);
        }
        text
    }

    /// The network of so many bits, 32 at most, that an address lies in: `198.51.100.0/24`.
    fn network(address: Ipv4Addr, bits: u8) -> Self {
        let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
        let mut text = Self::of(Ipv4Addr::from_bits(address.to_bits() & mask));
        text.push(b"/");
        text.push_number(bits);
        text
    }

    fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if let Some(place) = self.bytes.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
            self.length = end;
        }
    }

    fn push_number(&mut self, number: u8) {
        let digits = [100, 10, 1].map(|unit| b'0' + number / unit % 10);
        match (number, &digits) {
            (100.., all) => self.push(all),
            (10.., [_, two @ ..]) => self.push(two),
            (_, [.., one]) => self.push(&[*one]),
        }
    }
}

/// Whether `raw` is the name of an AWS service, in any partition.
#[must_use]
pub fn is_service_name(raw: &str) -> bool {
    let host = raw.strip_suffix(".cn").unwrap_or(raw);
    host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".aws.internal")).is_some_and(
        |name| {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        },
    )
}

/// A source network, made by [`Address::network`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Network(SmolStr);

impl Network {
    /// The network as text: `198.51.100.0/24`, `2001:db8::/48`, `ec2.amazonaws.com`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The network as text that others may share.
    #[must_use]
    pub fn to_text(&self) -> SmolStr {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_coarse_and_odd_addresses_stay_text() {
        for (raw, network) in [
            ("198.51.100.7", "198.51.100.0/24"),
            ("2001:db8:1:2::3", "2001:db8:1::/48"),
            ("::ffff:198.51.100.7", "198.51.100.0/24"),
            ("ec2.amazonaws.com", "ec2.amazonaws.com"),
            ("AWS Internal", "AWS Internal"),
            ("06.237.252.245", "06.237.252.245"),
            ("30.*.0.210", "30.*.0.210"),
            ("", ""),
        ] {
            assert_eq!(Address::read(raw).network().as_str(), network);
        }
        for (raw, block) in [
            ("198.51.100.7", "198.51.0.0/16"),
            ("2001:db8:1:2::3", "2001:db8::/32"),
            ("10.1.2.3", "private"),
            ("192.168.1.1", "private"),
            ("::ffff:10.0.0.1", "private"),
            ("fd00::1", "private"),
            ("ec2.amazonaws.com", "ec2.amazonaws.com"),
        ] {
            assert_eq!(Address::read(raw).block().as_str(), block);
        }
        assert!(matches!(Address::read("lambda.amazonaws.com"), Address::Service(_)));
        assert!(matches!(Address::read("evil.example.com"), Address::Text(_)));
    }
}
