#!/usr/bin/env bash
# Python 3.11 (urllib over ssl) and Wget 1.21 of Debian 12: a server that ends as TLS wants it, with close_notify and FIN behind a whole
# answer, has its connection reset by every good request; one that leaves close_notify out sees a clean end. curl 7.88 does not reset.
#
# Expected: RFC 8446, 6.1 has each side say close_notify before it closes, so the server that does so sees the clean ends.
# Seen, 20 requests each, all answered whole (exit status 0, every byte), the server reading until the client's end:
#   the server does                                        Python        Wget          curl
#   answer, close_notify, FIN                              ECONNRESET    ECONNRESET    close_notify, FIN
#   answer, FIN (no close_notify)                          FIN           FIN           close_notify, FIN
#   answer, and waits for the client's end                 FIN           FIN           close_notify, FIN
#   answer, close_notify once the client has closed        ENOTCONN of its shutdown, for all three; then as in the line above
# Python and Wget close when they have Content-Length bytes. close_notify is then unread in their kernel, for which Linux sends a reset
# instead of a FIN (RFC 2525, 2.17). curl reads once more before it closes. A close_notify that comes later still finds nobody, whoever the
# client was, and is answered by a reset: so a server whose own end comes a few milliseconds behind the answer sees one now and then.
#
# What follows: behind a TLS server a reset is no sign of a failed request. Count it as one only if a part of the answer was not
# acknowledged; do not leave close_notify out to have fewer resets, for a cut answer would look like a whole one.
# Needs: apt (Debian 12, with what curl, wget and python3 need besides), python3, openssl. A server on loopback, its port the kernel's.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
CURL=7.88.1-10+deb12u15 WGET=1.21.3-1+deb12u1 PYTHON=3.11.2-6+deb12u9 OPENSSL=3.0.22-1~deb12u2 GNUTLS=3.7.9-2+deb12u7
apt-get download -qq "curl=$CURL" "libcurl4=$CURL" "wget=$WGET" "python3.11-minimal=$PYTHON" "libpython3.11-minimal=$PYTHON" \
  "libpython3.11-stdlib=$PYTHON" "libssl3=$OPENSSL" "libgnutls30=$GNUTLS"
for deb in ./*.deb; do dpkg -x "$deb" root; done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
  -keyout key.pem -out cert.pem 2>/dev/null
cat >get.py <<'EOF'
import ssl, sys, urllib.request

context = ssl.create_default_context(cafile="cert.pem")
sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1], context=context).read())
EOF
cat >server.py <<'EOF'
import collections, errno, glob, os, select, socket, ssl, subprocess, sys

TRIES, BODY = 20, b"whole\n" * 100
BIN = "root/usr/bin/"
CLIENTS = {
    "Python": [BIN + "python3.11", "get.py"],
    "Wget": [BIN + "wget", "--no-config", "--no-proxy", "-q", "-O", "-", "--ca-certificate=cert.pem"],
    "curl": [BIN + "curl", "-q", "--noproxy", "*", "-sS", "--cacert", "cert.pem"],
}
environment = {
    "LD_LIBRARY_PATH": os.path.abspath(glob.glob("root/usr/lib/*-linux-gnu")[0]),
    "PYTHONHOME": os.path.abspath("root/usr"),
    "LC_ALL": "C",
}
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("cert.pem", "key.pem")
listener = socket.create_server(("127.0.0.1", 0))
listener.settimeout(20)
url = f"https://localhost:{listener.getsockname()[1]}/"


def serve(s, manner):
    """Answers a request, ends in this manner, and says what was seen from then on until the client's end."""
    come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(come, go, server_side=True)

    def until_done(step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                s.sendall(go.read())
                come.write(s.recv(65536) or sys.exit("a client ended before it was answered"))

    until_done(tls.do_handshake)
    request = b""
    while b"\r\n\r\n" not in request:
        request += until_done(lambda: tls.read(65536))
    tls.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(BODY) + BODY)
    if manner in ("close_notify late", "client first"):
        s.sendall(go.read())
    if manner == "close_notify late":
        # Its FIN has come, and nothing of what it said is read.
        ended = select.poll()
        ended.register(s, select.POLLRDHUP)
        ended.poll(10_000) or sys.exit("a client that was answered does not close")
    if manner in ("close_notify", "close_notify late"):
        try:
            tls.unwrap()
        except ssl.SSLWantReadError:
            pass
    seen = []
    if manner != "client first":
        s.sendall(go.read())
        try:
            s.shutdown(socket.SHUT_WR)
        except OSError as error:
            # Of a client that was quicker in resetting than this call the reading tells.
            seen += [errno.errorcode[error.errno]] if manner == "close_notify late" else []
    while True:
        try:
            data = s.recv(65536)
        except OSError as error:
            return ", ".join(seen + [errno.errorcode[error.errno]])
        if not data:
            return ", ".join(seen + ["FIN"])
        come.write(data)
        try:
            seen.append("close_notify" if not tls.read(65536) else "data")
        except ssl.SSLZeroReturnError:
            seen.append("close_notify")
        except ssl.SSLWantReadError:
            pass


def tried(manner, command):
    client = subprocess.Popen(command + [url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    try:
        s, _ = listener.accept()
        with s:
            s.settimeout(10)
            seen = serve(s, manner)
        answer, said = client.communicate(timeout=10)
    finally:
        client.kill()
    whole = client.returncode == 0 and answer == BODY
    return seen if whole else f"{seen}; NOT WHOLE: {client.returncode} {said[-200:]}"


for name in CLIENTS:
    version = subprocess.run(CLIENTS[name][:1] + ["--version"], capture_output=True, env=environment, text=True, check=True)
    print(version.stdout.splitlines()[0].split(" (")[0])
expected = {
    "close_notify": ["ECONNRESET", "ECONNRESET", "close_notify, FIN"],
    "FIN alone": ["FIN", "FIN", "close_notify, FIN"],
    "client first": ["FIN", "FIN", "close_notify, FIN"],
    "close_notify late": ["ENOTCONN, FIN", "ENOTCONN, FIN", "ENOTCONN, close_notify, FIN"],
}
changed = False
for manner, ends in expected.items():
    for (name, command), end in zip(CLIENTS.items(), ends):
        seen = collections.Counter(tried(manner, command) for _ in range(TRIES))
        print(f"{manner:17} {name:6} " + "; ".join(f"{count} x {what}" for what, count in seen.items()), flush=True)
        changed |= seen != {end: TRIES}
if changed:
    sys.exit(f"changed: expected {expected}")
EOF
timeout 300 python3 server.py
