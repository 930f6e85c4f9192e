"""Draws every dashboard of the chart as one PNG, from what its panels showed in a test run.

    SHOWN=/tmp/shown cargo test -p tests --test it -- monitoring::shown     # real servers; writes /tmp/shown/shown.json
    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install -r tests/dashboards/requirements.txt
    /tmp/venv/bin/python tests/dashboards/render.py /tmp/shown              # writes /tmp/shown/siar-*.png

It is no Grafana: it knows the panels, units and options that the dashboards of the chart use, so that people can look
whether a panel tells what it should before anybody installs it. What it does not know it says.
"""

import json
import math
import pathlib
import re
import sys
import textwrap

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.patches import FancyBboxPatch  # noqa: E402

BOARDS = pathlib.Path(__file__).parent.parent.parent / "charts/siar/files/dashboards"
COLUMN, ROW = 0.85, 0.42  # inches of a cell of Grafana's grid
GAP = 0.12
PAGE, CARD, INK, FAINT = "#111217", "#181b1f", "#ccccdc", "#6e7079"
PALETTE = ["#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#96d98d", "#ffcb7d", "#ca95e5"]
COLOURS = {"green": "#73bf69", "orange": "#ff9830", "red": "#f2495c", "blue": "#5794f2", "purple": "#b877d9",
           "text": "#ccccdc", "transparent": CARD}
UNITS = {"cps": "c/s", "mps": "msg/s", "reqps": "req/s", "cpm": "c/m", "short": "", "s": "s", "bytes": "B", "Bps": "B/s"}


def number(value, unit, decimals=None):
    """A value as Grafana writes it."""
    if value is None or math.isnan(value):
        return "–"
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    suffix = UNITS.get(unit)
    if suffix is None:
        sys.exit(f"render.py does not know the unit {unit}")
    if unit == "s" and abs(value) < 1 and value:
        return f"{value * 1000:.3g} ms" if abs(value) >= 0.001 else f"{value * 1e6:.3g} µs"
    base, names = (1024, ["", "Ki", "Mi", "Gi"]) if unit == "bytes" else (1000, ["", "K", "M", "G"])
    step = 0
    while abs(value) >= base and step < 3:
        value, step = value / base, step + 1
    value += 0.0  # no -0
    plain = f"{value:.{decimals}f}" if decimals is not None else f"{value:.3g}"
    return f"{plain} {names[step]}{suffix}".strip()


def legend(target, labels):
    """The name of a series."""
    form = target.get("legendFormat", "__auto")
    if form == "__auto":
        return ", ".join(f"{name}={value}" for name, value in labels.items()) or target["expr"][:40]
    return re.sub(r"{{\s*(\w+)\s*}}", lambda found: labels.get(found[1], ""), form)


def step_colour(thresholds, value):
    colour = "green"
    for step in thresholds["steps"]:
        if step["value"] is None or (value is not None and value >= step["value"]):
            colour = step["color"]
    return COLOURS.get(colour, colour)


class Line:
    """A series of a panel, with what overrides say of it."""

    def __init__(self, panel, target, series, colour):
        defaults = panel["fieldConfig"]["defaults"]
        self.name = legend(target, series["labels"])
        self.times = [time for time, _ in series["samples"]]
        self.values = [float("nan") if value is None else value for _, value in series["samples"]]
        self.options = {"unit": defaults["unit"], "decimals": defaults.get("decimals"), **{
            f"custom.{name}": value for name, value in defaults.get("custom", {}).items()}}
        for override in panel["fieldConfig"]["overrides"]:
            matcher = override["matcher"]
            if matcher["options"] == (self.name if matcher["id"] == "byName" else target["refId"]):
                self.options |= {item["id"]: item["value"] for item in override["properties"]}
        fixed = self.options.get("color", {}).get("fixedColor")
        self.colour = COLOURS.get(fixed, fixed) or colour
        if self.options.get("custom.transform") == "negative-Y":
            self.values = [-value for value in self.values]

    def last(self):
        real = [value for value in self.values if not math.isnan(value)]
        return real[-1] if real else None

    def unit(self):
        return self.options["unit"], self.options["decimals"]


