"""Runs the network tests of the library `websockets`, directly or with their connections led through the proxy.

    suite_websockets.py direct|proxied OUT EXPECTED

Writes OUT: for each test its verdict, and how many connections it made that were led. What fails and is not
in EXPECTED (see compare_verdicts.py) is tried again twice, since the suite measures time.
"""
import faulthandler
import json
import signal
import socket
import sys
import unittest

from way_out import RELAY_PORT

MODULES = (
    "tests.asyncio.test_client", "tests.asyncio.test_server", "tests.asyncio.test_router",
    "tests.sync.test_client", "tests.sync.test_server", "tests.sync.test_router",
    "tests.legacy.test_client_server",
)
# TLS ends at the proxy: what these check is no business of it.
LEFT_OUT = ("Secure",)
# No test of the suite takes seconds; one that hangs has failed.
HANGS_AFTER_S = 15
LOCAL = ("127.0.0.1", "::1", "localhost")
n_led = 0


class LedSocket(socket.socket):
    """Connects to this machine by way of the relay, and does not let on."""

    def _led(self, address):
        global n_led
        if self.family not in (socket.AF_INET, socket.AF_INET6) or address[0] not in LOCAL:
            return address
        n_led += 1
        high, low = divmod(address[1], 256)
        mapped = "::ffff:" if self.family == socket.AF_INET6 else ""
        return (f"{mapped}127.1.{high}.{low}", RELAY_PORT)

    def connect(self, address):
        return super().connect(self._led(address))

    def connect_ex(self, address):
        return super().connect_ex(self._led(address))

    def getpeername(self):
        peer = super().getpeername()
        if isinstance(peer, tuple) and peer[1] == RELAY_PORT:
            high, low = peer[0].split(".")[2:]
            return ("127.0.0.1", int(high) * 256 + int(low), *peer[2:])
        return peer


def resolve(host, port, *more, **options):
    """Service hosts are the ports that they name: a redirect that comes back from the proxy leads there again."""
    if isinstance(host, str) and host.endswith(".containers.localhost"):
        host, port = "127.0.0.1", int(host.split(".")[0].split("-")[-1])
    return getaddrinfo(host, port, *more, **options)


class Verdicts(unittest.TestResult):
    """One word for each test; a test is as bad as its worst subtest."""

    def __init__(self):
        super().__init__()
        self.words, self.led, self.texts = {}, {}, {}

    def startTest(self, test):
        super().startTest(test)
        # The container's log then shows where a run that hangs has come to.
        print(test.id(), flush=True)
        # Again and again, should it come where it is lost.
        signal.setitimer(signal.ITIMER_REAL, HANGS_AFTER_S, 1)
        self.words[test.id()] = "passed"
        self.n_led_before = n_led

    def stopTest(self, test):
        signal.setitimer(signal.ITIMER_REAL, 0)
        super().stopTest(test)
        self.led[test.id()] = n_led - self.n_led_before

    def _note(self, test, word, error):
        # Trying again would only take as long again.
        self.words[test.id()] = "hung" if isinstance(error[1], Hangs) else word
        self.texts[test.id()] = self._exc_info_to_string(error, test)[-2000:]

    def addFailure(self, test, error):
        self._note(test, "failed", error)

    def addError(self, test, error):
        self._note(test, "failed", error)

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self._note(test, "failed", error)

    def addSkip(self, test, reason):
        self.words[test.id()] = "skipped"


def tests_of(suite):
    for entry in suite:
        if isinstance(entry, unittest.TestSuite):
            yield from tests_of(entry)
        else:
            yield entry


class Hangs(SystemExit):
    """What an event loop lets through, and no test of reconnecting catches."""


def hang(_signal, _frame):
    raise Hangs(f"more than {HANGS_AFTER_S} s")


mode, out, expected = sys.argv[1:4]
with open(expected) as file:
    expected = file.read()
signal.signal(signal.SIGALRM, hang)
faulthandler.register(signal.SIGUSR1)
if mode == "proxied":
    getaddrinfo = socket.getaddrinfo
    socket.socket, socket.getaddrinfo = LedSocket, resolve
load = unittest.defaultTestLoader.loadTestsFromName
verdicts = Verdicts()
tests = tests_of(load(module) for module in MODULES)
wanted = [test for test in tests if not any(word in type(test).__name__ for word in LEFT_OUT)]
unittest.TestSuite(wanted).run(verdicts)
for _again in range(2):
    for name in [name for name, word in verdicts.words.items() if word == "failed" and name not in expected]:
        again = Verdicts()
        load(name).run(again)
        if again.words.get(name) == "passed":
            verdicts.words[name], verdicts.led[name] = "passed", again.led[name]
with open(out, "w") as file:
    json.dump({name: {"verdict": word, "led": verdicts.led.get(name, 0), "text": verdicts.texts.get(name, "")}
               for name, word in verdicts.words.items()}, file)
