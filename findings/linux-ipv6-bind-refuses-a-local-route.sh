#!/usr/bin/env bash
# Linux: `bind` to an address that no interface has, but that a local route covers (`ip route add local PREFIX dev lo`, the usual way to
# let one machine use a whole prefix as sources), works for IPv4 and fails for IPv6.
#
# Expected: the two families agree, as they do in delivering what is sent to such an address.
# Seen (kernel 6.18; python3 and iproute2 of the system): IPv4 binds; IPv6 says EADDRNOTAVAIL, and binds with IPV6_FREEBIND alone.
#
# What follows: sources that are given as a network are bound with IP_FREEBIND / IPV6_FREEBIND, not only where nonlocal binding is meant.
# Needs: python3, iproute2, and the right to make a network namespace. Nothing leaves it.
set -euo pipefail
unshare --net bash -euo pipefail <<'NS'
ip link set lo up
ip route add local 192.0.2.0/24 dev lo
ip -6 route add local 2001:db8:1::/64 dev lo
python3 - <<'PY'
import errno, platform, socket

IPV6_FREEBIND, IPPROTO_IPV6 = 78, 41

def bound(family, address, freebind=False):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        if freebind:
            s.setsockopt(IPPROTO_IPV6, IPV6_FREEBIND, 1)
        try:
            s.bind((address, 0))
            return "bound"
        except OSError as error:
            return errno.errorcode[error.errno]

def delivered(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", 0))
        listener.listen(1)
        with socket.create_connection((address, listener.getsockname()[1]), timeout=5):
            return "delivered"

seen = [
    bound(socket.AF_INET, "192.0.2.77"),
    bound(socket.AF_INET6, "2001:db8:1::77"),
    bound(socket.AF_INET6, "2001:db8:1::77", freebind=True),
    delivered(socket.AF_INET, "192.0.2.77"),
    delivered(socket.AF_INET6, "2001:db8:1::77"),
]
print(platform.release(), seen)
expected = ["bound", "EADDRNOTAVAIL", "bound", "delivered", "delivered"]
raise SystemExit(0 if seen == expected else f"changed: {expected} was seen")
PY
NS
