"""Faults of every kind, several at once, under load, from seeds: every promise is kept. And a broken one is seen."""

import json
from collections import Counter

import pytest
import typer
from tests.e2e.evidence import execute

from .faults_of_processes import Kill
from .plan import KINDS, Step, find_kinds, make_plan
from .run import judge, run_plan
from .site import Site

pytestmark = pytest.mark.timeout(400)  # servers and services start first, on whatever else runs here

SEEDS = ("2026-bj", "2026-cq", "2026-gr")
FAULTS = 14
PER_SECOND = 20.0
AT_ONCE = 9
LOSE_OWNERS = "UPDATE routing.assignment SET ended_at = '2000-01-01Z' WHERE ended_at IS NULL"
FIND_OWNERS = "UPDATE routing.assignment SET ended_at = NULL WHERE ended_at = '2000-01-01Z'"
PLANS = {seed: make_plan(seed, FAULTS) for seed in SEEDS}


def test_seeds_of_this_module_hold_every_kind_and_forty_faults() -> None:
    assert sorted(find_kinds(list(PLANS.values()))) == sorted(KINDS)
    assert sum(map(len, PLANS.values())) >= 40


@pytest.mark.parametrize("seed", SEEDS)
async def test_faults_of_all_kinds_at_once_break_no_promise(site: Site, seed: str) -> None:
    report = await run_plan(site, PLANS[seed], per_second=PER_SECOND, at_once=AT_ONCE)
    typer.echo(json.dumps({"seed": seed, **report.as_json()}))  # shown when it fails, and by -rP
    again = f"make chaos SEED={seed} KILLS={FAULTS}"
    assert report.found == [], f"{again} runs the same plan, and finds the shortest part of it that fails"
    assert report.kinds == Counter(step.fault.kind for step in PLANS[seed])
    assert report.promises > 0


async def test_planted_loss_of_owners_is_found_by_a_run(site: Site) -> None:
    await site.traffic.pour(12, PER_SECOND, "planted")
    assert await judge(site) == []
    await execute(site.installation, LOSE_OWNERS)
    report = await run_plan(site, [Step(8, 0.0, Kill("consent", 0.0))], per_second=PER_SECOND, at_once=1)
    await execute(site.installation, FIND_OWNERS)
    assert [found for found in report.found if "lost their owner" in found] != []
    assert await judge(site) == [], "what is not broken any more is acquitted again"
