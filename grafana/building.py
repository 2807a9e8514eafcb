"""Makes of a board what Grafana reads.

In: a `Board`. Out: JSON text, the same to the byte each time. Counterparts: `__main__.py` writes
it; `board.py` says what a board is. The SDK (`grafana-foundation-sdk`) knows Grafana's schema, and
gives panels their places; it gives neither them nor their queries names, so that happens here.
"""

import itertools
import json
import string
from collections.abc import Iterator, Sequence
from typing import Any, Final

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.builders import prometheus, stat, table, text, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as prometheus_models
from grafana_foundation_sdk.models import text as text_models

from grafana.board import Board, Kind, Marks, Nodes, Panel, Query, Section, Unit
from grafana.runbooks import runbook_url

TAG: Final = "sipfarm"
"""Of all boards, by which each links to all others."""
_DATASOURCE: Final = common.DataSourceRef(type_val="prometheus", uid="$datasource")
_COLOURS: Final = ("green", "orange", "red")
Figures = timeseries.Panel | stat.Panel | table.Panel


def as_json(board: Board) -> str:
    """The board as Grafana reads it."""
    return json.dumps(build(board), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def build(board: Board) -> models.Dashboard:
    """The board in the SDK's terms."""
    made = (
        dashboards.Dashboard(board.title)
        .uid(board.uid)
        .description(board.text)
        .tags([TAG])
        .readonly()
        .time("now-1h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(
            dashboards.DashboardLink("sipfarm")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .include_vars(True)
            .keep_time(True)
        )
    )
    for variable in _variables(board):
        made = made.with_variable(variable)
    numbers = itertools.count(1)
    for section in board.sections:
        made = _with_section(made, section, numbers)
    return made.build()


def _with_section(
    board: dashboards.Dashboard, section: Section, numbers: Iterator[int]
) -> dashboards.Dashboard:
    board = board.with_row(dashboards.Row(section.title).id(next(numbers)))
    for panel in section.panels:
        board = board.with_panel(_panel(panel, next(numbers)))
    return board


def _variables(
    board: Board,
) -> Iterator[dashboards.DatasourceVariable | dashboards.QueryVariable]:
    yield dashboards.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    yield _choice("farm", "Farm", "label_values(sipfarm_info, farm)")
    if board.nodes is Nodes.ALL:
        return
    node = _choice("node", "Node", 'label_values(up{farm="$farm"}, node)')
    if board.nodes is Nodes.SOME:
        everything = models.VariableOption(selected=True, text="All", value="$__all")
        node = node.multi(True).include_all(True).all_value(".+").current(everything)
    yield node


def _choice(name: str, label: str, query: str) -> dashboards.QueryVariable:
    return (
        dashboards.QueryVariable(name)
        .label(label)
        .datasource(_DATASOURCE)
        .query({"query": query, "refId": name})
        .definition(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )


def _panel(panel: Panel, number: int) -> text.Panel | Figures:
    if panel.kind is Kind.NOTE:
        return (
            text.Panel()
            .title(panel.title)
            .id(number)
            .span(panel.width)
            .height(panel.height)
            .mode(text_models.TextMode.MARKDOWN)
            .content(panel.text)
        )
    made = (
        _figures(panel)
        .title(panel.title)
        .description(panel.text)
        .id(number)
        .span(panel.width)
        .height(panel.height)
        .datasource(_DATASOURCE)
        .unit(panel.unit)
        .links([_runbook(alert, url) for alert in panel.alerts if (url := runbook_url(alert))])
    )
    for letter, query in zip(string.ascii_uppercase, panel.queries, strict=False):
        made = made.with_target(_target(panel.kind, letter, query))
    return made


def _figures(panel: Panel) -> Figures:
    if panel.kind is Kind.GRAPH:
        return _graph(panel)
    return _number(panel) if panel.kind is Kind.NUMBER else _table(panel)


def _target(kind: Kind, letter: str, query: Query) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(letter).expr(query.expression).datasource(_DATASOURCE)
    if kind is Kind.TABLE:
        return target.instant().format(prometheus_models.PromQueryFormat.TABLE)
    return target.range().legend_format(query.legend or "__auto")


def _runbook(alert: str, url: str) -> dashboards.DashboardLink:
    return (
        dashboards.DashboardLink(f"Runbook: {alert}")
        .type(models.DashboardLinkType.LINK)
        .url(url)
        .target_blank(True)
    )


def _graph(panel: Panel) -> timeseries.Panel:
    made = (
        timeseries.Panel()
        .line_width(1)
        .fill_opacity(25 if panel.is_stacked else 8)
        .show_points(common.VisibilityMode.NEVER)
        .axis_soft_min(0)
        .legend(
            common_builders.VizLegendOptions()
            .show_legend(True)
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
        )
        .tooltip(
            common_builders.VizTooltipOptions()
            .mode(common.TooltipDisplayMode.MULTI)
            .sort(common.SortOrder.DESCENDING)
        )
    )
    if panel.unit is Unit.SHARE:
        made = made.max(1)
    # An axis up to 100 makes much of nothing.
    if panel.unit in (Unit.PER_SECOND, Unit.REQUESTS_PER_SECOND):
        made = made.axis_soft_max(0.1)
    if panel.unit is Unit.COUNT:
        made = made.axis_soft_max(1)
    if panel.is_stacked:
        made = made.stacking(
            common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A")
        )
    if panel.marks is not None:
        style = common.GraphThresholdsStyleMode.DASHED
        made = made.thresholds(_steps(panel.marks)).thresholds_style(
            common_builders.GraphThresholdsStyleConfig().mode(style)
        )
    return made


def _number(panel: Panel) -> stat.Panel:
    is_plain = panel.unit in (Unit.YES_OR_NO, Unit.SECONDS)
    made = (
        stat.Panel()
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .min(0)
        .color_mode(common.BigValueColorMode.VALUE)
        .wide_layout(False)
        .graph_mode(common.BigValueGraphMode.NONE if is_plain else common.BigValueGraphMode.AREA)
        .text_mode(common.BigValueTextMode.VALUE_AND_NAME if panel.queries[0].legend else
                   common.BigValueTextMode.VALUE)
        .color_scheme(
            dashboards.FieldColor().mode(models.FieldColorModeId.THRESHOLDS)
        )
    )  # fmt: skip
    if panel.marks is None:
        return made.thresholds(_plain("blue"))
    return made.thresholds(_steps(panel.marks))


def _table(panel: Panel) -> table.Panel:
    made = table.Panel().show_header(True)
    made = made.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    letters = string.ascii_uppercase[: len(panel.queries)]
    names = {f"Value #{letter}": q.legend for letter, q in zip(letters, panel.queries, strict=True)}
    order = {name: place for place, name in enumerate(("node", "zone", *names))}
    made = made.with_transformation(
        models.DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {"Time": True},
                "indexByName": order,
                "renameByName": {"node": "Node", "zone": "Zone", **names},
            },
        )
    )
    for query in panel.queries:
        made = made.override_by_name(query.legend, list(_column(query)))
    return made.thresholds(_plain("text"))


