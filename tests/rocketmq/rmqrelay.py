#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Logging TCP relay for RocketMQ's remoting protocol.

    rmqrelay.py LISTEN:TARGET[,LISTEN:TARGET...] [--rewrite OLD=NEW ...] [--max N] [--raw] > log

Every frame that passes is printed: direction, header (JSON and binary headers are both decoded)
and body (hex, the first --max bytes).  --raw also prints the frame's bytes up to the body.
--rewrite replaces a byte string of the same length in frames towards the client, e.g. the
broker port in route replies, so that a client that asks the relay of the name server is sent
to the relay of the broker:

    rmqrelay.py 30976:30876,30986:30886 --rewrite :30886=:30986
"""
import argparse, asyncio, json, struct, sys, time

ap = argparse.ArgumentParser()
ap.add_argument("ports")
ap.add_argument("--rewrite", action="append", default=[])
ap.add_argument("--max", type=int, default=512)
ap.add_argument("--raw", action="store_true")
args = ap.parse_args()
rewrites = [tuple(x.encode() for x in r.split("=")) for r in args.rewrite]
assert all(len(a) == len(b) for a, b in rewrites)
t0 = time.time()
codes = {}  # (connection, opaque) -> request code


def binary_header(h):
    code, lang, ver, opaque, flag, rl = struct.unpack(">hbhiii", h[:17])
    p = 17 + rl
    remark = h[17:p].decode("utf-8", "replace")
    (el,) = struct.unpack(">i", h[p:p + 4])
    p += 4
    end, ext = p + el, {}
    while p < end:
        (kl,) = struct.unpack(">h", h[p:p + 2]); k = h[p + 2:p + 2 + kl].decode(); p += 2 + kl
        (vl,) = struct.unpack(">i", h[p:p + 4]); ext[k] = h[p + 4:p + 4 + vl].decode("utf-8", "replace"); p += 4 + vl
    return {"code": code, "language": lang, "version": ver, "opaque": opaque, "flag": flag,
            "remark": remark, "extFields": ext}


def hexdump(b, indent="      "):
    out = []
    for i in range(0, len(b), 16):
        c = b[i:i + 16]
        out.append("%s%04x  %-47s  %s" % (indent, i, " ".join("%02x" % x for x in c),
                                         "".join(chr(x) if 32 <= x < 127 else "." for x in c)))
    return "\n".join(out)


def show(conn, towards_broker, frame):
    total, word = struct.unpack(">iI", frame[:8])
    hl, st = word & 0xFFFFFF, word >> 24
    h, body = frame[8:8 + hl], frame[8 + hl:]
    head = json.loads(h) if st == 0 else binary_header(h)
    key = (conn, head["opaque"])
    resp = head["flag"] & 1
    # a peer on either side may be the one that asks
    if resp:
        what = "response %d to %s" % (head["code"], codes.pop((key, not towards_broker), "?"))
    else:
        what = "request %d%s" % (head["code"], " oneway" if head["flag"] & 2 else "")
        codes[(key, towards_broker)] = head["code"]
    print("%9.3f conn %d %s %s  total=%d header=%d(%s) body=%d" % (
        time.time() - t0, conn, "-->" if towards_broker else "<--", what, total, hl,
        "json" if st == 0 else "binary", len(body)))
    if args.raw:
        print(hexdump(frame[:8 + hl]))
    print("      " + (h.decode() if st == 0 else json.dumps(head)))
    if body:
        txt = body[:args.max]
        if body[:1] in b"{[":
            print("      body: " + txt.decode("utf-8", "replace"))
        else:
            print("      body:\n" + hexdump(txt))
    sys.stdout.flush()


async def pump(conn, r, w, towards_broker):
    try:
        while True:
            n = await r.readexactly(4)
            frame = n + await r.readexactly(struct.unpack(">i", n)[0])
            if not towards_broker:
                for a, b in rewrites:
                    frame = frame.replace(a, b)
            try:
                show(conn, towards_broker, frame)
            except Exception as e:  # a log problem must not break the relay
                print("      ?? %r" % e)
            w.write(frame)
            await w.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        w.close()


count = 0


def serve(target):
    async def f(r, w):
        global count
        count += 1
        c = count
        print("%9.3f conn %d opened to port %d" % (time.time() - t0, c, target))
        try:
            r2, w2 = await asyncio.open_connection("127.0.0.1", target)
        except OSError as e:
            print("      cannot connect: %s" % e)
            w.close()
            return
        await asyncio.gather(pump(c, r, w2, True), pump(c, r2, w, False))
        print("%9.3f conn %d closed" % (time.time() - t0, c))
        sys.stdout.flush()
    return f


async def main():
    servers = []
    for p in args.ports.split(","):
        a, b = p.split(":")
        servers.append(await asyncio.start_server(serve(int(b)), "127.0.0.1", int(a), limit=1 << 24))
    await asyncio.gather(*(s.serve_forever() for s in servers))

asyncio.run(main())
