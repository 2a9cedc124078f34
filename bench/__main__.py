"""`python3 -m bench [NAME]...`: takes the named measurements, all where none is named, and writes the page.

`--report` takes none and writes the page of the results that are there.
"""
import resource
import signal
import sys
import traceback

from . import report, results
from .lab import Lab
from .measure import ALL


def main() -> None:
    names = sys.argv[1:]
    only_report = names == ["--report"]
    if unknown := set(names) - set(ALL) - {"--report"}:
        raise SystemExit(f"bench: unknown measurement {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    # Thousands of sockets per process; children inherit it.
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # An end from outside must clean up, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: told to stop"))
    failed = [name for name in ([] if only_report else names or ALL) if not take(name)]
    report.write()
    if failed:
        raise SystemExit(f"bench: failed: {', '.join(failed)}")


def take(name: str) -> bool:
    """One measurement; false where it failed, which must not cost the others' time."""
    print(f"bench: {name}", flush=True)
    try:
        with Lab() as lab:
            result = results.take(name, lambda: ALL[name].measure(lab))
    except Exception:  # noqa: BLE001 - told, and counted by the caller
        traceback.print_exc()
        return False
    for figure in ALL[name].figures(result["figures"]):
        print(f"  {figure.what}: {figure.text}", flush=True)
    print(f"bench: {name} took {result['seconds']:.0f} s", flush=True)
    return True


main()
