"""Where things are."""
import os
import pathlib
import shutil

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / (os.environ.get("CARGO_TARGET_DIR") or "target")
# Another executable, such as one of an earlier commit, can be measured with the same harness.
WHARF = os.environ.get("WHARF_TEST_BIN") or str(TARGET / "dist/wharf")
LOADGEN = str(TARGET / "dist/loadgen")
UPSTREAM = str(TARGET / "dist/bench-upstream")
IMAGES = TARGET / "test-images"
# `npm install --prefix` of `cargo xtask bench` puts it there.
HTTP_PROXY = TARGET / "bench-npm/node_modules/configurable-http-proxy/bin/configurable-http-proxy"
# Arvados's own clients, as the tests have them.
CLIENTS = TARGET / "test-clients"
RESULTS = TARGET / "bench"
WRK_SCRIPT = ROOT / "bench/wrk.lua"
PAGE = ROOT / "docs/benchmarks.md"
PLOTS = ROOT / "docs/benchmarks"


def program(name: str) -> str:
    """The path of an installed program; Debian keeps servers in sbin, which users lack on their path."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        raise SystemExit(f"bench: {name} is not installed; `cargo xtask bench` installs what is needed")
    return found
