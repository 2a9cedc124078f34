"""Results as files: one JSON per measurement and time, of which the newest counts."""
import json
import os
import pathlib
import re
import subprocess
import time

from . import places
from .accounting import busy_share

# Above this share of the machine, other work disturbs a measurement.
BUSY_SHARE_MAX = 0.05


def take(name: str, measure) -> dict:
    """Runs a measurement and keeps its result with all that one must know to judge it."""
    busy = busy_share()
    begin = time.time()
    figures = measure()
    seconds = time.time() - begin
    result = {
        "name": name,
        "taken_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin)),
        "seconds": round(seconds, 1),
        # What others did just before, and just after, when what is still up here rests.
        "busy_share": round(max(busy, busy_share()), 3),
        "commit": output("git", "-C", places.ROOT, "rev-parse", "--short", "HEAD"),
        "is_modified": bool(output("git", "-C", places.ROOT, "status", "--porcelain", "--", "crates", "Cargo.lock")),
        "machine": machine(),
        "versions": versions(),
        "figures": figures,
    }
    places.RESULTS.mkdir(parents=True, exist_ok=True)
    stamp = re.sub(r"[-:]", "", result["taken_at"])
    (places.RESULTS / f"{name}-{stamp}.json").write_text(json.dumps(result, indent=1) + "\n")
    return result


def newest(name: str) -> dict | None:
    """The last result of a measurement."""
    pattern = re.compile(re.escape(name) + r"-\d{8}T\d{6}Z\.json")
    files = [file for file in places.RESULTS.glob(f"{name}-*.json") if pattern.fullmatch(file.name)]
    return json.loads(max(files, key=lambda file: file.name).read_text()) if files else None


def machine() -> dict:
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+) kB", pathlib.Path("/proc/meminfo").read_text())
    return {"cores": os.cpu_count(), "cpu": cpu.group(1) if cpu else "unknown", "kernel": os.uname().release,
            "memory_gib": round(int(memory.group(1)) / (1 << 20)), "files_max": os.sysconf("SC_OPEN_MAX")}


def versions() -> dict[str, str]:
    """First line of what each program says of itself, cut to name and number."""
    asked = {
        "nginx": [places.program("nginx"), "-v"], "haproxy": [places.program("haproxy"), "-v"],
        "wrk": [places.program("wrk"), "-v"], "h2load": [places.program("h2load"), "--version"],
        "strace": [places.program("strace"), "--version"], "OpenSSL": [places.program("openssl"), "version"],
        "node": [places.program("node"), "--version"], "rustc": ["rustc", "--version"],
    }
    found = {name: re.search(r"\d+\.\d[\w.+~-]*", output(*words)) for name, words in asked.items()}
    versions = {name: match.group(0) for name, match in found.items() if match}
    package = places.HTTP_PROXY.parent.parent / "package.json"
    if package.exists():
        versions["configurable-http-proxy"] = json.loads(package.read_text())["version"]
    return versions


def output(*words: object) -> str:
    """What a program says, on either stream; nothing where it is missing."""
    try:
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=30)
    except OSError:
        return ""
    return (done.stdout + done.stderr).strip()
