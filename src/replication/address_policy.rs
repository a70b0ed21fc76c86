//! Which addresses targets may have.
//!
//! A server that others can reach must not become their way to what only it can reach: itself, its link, its private
//! network, the metadata service of its cloud. So every address is looked at when it is about to be connected to, after names
//! were resolved, and again after each redirect.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::settings::{PrivateTargets, Settings};
use super::target::Addresses;

/// Which addresses targets may have.
#[derive(Clone, Debug)]
pub(super) struct AddressPolicy {
    private: PrivateTargets,
    hosts: Vec<String>,
    networks: Vec<IpNet>,
    only_allowed: bool,
}

/// The address of a target is one that this server does not go to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct TargetForbidden(pub(super) String);

/// What an address is reached over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// The internet.
    Public,
    /// This machine alone.
    Loopback,
    /// A link, or a network that is not part of the internet.
    Private,
    /// Nothing: no single machine has it.
    Nothing,
}

impl From<&Settings> for AddressPolicy {
    fn from(settings: &Settings) -> Self {
        let mut policy = AddressPolicy {
            private: settings.private_targets,
            hosts: Vec::new(),
            networks: Vec::new(),
            only_allowed: settings.only_allowed_targets,
        };
        for allowed in &settings.allowed_targets {
            match (allowed.parse::<IpNet>(), literal(allowed)) {
                (Ok(network), _) => policy.networks.push(network.trunc()),
                (Err(_), Some(ip)) => policy.networks.push(ip.into()),
                (Err(_), None) => policy.hosts.push(plain(allowed)),
            }
        }
        policy
    }
}

impl AddressPolicy {
    /// Says whether an address may be connected to. `host` is what the URL calls it: a name, or the address itself.
    pub(super) fn check_ip(&self, host: &str, ip: IpAddr) -> Result<(), TargetForbidden> {
        let address = unwrapped(ip);
        let is_listed =
            self.names(host) || self.networks.iter().any(|network| network.contains(&ip) || network.contains(&address));
        if is_listed {
            return Ok(());
        }
        let shown: String = host.chars().take(255).collect();
        if self.only_allowed {
            return Err(TargetForbidden(format!("{shown} is not one of the targets that the operator allows")));
        }
        let kind = match (reach(address), self.private) {
            (Reach::Public, _)
            | (Reach::Loopback, PrivateTargets::Loopback | PrivateTargets::Allowed)
            | (Reach::Private, PrivateTargets::Allowed) => return Ok(()),
            (Reach::Loopback, PrivateTargets::Refused) => "an address of this machine",
            (Reach::Private, PrivateTargets::Loopback | PrivateTargets::Refused) => "not a public address",
            (Reach::Nothing, _) => "not the address of a machine",
        };
        Err(TargetForbidden(format!("{shown} is at {ip}, which is {kind}; the operator does not allow that")))
    }

    /// Says whether a host may be connected to, as far as that can be told before its name is resolved.
    pub(super) fn check_host(&self, host: &str) -> Result<(), TargetForbidden> {
        match literal(host) {
            Some(ip) => self.check_ip(host, ip),
            // A name may still turn out to be in a network that is allowed.
            None if self.only_allowed && !self.names(host) && self.networks.is_empty() => {
                let shown: String = host.chars().take(255).collect();
                Err(TargetForbidden(format!("{shown} is not one of the targets that the operator allows")))
            }
            None => Ok(()),
        }
    }

    /// Whether the operator allows a host by its name.
    pub(super) fn names(&self, host: &str) -> bool {
        let host = plain(host);
        self.hosts.contains(&host)
    }
}

/// The address that a host is, if it is one: `127.0.0.1`, `::1`, `[::1]`.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

fn plain(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// The address of IPv4 inside of one of IPv6 that stands for it.
fn unwrapped(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        // Mapped, and its translated form; NAT64; 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => v4(high, low),
        // Compatible; `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, high, low] if (high, low) > (0, 1) => v4(high, low),
        _ => ip,
    }
}

fn reach(ip: IpAddr) -> Reach {
    match ip {
        IpAddr::V4(ip) => reach_v4(ip),
        IpAddr::V6(ip) => reach_v6(ip),
    }
}

fn reach_v4(ip: Ipv4Addr) -> Reach {
    // Private networks; links, with the metadata services of clouds; examples.
    if ip.is_private() || ip.is_link_local() || ip.is_documentation() {
        return Reach::Private;
    }
    match ip.octets() {
        [127, ..] => Reach::Loopback,
        // This host, multicast, reserved, and broadcast.
        [0 | 224..=255, ..] => Reach::Nothing,
        // Networks of carriers; protocols; measurements.
        [100, 64..=127, ..] | [192, 0, 0, _] | [198, 18 | 19, ..] => Reach::Private,
        _ => Reach::Public,
    }
}

