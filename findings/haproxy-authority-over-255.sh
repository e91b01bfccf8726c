#!/usr/bin/env bash
# HAProxy 2.6 (Debian 12, 2.6.12): `accept-proxy` closes the connection on a PROXY v2 header whose PP2_TYPE_AUTHORITY (0x02) holds
# more than 255 bytes, whatever the length of the header as a whole.
#
# Expected: the protocol bounds a TLV by its 16-bit length alone and a receiver "must ignore" what it has no use for; other types are
# read over at 16 000 bytes by the same HAProxy (shown below with the type 0x05, UNIQUE_ID left aside, and with 0xE4 of the range
# for experiments). Nothing in the description of `accept-proxy` or `fc_pp_authority` tells of a limit, and nobody here uses the name.
# Seen: 255 bytes -> "HTTP/1.1 200", 256 bytes -> the connection ends without an answer (logged as a bad PROXY header).
#
# What follows: a sender leaves a name of more than 255 bytes out, whatever its own limit for the header.
# Needs: apt (Debian 12), python3. Starts one HAProxy on a port that the kernel chose, on loopback; stops it by pid.
set -euo pipefail
VERSION=2.6.12-1+deb12u4
dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq "haproxy=$VERSION" liblua5.3-0 libopentracing-c-wrapper0 libopentracing1 2>/dev/null \
  || apt-get download -qq "haproxy=$VERSION" liblua5.3-0
for deb in ./*.deb; do dpkg -x "$deb" root; done
export LD_LIBRARY_PATH="$dir/root/usr/lib/x86_64-linux-gnu"
haproxy="$dir/root/usr/sbin/haproxy"
"$haproxy" -v | head -1
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >haproxy.cfg <<EOF
defaults
  mode http
  timeout client 5s
  timeout connect 5s
  timeout server 5s
frontend f
  bind 127.0.0.1:$port accept-proxy
  http-request return status 200
EOF
"$haproxy" -db -f haproxy.cfg 2>haproxy.log &
pid=$!
python3 - "$port" <<'EOF'
import socket, struct, sys, time

port = int(sys.argv[1])
for _ in range(100):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        break
    except OSError:
        time.sleep(0.05)


def answer(kind, length):
    """The status line that a request gets behind a header with one TLV of this type and length."""
    tlv = struct.pack("!BH", kind, length) + b"n" * length
    body = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2") + struct.pack("!HH", 1000, 80) + tlv
    header = b"\r\n\r\n\x00\r\nQUIT\n" + struct.pack("!BBH", 0x21, 0x11, len(body)) + body
    with socket.create_connection(("127.0.0.1", port), 5) as s:
        s.settimeout(5)
        s.sendall(header + b"GET / HTTP/1.0\r\n\r\n")
        try:
            return s.recv(100).split(b"\r\n")[0].decode() or "closed"
        except ConnectionError:
            return "closed"


seen = {(kind, length): answer(kind, length) for kind, length in ((0x02, 255), (0x02, 256), (0xE4, 256), (0xE4, 12000))}
for (kind, length), what in seen.items():
    print(f"TLV 0x{kind:02X} of {length} bytes: {what}")
expected = ["HTTP/1.0 200 OK", "closed", "HTTP/1.0 200 OK", "HTTP/1.0 200 OK"]
expected = [e.replace("1.0", "1.1") for e in expected]
if list(seen.values()) != expected:
    sys.exit(f"changed: expected {expected}")
EOF
