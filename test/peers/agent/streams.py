"""streams.py is both ends of a TCP stream that may come through anything, and checks that it comes as it was sent:

    python3 streams.py serve             serves, and says its port at 127.0.0.1 first
    python3 streams.py ACT PORT TIMES    does something with the service, so many times, and fails unless all is as it should be

The first line of a stream is what is to happen:

    reply        the client ends its direction; then the service answers "got " and what it has read
    farewell     the service says "no more" and ends its direction; then the client sends 200 KiB and ends its own, and asks for
                 what was heard of that by a stream of its own ("heard")
    break        the client resets; the service must see that, and is asked ("heard")
    reset        the service resets
    late-reset   the client ends its direction; then the service resets
"""

import hashlib
import os
import socket
import struct
import sys
import threading

heard = {}  # what the service has heard, by the name that the client has given the stream
noted = threading.Condition()


def note(name, what):
    with noted:
        heard[name] = what
        noted.notify_all()


def read_all(conn):
    """Returns the bytes up to the end, and how that was."""
    text = b""
    try:
        while piece := conn.recv(64 << 10):
            text += piece
    except ConnectionResetError:
        return text, "RST"
    return text, "FIN"


def reset(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def read_line(conn):
    line = b""
    while not line.endswith(b"\n"):
        piece = conn.recv(1)
        if not piece:
            raise EOFError(line)
        line += piece
    return line.decode().split()


def serve_one(conn):
    act, *name = read_line(conn)
    if act == "reply":
        text, end = read_all(conn)
        if end == "FIN":
            conn.sendall(b"got " + text)
    elif act == "farewell":
        conn.sendall(b"no more")
        conn.shutdown(socket.SHUT_WR)
        text, end = read_all(conn)
        note(name[0], f"{hashlib.sha256(text).hexdigest()} {end}")
    elif act == "break":
        conn.sendall(b"ready")
        note(name[0], read_all(conn)[1])
    elif act == "reset":
        conn.sendall(b"ready")
        conn.recv(1)
        reset(conn)
    elif act == "late-reset":
        text, end = read_all(conn)
        reset(conn)
    elif act == "heard":
        with noted:
            noted.wait_for(lambda: name[0] in heard, timeout=60)
            conn.sendall(heard.get(name[0], "nothing").encode())
    conn.close()


def serve():
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(listener.getsockname()[1])
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=serve_one, args=(conn,), daemon=True).start()


def connect(port, first):
    conn = socket.create_connection(("127.0.0.1", port), timeout=60)
    conn.sendall(first.encode() + b"\n")
    return conn


def expect(conn, text):
    got = b""
    while len(got) < len(text):
        piece = conn.recv(len(text) - len(got))
        if not piece:
            break
        got += piece
    assert got == text, got


def expect_all(conn, text, end):
    got = read_all(conn)
    assert got == (text, end), (len(got[0]), got[0][:80], got[1])


def expect_heard(port, name, what):
    with connect(port, "heard " + name) as conn:
        expect_all(conn, what.encode(), "FIN")


def act(what, port, n):
    name = f"{os.getpid()}-{n}"
    text = os.urandom(n * 2039 % 200_000)
    conn = connect(port, f"{what} {name}")
    if what == "reply":
        conn.sendall(text)
        conn.shutdown(socket.SHUT_WR)
        expect_all(conn, b"got " + text, "FIN")
    elif what == "farewell":
        expect_all(conn, b"no more", "FIN")
        conn.sendall(text)
        conn.shutdown(socket.SHUT_WR)
        expect_heard(port, name, f"{hashlib.sha256(text).hexdigest()} FIN")
    elif what == "break":
        expect(conn, b"ready")
        reset(conn)
        expect_heard(port, name, "RST")
    elif what == "reset":
        expect(conn, b"ready")
        conn.sendall(b"g")
        expect_all(conn, b"", "RST")
    elif what == "late-reset":
        conn.shutdown(socket.SHUT_WR)
        expect_all(conn, b"", "RST")
    conn.close()


if sys.argv[1] == "serve":
    serve()
else:
    for n in range(int(sys.argv[3])):
        act(sys.argv[1], int(sys.argv[2]), n)
