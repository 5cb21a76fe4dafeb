#!/usr/bin/env python3
"""Calls Arith.Multiply in JSON over a raw socket. Usage: client.py HOST PORT"""
import json
import socket
import struct
import sys

REQUEST, RESPONSE, STATUS = 1, 2, 3
METADATA, NAME = 0x01, 0x08


def call(stream, method, args):
    call_id, name = 1 << 16, method.encode()  # a counter from 1, and slot 0
    # Index 0: the name stands in this frame and is not remembered. The fingerprint 0 is unknown.
    body = struct.pack(">HQB", 0, 0, len(name)) + name + json.dumps(args).encode()
    stream.write(struct.pack(">IBBQ", 10 + len(body), REQUEST, NAME, call_id) + body)
    stream.flush()
    for _ in range(100):  # a ping may come first
        length, kind, flags, answered = struct.unpack(">IBBQ", stream.read(14))
        body = stream.read(length - 10)
        if kind in (RESPONSE, STATUS) and answered == call_id:
            body = body[2 + int.from_bytes(body[:2], "big"):] if flags & METADATA else body
            if kind == RESPONSE:
                return json.loads(body)
            sys.exit(f"{method}: {body[6:6 + int.from_bytes(body[2:6], 'big')].decode()}")
    sys.exit("no answer")


with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as sock:
    rpc = sock.makefile("rwb")
    rpc.write(b"CONNECT /_rpc_ HTTP/1.0\r\nRpc-Format: json\r\n\r\n")
    rpc.flush()
    head = iter(rpc.readline, b"\r\n")  # up to the blank line
    status = next(head, b"")
    if status.split()[1:2] != [b"200"] or not list(head):
        sys.exit(f"refused: {status.decode().strip()}")
    print(call(rpc, "Arith.Multiply", {"a": 7, "b": 8}))
