"""SVG for a README: one frame, one set of colours, in light and in dark."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

SANS = "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', sans-serif"
MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
# Each class: the property that it sets, its colour in light and in dark.
_COLORS = {
    "paper": ("fill", "#ffffff", "#0d1117"),
    "frame": ("stroke", "#d1d9e0", "#3d444d"),
    "ink": ("fill", "#1f2328", "#f0f6fc"),
    "muted": ("fill", "#59636e", "#9198a1"),
    "rule": ("stroke", "#d1d9e0", "#3d444d"),
    "edge": ("stroke", "#59636e", "#9198a1"),
    "ink-line": ("stroke", "#1f2328", "#f0f6fc"),
    "blue": ("fill", "#0969da", "#4493f8"),
    "blue-line": ("stroke", "#0969da", "#4493f8"),
    "orange": ("fill", "#bc4c00", "#f0883e"),
    "orange-line": ("stroke", "#bc4c00", "#f0883e"),
    "purple": ("fill", "#8250df", "#ab7df8"),
    "gray": ("fill", "#afb8c1", "#59636e"),
    "shade": ("fill", "#eff2f5", "#1b2129"),
}


def picture(
    title: str, description: str, size: tuple[int, int], body: Iterable[str], style: str = ""
) -> str:
    """A whole SVG file. `title` and `description` are what a screen reader says."""
    width, height = size
    shown = "\n".join(body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-labelledby="title desc">\n'
        f'<title id="title">{escape(title)}</title>\n'
        f'<desc id="desc">{escape(description)}</desc>\n'
        f"<style>\n{_theme(1)}@media (prefers-color-scheme: dark) {{\n{_theme(2)}}}\n"
        f"text {{ font: 16px {SANS} }}\n.mono {{ font-family: {MONO} }}\n"
        f".small {{ font-size: 14px }}\n.bold {{ font-weight: 600 }}\n"
        f".end {{ text-anchor: end }}\n.middle {{ text-anchor: middle }}\n{style}</style>\n"
        f'<rect class="paper frame" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" '
        f'rx="6"/>\n{shown}\n</svg>\n'
    )


def _theme(scheme: int) -> str:
    return "".join(f".{name} {{ {each[0]}: {each[scheme]} }}\n" for name, each in _COLORS.items())


def text(x: float, y: float, words: str, look: str = "ink", more: str = "") -> str:
    """Words whose baseline begins, or as `look` has it ends or is centred, at x and y.

    `more`, here and below: further attributes.
    """
    return f'<text class="{look}" x="{x:g}" y="{y:g}"{more}>{escape(words, quote=False)}</text>'


def rect(x: float, y: float, width: float, height: float, look: str, more: str = "") -> str:
    """A rectangle."""
    return f'<rect class="{look}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"{more}/>'


def line(x1: float, y1: float, x2: float, y2: float, look: str, more: str = "") -> str:
    """A line."""
    return f'<line class="{look}" x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"{more}/>'
