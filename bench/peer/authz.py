"""Allows every request, as an application of the Mapper protocol; with the argument "hang" it answers none, for ever."""

import sys
import time

print("version:1", flush=True)
for line in sys.stdin:
    if line.startswith("end-of-request:"):
        if sys.argv[1:] == ["hang"]:
            time.sleep(3600)
        name = line.rstrip("\n").removeprefix("end-of-request:")
        print(f"request:{name}\nsuccess:", flush=True)