fn reach_v6(ip: Ipv6Addr) -> Reach {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Loopback,
        // No address, multicast, and what is thrown away.
        [0, 0, 0, 0, 0, 0, 0, 0] | [0xff00..=0xffff, ..] | [0x100, 0, 0, 0, ..] => Reach::Nothing,
        // What is given out is inside of this: all else is unique-local (with metadata services), link, or site.
        [0x2000..=0x3fff, ..] => match ip.segments() {
            // Teredo, which hides another address, other protocols, and examples.
            [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Reach::Private,
            _ => Reach::Public,
        },
        _ => Reach::Private,
    }
}

impl Addresses for AddressPolicy {
    fn allows(&self, host: &str, ip: IpAddr) -> Result<(), String> {
        self.check_ip(host, ip).map_err(|TargetForbidden(problem)| problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(private: PrivateTargets, allowed: &[&str], only: bool) -> AddressPolicy {
        let settings = Settings {
            private_targets: private,
            allowed_targets: allowed.iter().map(|allowed| (*allowed).to_owned()).collect(),
            only_allowed_targets: only,
            ..Settings::default()
        };
        AddressPolicy::from(&settings)
    }

    fn passes(policy: &AddressPolicy, host: &str, ip: &str) -> bool {
        policy.check_ip(host, ip.parse().unwrap()).is_ok()
    }

    const PUBLIC: [&str; 8] = [
        "8.8.8.8",
        "100.128.0.1",
        "172.32.0.1",
        "169.253.1.1",
        "192.0.1.1",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ];
    const LOOPBACK: [&str; 8] = [
        "127.0.0.1",
        "127.255.255.254",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "::ffff:0:127.0.0.1",
    ];
    const PRIVATE: [&str; 19] = [
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "64:ff9b:1::1",
        "fd00:ec2::254",
        "fc00::1",
        "fe80::1",
        "fec0::1",
        "198.18.0.1",
        "192.0.2.1",
        "2001:db8::1",
        "2001:0:1::1",
        "5f00::1",
    ];
    const NOTHING: [&str; 8] =
        ["0.0.0.0", "0.1.2.3", "255.255.255.255", "224.0.0.1", "240.0.0.1", "::", "ff02::1", "::ffff:0.0.0.0"];

    #[test]
    fn what_is_not_public_is_reached_only_as_far_as_the_settings_say() {
        for (private, loopback_passes, private_passes) in [
            (PrivateTargets::Refused, false, false),
            (PrivateTargets::Loopback, true, false),
            (PrivateTargets::Allowed, true, true),
        ] {
            let policy = policy(private, &[], false);
            for (addresses, expected) in [
                (&PUBLIC[..], true),
                (&LOOPBACK[..], loopback_passes),
                (&PRIVATE[..], private_passes),
                (&NOTHING[..], false),
            ] {
                for ip in addresses {
                    assert_eq!(passes(&policy, "registry.example.org", ip), expected, "{ip} under {private:?}");
                }
            }
        }
    }

    #[test]
    fn what_the_operator_lists_is_a_target_whatever_its_address_is() {
        let policy =
            policy(PrivateTargets::Refused, &["Registry.Internal", "10.0.0.0/8", "192.168.7.7", "fd12::/16"], false);
        assert!(passes(&policy, "registry.internal", "192.168.1.1"));
        assert!(passes(&policy, "REGISTRY.INTERNAL.", "127.0.0.1"));
        assert!(passes(&policy, "10.9.9.9", "10.9.9.9"));
        assert!(passes(&policy, "other.internal", "::ffff:10.9.9.9"));
        assert!(passes(&policy, "other.internal", "192.168.7.7"));
        assert!(passes(&policy, "other.internal", "fd12::5"));
        assert!(!passes(&policy, "evil.registry.internal", "192.168.1.1"));
        assert!(!passes(&policy, "other.internal", "192.168.7.8"));
        assert!(passes(&policy, "other.example.org", "8.8.8.8"));
    }

    #[test]
    fn nothing_else_is_a_target_when_the_settings_say_so() {
        let policy = policy(PrivateTargets::Allowed, &["registry.example.org", "10.0.0.0/8"], true);
        assert!(passes(&policy, "registry.example.org", "8.8.8.8"));
        assert!(passes(&policy, "any.example.org", "10.1.1.1"));
        assert!(!passes(&policy, "any.example.org", "8.8.8.8"));
        assert!(policy.check_host("any.example.org").is_ok(), "its address decides");
        assert!(policy.check_host("[::1]").is_err());
        let names_alone = super::tests::policy(PrivateTargets::Allowed, &["registry.example.org"], true);
        assert!(names_alone.check_host("any.example.org").is_err());
        assert!(names_alone.check_host("registry.example.org").is_ok());
    }
}
