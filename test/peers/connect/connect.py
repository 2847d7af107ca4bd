"""connect.py joins its standard input and output to a tunnel, which it opens by CONNECT at a proxy:

    TOKEN=... python3 connect.py PORT AUTHORITY TARGET END

    PORT       of the proxy at 127.0.0.1
    AUTHORITY  the file with the certificate that vouches for the proxy's, which is one for localhost; "-": without TLS
    TARGET     such as echo:1
    END        what follows the end of standard input:
                 stay    nothing
                 fin     FIN, by shutdown; over TLS that is without close_notify
                 reset   the socket is reset, and all is over

It goes on until the proxy has ended its direction, and says on standard error how that was: "FIN", over TLS "close_notify" or
"FIN", or "RST". After an end in order it still sends what comes from standard input, to its end.
"""

import os
import select
import socket
import struct
import sys

port, authority, target, end = sys.argv[1:]


def open_tunnel():
    conn = socket.create_connection(("127.0.0.1", int(port)))
    if authority != "-":
        import ssl

        context = ssl.create_default_context(cafile=authority)
        conn = context.wrap_socket(conn, server_hostname="localhost", suppress_ragged_eofs=False)
    request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Bearer {os.environ['TOKEN']}\r\n\r\n"
    conn.sendall(request.encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        piece = conn.recv(1)
        if not piece:
            sys.exit(f"no answer: {answer}")
        answer += piece
    if not answer.startswith(b"HTTP/1.1 200 "):
        sys.exit(f"refused: {answer}")
    conn.setblocking(False)
    return conn


# What a socket raises that is not ready; those of ssl are known only once it is imported.
WAIT = ("BlockingIOError", "SSLWantReadError", "SSLWantWriteError")


def receive(conn):
    """Returns some bytes, None if there are none yet, or how the proxy has ended its direction."""
    try:
        return conn.recv(64 << 10) or ("FIN" if authority == "-" else "close_notify")
    except ConnectionResetError:
        return "RST"
    except OSError as failure:
        name = type(failure).__name__
        if name not in WAIT + ("SSLEOFError",):
            raise
        return "FIN" if name == "SSLEOFError" else None


def send(conn, some):
    """Returns what has not been sent yet."""
    try:
        return some[conn.send(some) :]
    except OSError as failure:
        if type(failure).__name__ not in WAIT:
            raise
        return some


def end_sending(conn):
    """Returns whether all is over."""
    if end == "fin":
        conn.shutdown(socket.SHUT_WR)
    elif end == "reset":
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        conn.close()
    return end == "reset"


def join(conn):
    sending, receiving, waiting = True, True, b""
    while sending or receiving:
        idle = True
        if receiving:
            got = receive(conn)
            if isinstance(got, str):
                print(got, file=sys.stderr)
                receiving = False
                if got == "RST" or got == "FIN" and authority != "-":
                    return
                continue
            elif got:
                write_all(got)
                idle = False
        if waiting:
            before = len(waiting)
            waiting = send(conn, waiting)
            idle = idle and len(waiting) == before
        readable = ([0] if sending and not waiting else []) + ([conn] if receiving else [])
        if 0 in select.select(readable, [conn] if waiting else [], [], None if idle else 0)[0]:
            waiting = memoryview(os.read(0, 64 << 10))
            if not waiting:
                sending = False
                if end_sending(conn):
                    return


def write_all(some):
    while some:
        some = some[os.write(1, some) :]


join(open_tunnel())
