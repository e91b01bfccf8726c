#!/usr/bin/env bash
# HAProxy 2.6 (Debian 12, 2.6.12) as the sender of a PROXY v2 header with PP2_TYPE_SSL (0x20): its field `verify` is 0 for a client that
# gave no certificate, as it is for one whose certificate was verified.
#
# Expected: the protocol (proxy-protocol.txt, 2.2.6) has it zero if the client presented a certificate and it was successfully verified,
# and non-zero otherwise.
# Seen, `verify optional`, one client with a certificate of the CA, the other with none:
#   certificate   flags 0x07 (SSL, CERT_CONN, CERT_SESS)   verify 0   with PP2_SUBTYPE_SSL_CN
#   none          flags 0x01 (SSL)                         verify 0   without it
#
# What follows: a receiver takes a client for verified by the flags CERT_CONN or CERT_SESS and `verify` together. As a sender we write
# what the protocol says: not zero without a certificate.
# Needs: apt (Debian 12), python3, openssl. Starts one HAProxy on loopback, ports the kernel's; stops it by pid.
set -euo pipefail
VERSION=2.6.12-1+deb12u4
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq "haproxy=$VERSION" liblua5.3-0 libopentracing-c-wrapper0 libopentracing1 2>/dev/null \
  || apt-get download -qq "haproxy=$VERSION" liblua5.3-0
for deb in ./*.deb; do dpkg -x "$deb" root; done
for name in server client; do
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$name" -keyout $name.key -out $name.crt 2>/dev/null
done
cat server.crt server.key >server.pem
cat >run.py <<'EOF'
import contextlib, os, socket, ssl, struct, subprocess, time

with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
    port = free.getsockname()[1]
backend = socket.create_server(("127.0.0.1", 0))
backend.settimeout(10)
with open("haproxy.cfg", "w") as file:
    file.write(f"""
defaults
  mode tcp
  timeout client 5s
  timeout connect 5s
  timeout server 5s
frontend f
  bind 127.0.0.1:{port} ssl crt server.pem ca-file client.crt verify optional
  default_backend b
backend b
  server s 127.0.0.1:{backend.getsockname()[1]} send-proxy-v2-ssl-cn
""")
library = os.path.abspath("root/usr/lib/x86_64-linux-gnu")
haproxy = subprocess.Popen(["root/usr/sbin/haproxy", "-db", "-f", "haproxy.cfg"], env={**os.environ, "LD_LIBRARY_PATH": library})


def tlvs(data):
    found = {}
    while data:
        kind, length = struct.unpack(">BH", data[:3])
        found[kind], data = data[3:3 + length], data[3 + length:]
    return found


def connect():
    for _ in range(100):
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        time.sleep(0.1)
    raise SystemExit("HAProxy does not listen")


def told(certificate):
    """Flags, verify and the name that the header has of a client with this certificate, or with none."""
    context = ssl.create_default_context(cafile="server.crt")
    context.check_hostname = False
    if certificate:
        context.load_cert_chain("client.crt", "client.key")
    with context.wrap_socket(connect()) as client:
        client.send(b"x")
        accepted, _ = backend.accept()
        with accepted:
            start = accepted.recv(16, socket.MSG_WAITALL)
            rest = accepted.recv(struct.unpack(">H", start[14:])[0], socket.MSG_WAITALL)
    of_ssl = tlvs(rest[{1: 12, 2: 36}[start[13] >> 4]:])[0x20]
    flags, verify = struct.unpack(">BI", of_ssl[:5])
    return flags, verify, tlvs(of_ssl[5:]).get(0x22)


try:
    seen = [told(True), told(False)]
finally:
    haproxy.terminate()
    haproxy.wait(10)
print(*seen, sep="\n")
expected = [(7, 0, b"client"), (1, 0, None)]
raise SystemExit(0 if seen == expected else f"changed: {expected} was seen")
EOF
python3 run.py
