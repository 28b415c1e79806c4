#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One request of RocketMQ's remoting protocol, by hand.

    rmqcall.py PORT CODE [name=value ...] [--body TEXT | --body-hex HEX] [--oneway] [--binary]
               [--user AK:SK] [--tls] [--version N] [--quiet-body]
    rmqcall.py 30886 30 topic=T1 queueId=0
"""
import argparse, base64, hashlib, hmac, json, socket, ssl, struct, sys

ap = argparse.ArgumentParser()
ap.add_argument("port", type=int)
ap.add_argument("code", type=int)
ap.add_argument("fields", nargs="*")
ap.add_argument("--body", default="")
ap.add_argument("--body-hex", default="")
ap.add_argument("--oneway", action="store_true")
ap.add_argument("--binary", action="store_true")
ap.add_argument("--user")
ap.add_argument("--tls", action="store_true")
ap.add_argument("--version", type=int, default=513)
ap.add_argument("--timeout", type=float, default=10)
a = ap.parse_intermixed_args()
ext = dict(f.split("=", 1) for f in a.fields)
ext = {k: v.encode().decode("unicode_escape") for k, v in ext.items()}
body = bytes.fromhex(a.body_hex) if a.body_hex else a.body.encode()
if a.user:
    ak, sk = a.user.split(":", 1)
    ext["AccessKey"] = ak
    text = "".join(ext[k] for k in sorted(ext)).encode() + body
    ext["Signature"] = base64.b64encode(hmac.new(sk.encode(), text, hashlib.sha1).digest()).decode()
flag = 2 if a.oneway else 0
if a.binary:
    e = b"".join(struct.pack(">h", len(k)) + k.encode() + struct.pack(">i", len(v.encode())) + v.encode() for k, v in ext.items())
    h = struct.pack(">hbhiii", a.code, 1, a.version, 7, flag, 0) + struct.pack(">i", len(e)) + e
else:
    h = json.dumps({"code": a.code, "language": "CPP", "version": a.version, "opaque": 7, "flag": flag, "extFields": ext}).encode()
frame = struct.pack(">iI", 4 + len(h) + len(body), len(h) | (1 << 24 if a.binary else 0)) + h + body
s = socket.create_connection(("127.0.0.1", a.port), a.timeout)
if a.tls:
    c = ssl._create_unverified_context()
    s = c.wrap_socket(s)
s.sendall(frame)
if a.oneway:
    sys.exit(0)


def read(n):
    b = b""
    while len(b) < n:
        x = s.recv(n - len(b))
        if not x:
            sys.exit("connection closed")
        b += x
    return b


while True:
    total, word = struct.unpack(">iI", read(8))
    rest = read(total - 4)
    hl = word & 0xFFFFFF
    h, b = rest[:hl], rest[hl:]
    print(("header(binary): " + repr(h)) if word >> 24 else h.decode())
    if b:
        print("body %d: %s" % (len(b), b.decode() if b[:1] in b"{[" else b.hex()))
    if word >> 24 or json.loads(h)["flag"] & 1:
        break