def lines(panel, shown):
    found = []
    for target in panel["targets"]:
        for series in shown.get((panel["id"], target["refId"]), []):
            found.append(Line(panel, target, series, PALETTE[len(found) % len(PALETTE)]))
    return found


def plain(axes):
    axes.set_facecolor(CARD)
    axes.tick_params(colors=FAINT, labelsize=6.5, length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.grid(color="#2c3036", linewidth=0.5)


def minutes(axes, span):
    axes.set_xlim(0, span[1] - span[0])
    axes.xaxis.set_major_formatter(lambda second, _: f"{int(second) // 60}:{int(second) % 60:02}")


def draw_stat(axes, panel, shown, span):
    axes.axis("off")
    defaults = panel["fieldConfig"]["defaults"]
    found = lines(panel, shown)
    value = found[0].last() if found else None
    text = number(value, *found[0].unit()) if value is not None else defaults.get("noValue", "No data")
    for mapping in defaults["mappings"]:
        text = mapping["options"].get(f"{value:g}" if value is not None else "", {"text": text})["text"]
    if panel["options"]["textMode"] == "name" and found:
        text = " ".join(line.name for line in found)
    colour = step_colour(defaults["thresholds"], value)
    axes.text(0.5, 0.55, text, color=colour, fontsize=20, ha="center", va="center", transform=axes.transAxes)
    if panel["options"]["graphMode"] == "area" and found:
        box = axes.inset_axes([0, 0, 1, 0.3])
        box.axis("off")
        box.fill_between(found[0].times, found[0].values, color=colour, alpha=0.25)


def draw_series(axes, panel, shown, span):
    plain(axes)
    minutes(axes, span)
    found = lines(panel, shown)
    custom = panel["fieldConfig"]["defaults"]["custom"]
    right = None
    piles = {}
    for line in found:
        where = axes
        if line.options.get("custom.axisPlacement") == "right":
            right = right or axes.twinx()
            plain(right)
            right.grid(False)
            where = right
            unit = line.unit()
            right.yaxis.set_major_formatter(lambda value, _, unit=unit: number(value, *unit))
        stack = line.options.get("custom.stacking", {})
        times = [time - span[0] for time in line.times]
        step = "post" if line.options["custom.lineInterpolation"] == "stepAfter" else None
        below = [0.0] * len(times)
        values = line.values
        if stack.get("mode") == "normal":
            pile = piles.setdefault((stack["group"], line.options.get("custom.transform")), {})
            below = [pile.get(time, 0.0) for time in times]
            values = [base + (0 if math.isnan(value) else value) for base, value in zip(below, values)]
            pile.update(zip(times, values))
        dash = "--" if line.options.get("custom.lineStyle") else "-"
        where.plot(times, values, color=line.colour, linewidth=1, linestyle=dash, drawstyle=f"steps-{step}" if step else "default")
        if custom["fillOpacity"]:
            where.fill_between(times, below, values, color=line.colour, alpha=custom["fillOpacity"] / 100, step=step, linewidth=0)
    unit = panel["fieldConfig"]["defaults"]["unit"]
    axes.yaxis.set_major_formatter(lambda value, _: number(value, unit))
    if "min" in panel["fieldConfig"]["defaults"]:
        for side in filter(None, (axes, right)):
            side.set_ylim(bottom=0, top=max(side.get_ylim()[1], 1e-6))
    if custom["thresholdsStyle"]["mode"] == "line":
        for edge in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]:
            if edge["value"] is not None:
                axes.axhline(edge["value"], color=COLOURS[edge["color"]], linewidth=0.7, linestyle=":")
    calcs = panel["options"]["legend"]["calcs"]
    handles = []
    for line in found:
        real = [value for value in line.values if not math.isnan(value)] or [float("nan")]
        told = {"lastNotNull": f"last {number(real[-1], *line.unit())}", "max": f"max {number(max(real), *line.unit())}"}
        if line.options.get("custom.transform"):
            told["max"] = f"min {number(min(real), *line.unit())}"
        handles.append((line, f"{line.name}  " + "  ".join(told[calc] for calc in calcs)))
    caption(axes, handles)


