//! Addresses that no upstream may have, whatever a team was granted (security RB-8).
//!
//! Documents are held to it when they are checked, and each resolved address once more when it is
//! connected: a name may lead elsewhere by then. The gateway's own listeners are among them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where clouds answer questions about the machine, outside the link-local blocks: AWS by IPv6,
/// Azure, Alibaba, Oracle.
const METADATA: [IpAddr; 4] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

/// Whether `address` is one of these listeners. One that listens on every address of the machine
/// is meant by each of them; `ours` says that an address is the machine's.
pub fn is_listener(
    address: SocketAddr,
    listeners: &[SocketAddr],
    ours: impl Fn(IpAddr) -> bool,
) -> bool {
    let asked = address.ip().to_canonical();
    listeners.iter().any(|listener| {
        let stands = listener.ip().to_canonical();
        listener.port() == address.port()
            && (stands == asked
                || stands.is_unspecified() && stands.is_ipv4() == asked.is_ipv4() && ours(asked))
    })
}

/// Why nobody may be given this address (security RB-8).
pub fn forbidden(address: IpAddr) -> Option<&'static str> {
    let address = address.to_canonical();
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    let nobody = match address {
        // RFC 1122, section 3.2.1.3: "this network"; systems differ in what they do with it.
        IpAddr::V4(address) => address.octets()[0] == 0,
        IpAddr::V6(address) => address.is_unspecified(),
    };
    let many = match address {
        IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_multicast(),
    };
    if link_local || METADATA.contains(&address) {
        Some("the machine's own metadata stand there")
    } else if nobody {
        Some("this is no address of anybody")
    } else if many {
        Some("this is no address of one machine")
    } else {
        None
    }
}
