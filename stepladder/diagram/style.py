"""The colours and letters of the drawing, for light and for dark.

Written out twice rather than with variables, which not every renderer of SVG knows.
"""

from __future__ import annotations

from typing import Final

_SANS: Final = "ui-sans-serif,system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
_MONO: Final = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"

Scheme = dict[str, str | tuple[str, str]]
"""A colour by name; for a kind of box its filling and its rim."""

_FORM: Final = f"""
text{{font-family:{_SANS}}}
.title{{font-size:16px;font-weight:600}}
.phase rect{{stroke-width:1}}
.heading text{{font-size:12px;font-weight:600;letter-spacing:.03em}}
.heading .until{{font-size:10.5px;font-weight:400;letter-spacing:0}}
.box rect,.box polygon{{stroke-width:1.4}}
.box .inner{{fill:none;stroke-width:1}}
.name{{font-size:14px;font-weight:600;text-anchor:middle}}
.detail{{font-size:11.5px;text-anchor:middle}}
.count{{font-size:11px;font-weight:600;text-anchor:middle}}
.box .badge{{stroke:none}}
.way{{fill:none;stroke-width:1.3}}
.way.taken{{stroke-width:2.4}}
.label rect{{stroke-width:1}}
.action{{font-family:{_MONO};font-size:11px;font-weight:600;text-anchor:middle}}
.guard{{font-size:10px;text-anchor:middle}}
.visited rect,.visited polygon{{stroke-width:2.2}}
.current rect,.current polygon{{stroke-width:3}}
.visited .inner,.current .inner{{stroke-width:1}}
"""

_LIGHT: Final[Scheme] = {
    "page": "#ffffff", "ink": "#1c2733", "soft": "#5b6876", "faint": "#d8dee6", "phase": "#f6f8fa", "label": "#ffffff",
    "line": "#8593a3", "accent": "#c2410c", "accent_ink": "#ffffff",
    "agent": ("#e9f1fd", "#3f6fb0"), "person": ("#fff3dc", "#b7791f"), "wait": ("#f1ecfb", "#7558a8"),
    "plain": ("#ffffff", "#7b8896"), "success": ("#e4f6ea", "#2f855a"), "failure": ("#fdeaea", "#b83b3b"),
}  # fmt: skip
_DARK: Final[Scheme] = {
    "page": "#12171d", "ink": "#e6ebf1", "soft": "#9fadbb", "faint": "#2d3742", "phase": "#181f27", "label": "#12171d",
    "line": "#75859a", "accent": "#fb923c", "accent_ink": "#1d1206",
    "agent": ("#1b2c44", "#6d9fe0"), "person": ("#3a2d12", "#dba84a"), "wait": ("#2b2340", "#a68bdb"),
    "plain": ("#1d252e", "#8b99a8"), "success": ("#15321f", "#5ab581"), "failure": ("#3b1a1c", "#e07a7a"),
}  # fmt: skip


def _colours(scheme: Scheme) -> str:
    kinds = {name: pair for name, pair in scheme.items() if isinstance(pair, tuple)}
    boxes = "".join(
        f".{name} rect,.{name} polygon{{fill:{fill};stroke:{stroke}}}.{name} .inner{{fill:none}}"
        for name, (fill, stroke) in kinds.items()
    )
    return (
        f".page{{fill:{scheme['page']}}}"
        f".title,.name,.action{{fill:{scheme['ink']}}}"
        f".detail,.guard,.heading text{{fill:{scheme['soft']}}}"
        f".phase rect{{fill:{scheme['phase']};stroke:{scheme['faint']}}}"
        f".heading rect{{fill:{scheme['phase']}}}"
        f".label rect{{fill:{scheme['label']};stroke:{scheme['faint']}}}"
        f".way{{stroke:{scheme['line']}}}.tip,.start{{fill:{scheme['line']}}}"
        f"{boxes}"
        f".way.taken{{stroke:{scheme['accent']}}}.tip-taken,.action.taken{{fill:{scheme['accent']}}}"
        f".current rect,.current polygon{{stroke:{scheme['accent']}}}"
        f".box .badge{{fill:{scheme['accent']}}}.count{{fill:{scheme['accent_ink']}}}"
    )


STYLE: Final = f"{_FORM}{_colours(_LIGHT)}\n@media (prefers-color-scheme:dark){{{_colours(_DARK)}}}\n"
"""The style sheet inside every drawing."""
