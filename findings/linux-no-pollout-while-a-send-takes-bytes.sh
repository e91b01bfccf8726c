#!/usr/bin/env bash
# Linux: behind a full send queue a TCP socket is reported writable once a third of the queue is free, while `send` takes bytes as soon as
# any of it is free. In between, poll(2) and epoll say that a write would block, and the write does not.
#
# Expected (poll(2)): without POLLOUT a send that may not block takes nothing.
# Seen (kernel 6.18; python3 of the system): of a full queue of 4 161 517 bytes a fifth is acknowledged, POLLOUT is not set, and a send takes
# 900 923 bytes. With a queue that the kernel sizes itself (3.9 MB) POLLOUT came after the peer had read 1.5 MB.
#
# What follows: the time since the last readiness to write says nothing of a peer: one that reads 32 KiB/s of such a queue gives no event
# for about half a minute. A deadline of silence asks what was acknowledged (SIOCOUTQ) before it ends anybody.
# Needs: python3. A connection on loopback, its port the kernel's.
set -euo pipefail
python3 - <<'PY'
import fcntl, platform, select, socket, struct, time

def unacknowledged(s):
    return struct.unpack("i", fcntl.ioctl(s, 0x5411, b"\0" * 4))[0]  # SIOCOUTQ

def fill(s):
    taken = 0
    try:
        while True:
            taken += s.send(b"x" * 65536)
    except BlockingIOError:
        return taken

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
listener.bind(("127.0.0.1", 0))
listener.listen(1)
writer = socket.socket()
writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 << 20)
writer.connect(listener.getsockname())
reader, _ = listener.accept()
writer.setblocking(False)
taken = fill(writer)
time.sleep(0.2)
taken += fill(writer)
full = unacknowledged(writer)
poll = select.poll()
poll.register(writer, select.POLLOUT)
while unacknowledged(writer) > full * 4 // 5:
    reader.recv(16384)
    time.sleep(0.002)
told = bool(poll.poll(0))
more = fill(writer)
print(platform.release(), f"queue {full}, then {full * 4 // 5} or less; POLLOUT {told}; a send took {more}")
raise SystemExit(0 if not told and more > 0 else "changed: no POLLOUT, and bytes taken, was seen")
PY