def caption(axes, handles):
    """The legend, in columns below the panel; what finds no room is counted."""
    rooms = 8
    for place, (line, text) in enumerate(handles[:rooms]):
        x, y = (place % 2) * 0.5, -0.16 - 0.08 * (place // 2)
        axes.plot([x, x + 0.02], [y + 0.015] * 2, color=line.colour, linewidth=2, transform=axes.transAxes, clip_on=False)
        axes.text(x + 0.03, y, text[:52], color=INK, fontsize=6, transform=axes.transAxes)
    if len(handles) > rooms:
        axes.text(0.97, -0.16 - 0.08 * 4, f"and {len(handles) - rooms} more", color=FAINT, fontsize=6, ha="right", transform=axes.transAxes)


def draw_heatmap(axes, panel, shown, span):
    plain(axes)
    axes.grid(False)
    minutes(axes, span)
    rows = sorted(((float(line.name), line) for line in lines(panel, shown)), key=lambda row: row[0])
    times = sorted({time for _, line in rows for time in line.times})
    grid, before = [], {}
    for _, line in rows:
        now = dict(zip(line.times, line.values))
        grid.append([max(now.get(time, 0) - before.get(time, 0), 0) for time in times])
        before = now
    masked = [[value if value > 1e-9 else float("nan") for value in row] for row in grid]
    axes.pcolormesh([time - span[0] for time in times], range(len(rows)), masked, cmap="Oranges", shading="nearest",
                    norm=matplotlib.colors.PowerNorm(0.5))
    axes.set_yticks(range(len(rows)), [number(edge, "s") if math.isfinite(edge) else "∞" for edge, _ in rows])


def draw_timeline(axes, panel, shown, span):
    plain(axes)
    minutes(axes, span)
    defaults = panel["fieldConfig"]["defaults"]
    names = {key: value for mapping in defaults["mappings"] for key, value in mapping["options"].items()}
    found = lines(panel, shown)
    for place, line in enumerate(found):
        for time, value in zip(line.times, line.values):
            told = names.get(f"{value:g}", {"color": "red"})
            axes.broken_barh([(time - span[0], 1.05)], (place - 0.35, 0.7), color=COLOURS[told["color"]], linewidth=0)
    axes.set_yticks(range(len(found)), [line.name for line in found])
    axes.set_ylim(-0.6, len(found) - 0.4)
    texts = {told["text"]: told["color"] for told in names.values()}
    for place, (text, colour) in enumerate(texts.items()):
        axes.text(place * 0.2, -0.2, f"■ {text}", color=COLOURS[colour], fontsize=7, transform=axes.transAxes)


def draw_table(axes, panel, shown, span):
    axes.axis("off")
    order = next(step["options"] for step in panel["transformations"] if step["id"] == "organize")
    heads = sorted(order["indexByName"], key=order["indexByName"].get)
    rows = {}
    for target in panel["targets"]:
        for series in shown.get((panel["id"], target["refId"]), []):
            labels = series["labels"]
            row = rows.setdefault(tuple(labels.values()), dict(labels))
            row[f"Value #{target['refId']}"] = series["samples"][-1][1]
    special = {item["matcher"]["options"]: {p["id"]: p["value"] for p in item["properties"]} for item in panel["fieldConfig"]["overrides"]}
    table = sorted(rows.values(), key=lambda row: -row.get("Value #A", 0))
    for column, head in enumerate(heads):
        name = order["renameByName"][head]
        x = column / len(heads)
        axes.text(x, 0.95, name, color=INK, fontsize=8, weight="bold", transform=axes.transAxes)
        for place, row in enumerate(table):
            value = row.get(head)
            if isinstance(value, float | int):
                how = special.get(name, {})
                told = number(value, how.get("unit", "short"), how.get("decimals"))
                bad = "thresholds" in how and value >= 1
            else:
                told, bad = value or "", False
            axes.text(x, 0.8 - 0.15 * place, told, color=COLOURS["orange"] if bad else INK, fontsize=8, transform=axes.transAxes)


DRAW = {"stat": draw_stat, "timeseries": draw_series, "heatmap": draw_heatmap, "state-timeline": draw_timeline, "table": draw_table}


def mark(axes, board, marks, span):
    """Annotations as upright lines."""
    for annotation in board["annotations"]["list"]:
        for series in marks.get(annotation["name"], []):
            if annotation.get("useValueForTime"):
                moments = {value / 1000 for _, value in series["samples"]}
            else:
                moments = [min(time for time, _ in series["samples"])]
            for moment in moments:
                if span[0] < moment < span[1]:
                    axes.axvline(moment - span[0], color=COLOURS[annotation["iconColor"]], linewidth=0.8, linestyle="--", alpha=0.8)


def page(board, shown, marks, span, out):
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"]) + 2
    width, height = 24 * COLUMN, rows * ROW
    figure = plt.figure(figsize=(width, height), facecolor=PAGE)
    figure.text(GAP / width, 1 - 0.6 * ROW / height, f"{board['title']}   {board['description']}", color=INK, fontsize=13, va="center")
    for panel in board["panels"]:
        at = panel["gridPos"]
        left, top = at["x"] * COLUMN + GAP, height - (at["y"] + 1.5) * ROW
        wide, high = at["w"] * COLUMN - 2 * GAP, at["h"] * ROW - GAP
        if panel["type"] == "row":
            figure.text(left / width, (top - 0.5 * ROW) / height, f"▾ {panel['title']}", color=INK, fontsize=11, va="center")
            continue
        card = FancyBboxPatch((left / width, (top - high) / height), wide / width, high / height, boxstyle="square,pad=0",
                              transform=figure.transFigure, facecolor=CARD, edgecolor="#2c3036", zorder=-1)
        figure.add_artist(card)
        figure.text((left + 0.08) / width, (top - 0.16) / height, panel["title"], color=INK, fontsize=9, va="center", weight="bold")
        below = 0.95 if panel["type"] == "timeseries" else 0.4 if panel["type"] != "stat" else 0.05
        side = 0.1 if panel["type"] in ("stat", "table") else 0.75 if panel["type"] != "state-timeline" else 1.5
        box = [(left + side) / width, (top - high + below) / height, (wide - side - 0.55) / width, (high - below - 0.35) / height]
        axes = figure.add_axes(box)
        DRAW[panel["type"]](axes, panel, shown, span)
        if panel["type"] == "timeseries":
            mark(axes, board, marks, span)
    figure.savefig(out, dpi=100, facecolor=PAGE)
    plt.close(figure)
    print(out)


def main():
    if len(sys.argv) != 2:
        sys.exit(textwrap.dedent(__doc__))
    folder = pathlib.Path(sys.argv[1])
    saved = json.loads((folder / "shown.json").read_text())
    span = (saved["from"], saved["to"])
    for path in sorted(BOARDS.glob("*.json")):
        board = json.loads(path.read_text())
        own = [item for item in saved["shown"] if item["dashboard"] == board["uid"]]
        shown = {(item["panel"], item["target"]): item["series"] for item in own if item["panel"] is not None}
        marks = {item["name"]: item["series"] for item in own if item["panel"] is None}
        page(board, shown, marks, span, folder / f"{board['uid']}.png")


main()
