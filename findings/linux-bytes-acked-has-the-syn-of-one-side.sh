#!/usr/bin/env bash
# Linux, TCP_INFO: `tcpi_bytes_acked` is one more than the bytes that were acknowledged at the side that connected, right at the side that
# accepted, and one more at either once its FIN is acknowledged; `tcpi_bytes_received` has the other side's FIN, and nobody's SYN.
#
# Expected: counts of bytes, the same for both sides: what one has sent and seen acknowledged is what the other has received.
# Seen (kernel 6.18; python3 of the system), acked and received of a connection with 100 bytes each way:
#                                     connected     accepted
#   new                               1, 0          0, 0
#   100 bytes each way                101, 100      100, 100
#   the one that connected ends       102, 100      100, 101
#   and the other                     102, 101      101, 101
#
# What follows: neither is compared with bytes that a relay counts, and an acknowledged FIN is not progress of a reader. What is owed to a
# peer is asked of the send queue (SIOCOUTQ); the two counts are for an operator's eye, and say so.
# Needs: python3. A connection on loopback, its port the kernel's.
set -euo pipefail
python3 - <<'PY'
import platform, socket, struct, time

def counts(s):
    """Waits until they rest, then gives tcpi_bytes_acked and tcpi_bytes_received (linux/tcp.h)."""
    was, rests = None, 0
    while rests < 5:
        now = struct.unpack_from("QQ", s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 136), 120)
        rests = rests + 1 if now == was else 0
        was = now
        time.sleep(0.02)
    return was

listener = socket.create_server(("127.0.0.1", 0))
connected = socket.create_connection(listener.getsockname())
accepted, _ = listener.accept()
seen = [(counts(connected), counts(accepted))]
for one, other in [(connected, accepted), (accepted, connected)]:
    one.sendall(b"x" * 100)
    other.recv(100, socket.MSG_WAITALL)
seen.append((counts(connected), counts(accepted)))
for one in [connected, accepted]:
    one.shutdown(socket.SHUT_WR)
    seen.append((counts(connected), counts(accepted)))
print(platform.release(), *seen, sep="\n")
expected = [((1, 0), (0, 0)), ((101, 100), (100, 100)), ((102, 100), (100, 101)), ((102, 101), (101, 101))]
raise SystemExit(0 if seen == expected else f"changed: {expected} was seen")
PY
