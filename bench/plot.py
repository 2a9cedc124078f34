"""Bar charts as SVG, without a library: the page must render where nothing but a browser is."""
import dataclasses
from html import escape

WIDTH, LEFT, RIGHT = 760, 210, 70
BAR, GAP, GROUP_GAP, TOP, BOTTOM = 16, 4, 14, 52, 14
# One colour per target on all charts, by the beginning of its name; what is not named is ours.
COLOURS = {
    "wharf, tunnel": "#79b8ff",
    "direct": "#d0d7de",
    "nginx": "#8c959f",
    "two nginx, TLS between": "#57606a",
    "two nginx": "#6e7781",
    "haproxy": "#bf8700",
    "configurable-http-proxy": "#a475f9",
    "": "#1f6feb",
}


@dataclasses.dataclass
class Chart:
    """Groups of bars: `{"64 connections": {"nginx": 20.5, …}}`; the shorter a bar the better."""

    title: str
    unit: str
    groups: dict[str, dict[str, float]]

    def svg(self) -> str:
        largest = max((value for bars in self.groups.values() for value in bars.values()), default=1) or 1
        scale = (WIDTH - LEFT - RIGHT) / largest
        parts, y = [], TOP
        for group, bars in self.groups.items():
            if group:
                parts.append(text(LEFT, y + 11, group, "bold"))
                y += BAR + GAP
            for name, value in bars.items():
                parts.append(text(LEFT - 8, y + 12, name, anchor="end"))
                parts.append(f'<rect x="{LEFT}" y="{y}" width="{max(1, value * scale):.1f}" height="{BAR}" rx="2" '
                             f'fill="{colour_of(name)}"/>')
                parts.append(text(LEFT + max(1, value * scale) + 6, y + 12, short(value)))
                y += BAR + GAP
            y += GROUP_GAP
        height = y + BOTTOM
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
                f'height="{height}" role="img" font-family="system-ui, sans-serif" font-size="12">'
                f'<title>{escape(self.title)}</title><rect width="100%" height="100%" fill="#ffffff"/>')
        title = text(16, 22, self.title, "bold", size=15) + text(16, 40, f"{self.unit}; shorter is better", colour="#57606a")
        return "\n".join([head, title, *parts, "</svg>"]) + "\n"


def colour_of(name: str) -> str:
    return next(colour for beginning, colour in COLOURS.items() if name.startswith(beginning))


def text(x: float, y: float, words: str, weight: str = "normal", *, anchor: str = "start", size: int = 12,
         colour: str = "#1f2328") -> str:
    return (f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" font-size="{size}" '
            f'fill="{colour}">{escape(words)}</text>')


def short(value: float) -> str:
    """Three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
