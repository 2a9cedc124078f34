"""The page: the table of figures, then one section per measurement, of the newest result of each."""
from types import ModuleType

from . import places, results
from .figure import Figure
from .measure import ALL
from .tables import table


def write() -> None:
    """Writes docs/benchmarks.md and its plots."""
    taken = {name: result for name in ALL if (result := results.newest(name))}
    if not taken:
        raise SystemExit(f"bench: no results in {places.RESULTS}")
    places.PLOTS.mkdir(parents=True, exist_ok=True)
    for plot in places.PLOTS.glob("*.svg"):
        plot.unlink()
    lines = [*opening(taken), *figures(taken)]
    for name, result in taken.items():
        lines += section(ALL[name], result)
    lines += provenance(taken)
    places.PAGE.write_text("\n".join(lines).rstrip() + "\n")


def opening(taken: dict[str, dict]) -> list[str]:
    last = max(taken.values(), key=lambda result: result["taken_at"])
    machine, versions = last["machine"], last["versions"]
    lines = [
        "# Benchmarks", "",
        "Made by `cargo xtask bench`; not edited by hand. Absolute figures drift with the machine and its neighbours:",
        "read the ratios. All that is compared is up at once, and a round sends a second of load to each in shuffled",
        "order. A ratio is that of the smallest CPU times over all rounds, because noise only ever adds; the median of",
        "the rounds' own ratios stands in brackets. CPU time is that of the proxy processes alone, by their kernel",
        "clocks: for Wharf the controller and the supervisor, never the app, its container, or the load generator.", "",
        f"{machine['cores']} cores ({machine['cpu']}), {machine['memory_gib']} GiB, Linux {machine['kernel']}, "
        f"{machine['files_max']:,} open files per process. "
        + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".", ""]
    if busy := [name for name, result in taken.items() if is_disturbed(result)]:
        lines += [f"**The machine had other work while these were taken: {', '.join(busy)}.**", ""]
    return lines


def is_disturbed(result: dict) -> bool:
    return result["busy_share"] > results.BUSY_SHARE_MAX


def figures(taken: dict[str, dict]) -> list[str]:
    """The rows of the list of bars by number, then the rest as measured."""
    found: list[Figure] = [figure for name, result in taken.items() for figure in ALL[name].figures(result["figures"])]
    numbered = sorted((one for one in found if one.row), key=lambda one: one.row)
    rest = [one for one in found if not one.row]
    return table(["", "what", "bar", "stretch", "figure", ""],
                 [[str(one.row or ""), one.what, one.shown(one.bar), one.shown(one.stretch), one.text, one.verdict]
                  for one in numbered + rest])


def section(module: ModuleType, result: dict) -> list[str]:
    """Empty for a measurement that has nothing to add to the table."""
    details, charts = module.details(result["figures"]), module.charts(result["figures"])
    if not details and not charts:
        return []
    lines = [f"## {module.TITLE}", "", module.__doc__.strip(), ""]
    for file, chart in charts.items():
        (places.PLOTS / f"{file}.svg").write_text(chart.svg())
        lines += [f"![{chart.title}](benchmarks/{file}.svg)", ""]
    return lines + details


def provenance(taken: dict[str, dict]) -> list[str]:
    rows = [[name, result["taken_at"].replace("T", " ").replace("Z", " UTC"),
             result["commit"] + (" and changes" if result["is_modified"] else ""), f"{result['seconds']:.0f} s",
             f"{result['busy_share']:.0%}"] for name, result in taken.items()]
    return ["## When each was taken", "",
            *table(["measurement", "begun", "commit", "took", "share of the machine busy just before or after"], rows)]