def _column(query: Query) -> Iterator[models.DynamicConfigValue]:
    yield models.DynamicConfigValue(id_val="unit", value=str(query.unit or Unit.COUNT))
    if query.marks is not None:
        steps = _steps(query.marks).build().to_json()
        yield models.DynamicConfigValue(id_val="thresholds", value=steps)
        yield models.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"})


def _plain(colour: str) -> dashboards.ThresholdsConfig:
    return _config([models.Threshold(color=colour)])


def _steps(marks: Marks) -> dashboards.ThresholdsConfig:
    """Well, to be looked at, bad; the other way round where a small figure is the bad one."""
    well, warning, critical = _COLOURS
    if marks.low_is_bad:
        steps = [(None, critical), (marks.critical, warning), (marks.warning, well)]
    else:
        steps = [(None, well), (marks.warning, warning), (marks.critical, critical)]
    return _config([models.Threshold(value=value, color=colour) for value, colour in steps])


def _config(steps: Sequence[models.Threshold]) -> dashboards.ThresholdsConfig:
    absolute = models.ThresholdsMode.ABSOLUTE
    return dashboards.ThresholdsConfig().mode(absolute).steps(list(steps))


def read_back(made: dict[str, Any]) -> models.Dashboard:
    """A dashboard's JSON in the SDK's terms, which checks it against Grafana's schema."""
    return models.Dashboard.from_json(made)
