"""An application of the Mapper protocol, for tests.

Without an argument it decides as an administrator would have it: by address, by service and by the time of day. Its first
argument says what is wrong with it.
"""

import os
import re
import signal
import sys
import time


def say(text):
    os.write(1, text.encode())


def requests():
    """Yields the id and the entries of each request."""
    entries = {}
    for line in sys.stdin:
        name, data = re.match("([^:=]*).?(.*)", line).groups()
        if name == "end-of-request":
            yield data, entries
        elif name == "request":
            entries = {}
        elif name != "version":
            entries[name] = data


def decide(entries):
    hour = int(os.environ["HOUR"])
    if entries["addr-ip"] == "127.0.0.2":
        return "failure:not from 127.0.0.2"
    if entries["service"] == "vault":
        return "failure:nobody may use the vault"
    if entries["service"] == "office" and not 7 <= hour < 20:
        return f"failure:closed at {hour}"
    return "success:welcome"


def good():
    say("version:1\n")
    for name, entries in requests():
        say(f"request:{name}\n{decide(entries)}\n")


def answer(text):
    """Greets, and answers the first request so; {id} is the request's."""
    say("version:1\n")
    for name, _ in requests():
        say(text.replace("{id}", name))
        break


def flood():
    for _ in range(1 << 10):
        say("a" * (1 << 20))


def hang():
    """Makes a file of its own name in the directory MARK, and hangs."""
    if "MARK" in os.environ:
        open(os.path.join(os.environ["MARK"], sys.argv[1]), "w").close()
    time.sleep(600)


def version_0():
    say("version:0\n")
    hang()


def version_2():
    say("version:2\n")
    name, _ = next(requests())
    say(f"request:{name}\nsuccess:\n")


def version_absent():
    name, _ = next(requests())
    say(f"request:{name}\nsuccess:\n")


def make_noise():
    os.write(1, bytes(range(255, -1, -1)) * 4)


def noise():
    make_noise()
    hang()


def noise_in_answer():
    answer("request:{id}\n")
    make_noise()


def noise_in_answer_and_hangs():
    answer("request:{id}\n")
    noise()


def flood_before_version():
    flood()


def flood_in_answer():
    answer("request:{id}\n")
    flood()


def unknown_id():
    answer("request:999\nsuccess:\n")


def unknown_id_first():
    answer("request:999\nsuccess:\nrequest:{id}\nfailure:not you\n")


def finished_id():
    answer("request:{id}\nfailure:not you\nrequest:{id}\nsuccess:\n")


def repeated_id():
    answer("request:{id}\nrequest:{id}\nsuccess:\n")


def success_before_version():
    say("request:1\nsuccess:\n")
    say("version:1\n")


def success_before_request():
    say("version:1\nsuccess:\n")


def two_in_a_block():
    answer("request:{id}\nrequest:2\nsuccess:\n")


def no_line_end():
    answer("request:{id}\nsuccess:")


def exit_at_once():
    pass


def exit_before_the_request():
    say("version:1\n")


def exit_before_the_answer():
    answer("")


def exit_within_the_answer():
    answer("request:{id}\n")


def exit_after_the_answer():
    answer("request:{id}\nsuccess:\n")
    say("and this is")


def exit_1():
    answer("request:{id}\nsuccess:\n")
    sys.exit(1)


def killed():
    answer("request:{id}\nsuccess:\n")
    os.kill(os.getpid(), signal.SIGKILL)


def silent():
    hang()


def silent_after_version():
    say("version:1\n")
    hang()


def never_exits():
    answer("request:{id}\nsuccess:\n")
    hang()


def closes_stdin():
    os.close(0)
    say("version:1\n")
    hang()


def closes_stdin_and_answers():
    os.close(0)
    say("version:1\nrequest:1\nsuccess:\n")


def stubborn():
    """Ignores what can be ignored, and leaves a child that holds the pipes."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    if os.fork() > 0:
        answer("request:{id}\n")
    hang()


def slow():
    say("version:1\n")
    for name, _ in requests():
        time.sleep(0.1)
        say(f"request:{name}\nsuccess:\n")


def names_itself():
    answer(f"request:{{id}}\nsuccess:{os.getpid()}\n")


def first_of_many():
    """Waits for the file LATCH, answers the first request only, and writes into the file how many there were."""
    while not os.path.exists(os.environ["LATCH"]):
        time.sleep(0.01)
    say("version:1\n")
    asked = [name for name, _ in requests()]
    with open(os.environ["LATCH"], "a") as latch:
        latch.write(f"{len(asked)}\n")
    say(f"request:{asked[0]}\nsuccess:\n")


globals()[(sys.argv[1] if len(sys.argv) > 1 else "good").replace(" ", "_")]()
