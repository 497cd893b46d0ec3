"""The demo from start to exit code."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from local_stack.demo.checks import Run, find_problems
from local_stack.demo.place import Place, demo_place
from local_stack.demo.posting import AT_ONCE, Delivery, Poster
from local_stack.demo.progress import Progress
from local_stack.demo.report import print_run, print_urls, summarize
from local_stack.demo.samples import make_samples
from local_stack.demo.speed import Buckets, between, read_buckets
from local_stack.demo.story import Reader
from local_stack.failure import StackError
from local_stack.load.crm import Crm, start_crm
from local_stack.load.setup import Setup, remove_endpoint, set_up
from shared.clock import SystemClock

LEADS = 200
LEADS_PER_SECOND = 50.0  # a busy site's pace: the table shows what a lead takes and not how long a queue is
SETTLE_SECONDS = 60.0
POLL_SECONDS = 0.1
PROBLEMS_SHOWN = 20
OBSERVED = {"captured": "ingest"}
"""Stages of which no instant is stored, and the service whose histogram has them."""


def run_demo(data_dir: Path, console: Console) -> int:
    """Run the demo; return 0 only if every promise held. Errors: `StackError`."""
    with demo_place(data_dir, console.print) as place:
        try:
            problems = asyncio.run(_Demo(place, console).run())
        except httpx.HTTPError as error:
            place.check_running()
            raise StackError(f"{error or type(error).__name__}; the logs are in {place.logs}") from error
        for problem in problems[:PROBLEMS_SHOWN]:
            console.print(f"WRONG: {problem}", style="bold red", soft_wrap=True, markup=False)
        if not problems:
            console.print("All of it is right.")
            return 0
        hint = f"The logs are in {place.logs}; `make clean` forgets what earlier runs left."
        console.print(f"{len(problems)} things are wrong. {hint}", soft_wrap=True)
        return 1


class _Demo:
    def __init__(self, place: Place, console: Console) -> None:
        self._place = place
        self._urls = place.urls
        self._console = console
        self._clock = SystemClock()
        self._run = f"{int(self._clock.now().timestamp() * 1000):x}"  # in every id and address: kept data has others

    async def run(self) -> list[str]:
        """Set up, post, wait, tell; return what is wrong."""
        async with self._client() as client, self._crm() as (crm, setup):
            before = await self._ledger(client)
            seen_before = await self._observed(client)
            samples, deliveries = await self._post(setup)
            pending, unsettled = await self._settle(client, crm, setup.endpoint_id)
            run = Run(
                deliveries=deliveries,
                stories=await Reader(client, self._urls).read(deliveries, crm.callbacks),
                ledger_before=before,
                ledger=await self._ledger(client, verify=True),
                pending_callbacks=pending,
                refused=crm.refused,
                is_alone=self._place.is_alone,
            )
            seen = await self._observed(client)
        print_run(self._console, run, samples, {one: between(seen_before[one], seen[one]) for one in OBSERVED})
        print_urls(self._console, self._urls)
        self._console.print(summarize(run), soft_wrap=True)
        return unsettled + find_problems(run)

    def _client(self) -> httpx.AsyncClient:
        """Return a client with a pool per service: httpx looks through a whole pool for each request (1 ms at 40)."""
        limits = httpx.Limits(max_connections=AT_ONCE)
        pools = {url: httpx.AsyncHTTPTransport(limits=limits, trust_env=False) for url in self._urls.values()}
        headers = {"Authorization": f"Bearer {self._place.admin_key}"}
        return httpx.AsyncClient(headers=headers, timeout=30, trust_env=False, mounts=pools)

    @asynccontextmanager
    async def _crm(self) -> AsyncIterator[tuple[Crm, Setup]]:
        """Yield a CRM that is told of assignments; at the end it is not any more."""
        crm = Crm(secret="")
        runner, url = await start_crm(crm)
        try:
            setup = await set_up(
                self._urls,
                self._place.admin_key,
                secret_key=self._place.secret_key,
                public_url=self._place.public_url,
                crm_url=url,
            )
            crm.secret = setup.crm_secret
            try:
                yield crm, setup
            finally:
                with suppress(httpx.HTTPError):  # a service that ended has been reported
                    await remove_endpoint(self._urls, self._place.admin_key, setup.endpoint_id)
        finally:
            await runner.cleanup()

    async def _post(self, setup: Setup) -> tuple[int, list[Delivery]]:
        samples = make_samples(setup.signing, self._clock.now(), self._run)
        limits = httpx.Limits(max_connections=AT_ONCE)
        with Progress(self._console, "posted", LEADS) as progress:
            async with httpx.AsyncClient(timeout=30, trust_env=False, limits=limits) as sender:
                poster = Poster(sender, self._urls["ingest"], setup, self._clock)
                deliveries = await poster.post_samples(samples)
                deliveries += await poster.post_leads(LEADS, LEADS_PER_SECOND, f"{self._run}-", progress.advance)
        return len(samples), deliveries

    async def _settle(self, client: httpx.AsyncClient, crm: Crm, endpoint_id: str) -> tuple[int, list[str]]:
        """Wait until nothing is in flight and no callback pending; return how many are, and what that means."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SETTLE_SECONDS
        with Progress(self._console, "waiting for the last ones", None) as progress:
            while True:
                self._place.check_running()
                ledger = await self._ledger(client)
                pending = await self._pending_callbacks(client, endpoint_id)
                if ledger["balanced"] and not ledger["in_flight"] and not pending:
                    return 0, []
                if loop.time() > deadline:
                    waited = f"after {SETTLE_SECONDS:.0f} s {ledger['in_flight']} records are in flight, {pending}"
                    return pending, [f"{waited} callbacks pending, {len(crm.callbacks)} callbacks received"]
                progress.tell(f"{ledger['in_flight']} records in flight, {pending} callbacks pending")
                await asyncio.sleep(POLL_SECONDS)

    async def _pending_callbacks(self, client: httpx.AsyncClient, endpoint_id: str) -> int:
        params: dict[str, str | int] = {"state": "pending", "endpoint_id": endpoint_id, "limit": 200}
        answer = await client.get(f"{self._urls['routing']}/v1/callbacks", params=params)
        answer.raise_for_status()
        return len(answer.json()["items"])

    async def _ledger(self, client: httpx.AsyncClient, *, verify: bool = False) -> Mapping[str, Any]:
        answer = await client.get(f"{self._urls['ingest']}/v1/ledger", params={"verify": verify})
        answer.raise_for_status()
        ledger: Mapping[str, Any] = answer.json()
        return ledger

    async def _observed(self, client: httpx.AsyncClient) -> dict[str, Buckets]:
        """Return the histograms of `OBSERVED` as they are now."""
        observed: dict[str, Buckets] = {}
        for stage, service in OBSERVED.items():
            answer = await client.get(f"{self._urls[service]}/metrics")
            answer.raise_for_status()
            observed[stage] = read_buckets(answer.text, stage)
        return observed
