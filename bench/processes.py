"""Starting processes, waiting for them, ending them."""
import pathlib
import signal
import socket
import subprocess
import time
from typing import Callable, Sequence, TypeVar

Found = TypeVar("Found")


def wait_for(what: str, look: Callable[[], Found], seconds: float = 30, pause: float = 0.002) -> Found:
    """The first thing that is true; without one in time the measurement has failed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(pause)
    raise TimeoutError(f"waited {seconds:g} s in vain for {what}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_server(words: Sequence[object], port: int, log: pathlib.Path, environment: dict | None = None) -> subprocess.Popen:
    """Starts a program and waits until it listens."""
    words = [str(word) for word in words]
    with log.open("ab") as out:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)

    def listens() -> bool:
        if process.poll() is not None:
            raise ChildProcessError(f"{words[0]} ended at once: {log.read_text()[-2000:]}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_for(f"{words[0]} to listen", listens, pause=0.02)
    except BaseException:
        end(process)
        raise
    return process


def end(process: subprocess.Popen, how: int = signal.SIGTERM) -> None:
    """Asks a process to end, and ends it if it does not."""
    if process.poll() is not None:
        return
    process.send_signal(how)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
