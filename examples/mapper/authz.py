#!/usr/bin/env python3
"""Decides by address, service and hour, as an application of the Mapper protocol."""

import fnmatch
import ipaddress
import os
import sys
import time

# Who may use what, and when: the client's network, a pattern of services, from this hour on, until this hour.
ALLOWED = [
    ("10.1.0.0/16", "console.*", 0, 24),
    ("10.0.0.0/8", "web", 7, 20),
    ("127.0.0.0/8", "web", 7, 20),
]


def decide(entries):
    """Says whether a request is allowed, and a text for log and audit."""
    service = entries.get("service", "")
    try:
        address = ipaddress.ip_address(entries.get("addr-ip", ""))
    except ValueError:
        return False, "no client address"
    hour = int(os.environ.get("AUTHZ_HOUR") or time.localtime().tm_hour)  # AUTHZ_HOUR is for tests
    for network, pattern, begin, end in ALLOWED:
        if (address in ipaddress.ip_network(network) and fnmatch.fnmatchcase(service, pattern)
                and begin <= hour < end):
            return True, ""
    return False, f"{address} may not use {service!r} at {hour} o'clock"


def main():
    for stream in (sys.stdin, sys.stdout):  # any byte may come; only LF ends a line
        stream.reconfigure(encoding="utf-8", errors="surrogateescape", newline="\n")
    print("version:1", flush=True)
    entries = {}
    for line in sys.stdin:
        key, equals, value = line.rstrip("\n").partition("=")
        if equals and ":" not in key:
            entries.setdefault(key, value)
        elif line.startswith("request:"):
            entries = {}
        elif line.startswith("end-of-request:"):
            allowed, text = decide(entries)
            verdict = "success" if allowed else "failure"
            request_id = line.rstrip("\n").removeprefix("end-of-request:")
            print(f"request:{request_id}\n{verdict}:{text}", flush=True)


main()
