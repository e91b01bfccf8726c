#!/usr/bin/env bash
# Prometheus 2.42 (Debian 12): its server and its promtool disagree on what a gauge histogram is called. OpenMetrics calls the type
# `gaugehistogram`. The server takes that in an OpenMetrics answer, and refuses the whole scrape for `gauge_histogram`; `promtool check
# metrics` refuses `gaugehistogram`, and takes `gauge_histogram`, which no format has.
#
# Expected: what promtool passes is scraped, and what is scraped passes promtool.
# Seen, for `# TYPE x …` over one histogram with _gcount and _gsum:
#                      promtool check metrics         scraped as OpenMetrics      scraped as text 0.0.4
#   gaugehistogram     unknown metric type            up 1                        up 0, invalid metric type
#   gauge_histogram    taken                          up 0, invalid metric type   up 0, invalid metric type
#
# What follows: a histogram that may go down has the type gaugehistogram in OpenMetrics alone, and is a plain histogram in the older text
# format; promtool looks at the older one, and a real server at both.
# Needs: apt (Debian 12), python3. A server and its target on loopback, their ports the kernel's.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq prometheus=2.42.0+ds-5+deb12u1
dpkg -x prometheus_*.deb root
cat >run.py <<'EOF'
import contextlib, http.server, json, socket, subprocess, threading, time, urllib.request

BIN = "root/usr/bin/"
TEXT = "text/plain; version=0.0.4"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
BODY = '# HELP x Things.\n# TYPE x %s\nx_bucket{le="1"} 1\nx_bucket{le="+Inf"} 2\nx_gcount 2\nx_gsum 3\n'
PAGES = {f"/{name}/{kind}": (BODY % name, form) for name in ["gaugehistogram", "gauge_histogram"]
         for kind, form in [("open", OPEN), ("text", TEXT)]}


class Target(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body, form = PAGES[self.path]
        body = (body + ("# EOF\n" if form == OPEN else "")).encode()
        self.send_response(200)
        self.send_header("Content-Type", form)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def checked(name):
    done = subprocess.run([BIN + "promtool", "check", "metrics"], input=BODY % name, text=True, capture_output=True, timeout=20)
    said = done.stdout + done.stderr
    return "unknown metric type" if "unknown metric type" in said else "taken" if "error" not in said else said


target = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Target)
threading.Thread(target=target.serve_forever, daemon=True).start()
at = f"127.0.0.1:{target.server_address[1]}"
jobs = [{"job_name": page, "metrics_path": page, "static_configs": [{"targets": [at]}]} for page in PAGES]
with open("prometheus.yml", "w") as file:
    json.dump({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}, file)
with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
    listen = "127.0.0.1:%d" % free.getsockname()[1]
server = subprocess.Popen([BIN + "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=" + listen,
                           "--log.level=error"])
scraped = {}
try:
    for _ in range(300):
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"http://{listen}/api/v1/targets", timeout=5) as answer:
                targets = json.load(answer)["data"]["activeTargets"]
            scraped = {it["scrapePool"]: (it["health"], it["lastError"]) for it in targets}
            if scraped and all(health != "unknown" for health, _ in scraped.values()):
                break
        time.sleep(0.1)
finally:
    server.terminate()
    server.wait(20)
def told(page):
    health, error = scraped.get(page, ("never scraped", ""))
    return (health, "invalid metric type" if "invalid metric type" in error else error)

seen = [(name, checked(name), told(f"/{name}/open"), told(f"/{name}/text")) for name in ["gaugehistogram", "gauge_histogram"]]
print(*seen, sep="\n")
refused = ("down", "invalid metric type")
expected = [("gaugehistogram", "unknown metric type", ("up", ""), refused), ("gauge_histogram", "taken", refused, refused)]
raise SystemExit(0 if seen == expected else f"changed: {expected} was seen")
EOF
python3 run.py
