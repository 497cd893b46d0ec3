"""The few kinds of panel that our dashboards use."""

from typing import NamedTuple

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Threshold, ThresholdsMode

DATASOURCE = DataSourceRef(type_val="prometheus", uid="leadrail-prometheus")


class Line(NamedTuple):
    """One query of a panel and the name of its series."""

    query: str
    legend: str


def quantile(metric: str, fraction: float, by: str) -> str:
    """Return PromQL for a quantile of histogram *metric* over five minutes, one series per *by*."""
    return f"histogram_quantile({fraction}, sum by (le, {by}) (rate({metric}_bucket[$__rate_interval])))"


def per_second(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}[$__rate_interval]))"


def lines(title: str, why: str, unit: str, *queries: Line, width: int = 12) -> timeseries.Panel:
    """Return a time series panel; *why* is what the reader should conclude."""
    panel = timeseries.Panel().title(title).description(why).unit(unit).datasource(DATASOURCE).height(8).span(width)
    panel = panel.min(0).legend(common.VizLegendOptions().show_legend(show_legend=True))
    for number, line in enumerate(queries):
        panel = panel.with_target(_target(line, number))
    return panel


def number(title: str, why: str, unit: str, query: str, *, red_from: float, width: int = 4) -> stat.Panel:
    """Return a single number that turns red at *red_from*."""
    steps = [Threshold(value=None, color="green"), Threshold(value=red_from, color="red")]
    thresholds = dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
    panel = stat.Panel().title(title).description(why).unit(unit).datasource(DATASOURCE).height(4).span(width)
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    return panel.thresholds(thresholds).with_target(_target(Line(query, title), 0).instant())


def _target(line: Line, number: int) -> prometheus.Dataquery:
    query = prometheus.Dataquery().expr(line.query).legend_format(line.legend)
    return query.ref_id("ABCDEFGH"[number]).datasource(DATASOURCE)
