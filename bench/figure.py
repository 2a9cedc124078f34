"""One line of the page's table: what was measured, how it came out, what was wanted."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Figure:
    what: str
    value: float
    # As shown, with its unit.
    text: str
    # What bars are followed by.
    unit: str = dataclasses.field(default="", kw_only=True)
    bar: float | None = None
    stretch: float | None = None
    # Row of the list of bars that this project was begun with; none for what came later.
    row: int | None = None
    more_is_better: bool = False

    @property
    def verdict(self) -> str:
        if self.reaches(self.stretch):
            return "beyond the stretch"
        if self.bar is None:
            return ""
        return "reached" if self.reaches(self.bar) else "**missed**"

    def shown(self, wanted: float | None) -> str:
        """A bar with its unit."""
        return "" if wanted is None else f"{wanted:,g} {self.unit}".strip()

    def reaches(self, wanted: float | None) -> bool:
        if wanted is None:
            return False
        return self.value >= wanted if self.more_is_better else self.value <= wanted


def ratio_figure(what: str, score: dict, bar: float | None = None, stretch: float | None = None,
                 row: int | None = None) -> Figure:
    """A ratio of minima with the median of the per-round ratios beside it."""
    return Figure(what, score["ratio"], f"{score['ratio']:.2f} ({score['median']:.2f})", bar, stretch, row)
