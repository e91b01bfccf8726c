#!/usr/bin/env bash
# Postfix 3.7 (Debian 12, 3.7.11): with `inet_protocols = ipv4` a PROXY header that names an IPv6 client is answered
# "421 4.3.0 … Server local error", although the connection itself is IPv4 and postscreen/smtpd never open a socket of that family.
#
# Expected: `inet_protocols` is documented as the protocols Postfix "will attempt to use when making or accepting connections". The client
# of a header is told, not connected to, so an IPv4-only mail server behind a dual-stack proxy should serve it.
# Seen: an IPv4 client in the header -> 220; an IPv6 one -> 421; the same header with `inet_protocols = all` -> 220.
#
# What follows: a mail server behind a dual-stack proxy needs `inet_protocols = all` (with `inet_interfaces` for what it listens on).
# Needs: root, the user `postfix` or the right to add it, apt (Debian 12), python3. Ports are the kernel's choice, on loopback.
set -euo pipefail
VERSION=3.7.11-0+deb12u1
dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; sleep 0.2; rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
apt-get download -qq "postfix=$VERSION"
dpkg -x ./postfix_*.deb root
id postfix >/dev/null 2>&1 || useradd --system --no-create-home --shell /usr/sbin/nologin postfix
getent group postdrop >/dev/null || groupadd --system postdrop
export LD_LIBRARY_PATH="$dir/root/usr/lib/postfix:$dir/root/usr/lib/x86_64-linux-gnu"
"$dir/root/usr/sbin/postconf" -c "$dir/root/usr/share/postfix" -d mail_version 2>/dev/null || true

# start PROTOCOLS: a Postfix that serves one port; sets `port` and `pid`
start() {
  local home="$dir/$1"
  mkdir -p "$home"/queue/{pid,private,public,active} "$home/data"
  chown postfix "$home"/queue/{private,public,active} "$home/data"
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  cat >"$home/main.cf" <<EOF
compatibility_level = 3.6
queue_directory = $home/queue
data_directory = $home/data
daemon_directory = $dir/root/usr/lib/postfix/sbin
shlib_directory = $dir/root/usr/lib/postfix
import_environment = MAIL_CONFIG LD_LIBRARY_PATH
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.test
inet_interfaces = 127.0.0.1
inet_protocols = $1
maillog_file = /dev/stdout
maillog_file_prefixes = /dev
alias_maps =
alias_database =
local_recipient_maps =
smtpd_upstream_proxy_protocol = haproxy
smtpd_upstream_proxy_timeout = 3s
smtpd_peername_lookup = no
mydestination =
relay_domains =
smtpd_client_restrictions = reject
smtpd_relay_restrictions = reject
EOF
  cat >"$home/master.cf" <<EOF
127.0.0.1:$port inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
rewrite unix - - n - - trivial-rewrite
EOF
  : >"$home/dynamicmaps.cf"
  "$dir/root/usr/lib/postfix/sbin/master" -s -c "$home" >"$home/log" 2>&1 &
  pid=$!
}

# greeting HEADER: the first line that the server says behind it
greeting() {
  python3 - "$port" "$1" <<'EOF'
import socket, sys, time

for attempt in range(100):
    try:
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
        break
    except OSError:
        time.sleep(0.05)
s.settimeout(10)
s.sendall(sys.argv[2].encode() + b"\r\n")
print(s.recv(200).split(b"\r\n")[0].decode())
EOF
}

v4='PROXY TCP4 192.0.2.7 192.0.2.1 40000 25'
v6='PROXY TCP6 2001:db8::7 2001:db8::1 40000 25'
start ipv4
a=$(greeting "$v4")
b=$(greeting "$v6")
kill "$pid"
wait "$pid" 2>/dev/null || true
start all
c=$(greeting "$v6")
printf 'inet_protocols = ipv4, IPv4 client: %s\ninet_protocols = ipv4, IPv6 client: %s\ninet_protocols = all,  IPv6 client: %s\n' "$a" "$b" "$c"
[[ "$a" == 220* && "$b" == 421* && "$c" == 220* ]] || { echo "changed"; cat "$dir"/*/log; exit 1; }
