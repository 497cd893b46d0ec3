"""The demo from start to exit code."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from local_stack.demo.checks import find_problems
from local_stack.demo.report import print_leads, print_ledger, print_stages
from local_stack.demo.samples import Sample, make_samples
from local_stack.demo.story import AT_ONCE, Accepted, read_stories
from local_stack.failure import StackError
from local_stack.keys import admin_key
from local_stack.load.crm import Crm, start_crm
from local_stack.load.people import make_person
from local_stack.load.senders import KINDS, SENDERS, Post
from local_stack.load.setup import Setup, set_up, submissions_path
from local_stack.supervisor import RunningStack, running_stack
from shared.clock import SystemClock

LEADS = 200
LEADS_PER_SECOND = 50
SETTLE_SECONDS = 60.0
POLL_SECONDS = 0.1
ENVIRONMENT = {"ROUTING_ALLOWED_PRIVATE_TARGETS": "127.0.0.0/8"}  # the CRM of the demo is on this machine


def run_demo(data_dir: Path, console: Console) -> int:
    """Run the demo on *data_dir*; return 0 only if every promise held. Errors: `StackError`."""
    with running_stack(data_dir, environment=ENVIRONMENT, say=console.print) as stack:
        key = admin_key(data_dir, stack.servers.database_url)
        problems = asyncio.run(_Demo(stack, key, console).run())
        for problem in problems:
            console.print(f"WRONG: {problem}", style="bold red", soft_wrap=True)
        console.print(
            "Something is wrong; the logs are in " + str(data_dir / "logs") if problems else "All of it is right."
        )
        return 1 if problems else 0


class _Demo:
    def __init__(self, stack: RunningStack, key: str, console: Console) -> None:
        self._stack = stack
        self._urls = stack.urls
        self._key = key
        self._console = console
        self._clock = SystemClock()
        self._run = f"{int(self._clock.now().timestamp()):x}"
        self._problems: list[str] = []

    async def run(self) -> list[str]:
        """Set up, post, wait, tell; return what is wrong."""
        async with AsyncExitStack() as cleanup:
            crm = Crm(secret="")
            runner, crm_url = await start_crm(crm)
            cleanup.push_async_callback(runner.cleanup)
            setup = await set_up(
                self._urls,
                self._key,
                secret_key=self._stack.environment["LEADRAIL_SECRET_KEY"],
                public_url=self._urls["ingest"],
                crm_url=crm_url,
            )
            crm.secret = setup.crm_secret
            client = await cleanup.enter_async_context(
                httpx.AsyncClient(
                    headers={"Authorization": f"Bearer {self._key}"},
                    timeout=30,
                    trust_env=False,
                    limits=httpx.Limits(max_connections=AT_ONCE * len(self._urls)),
                )
            )
            sender = await cleanup.enter_async_context(
                httpx.AsyncClient(timeout=30, trust_env=False, limits=httpx.Limits(max_connections=AT_ONCE))
            )
            accepted = await self._post_samples(sender, setup)
            accepted += await self._post_leads(sender, setup)
            await self._settle(client, crm, len(accepted))
            ledger = await self._ledger(client, verify=True)
            stories = await read_stories(self._urls, client, accepted, crm.callbacks)
        print_leads(self._console, stories)
        print_ledger(self._console, ledger)
        print_stages(self._console, stories)
        for name, url in self._urls.items():
            self._console.print(f"{name:<12} docs {url}/docs  metrics {url}/metrics", soft_wrap=True)
        return self._problems + find_problems(stories, ledger, crm.refused)

    async def _post_samples(self, sender: httpx.AsyncClient, setup: Setup) -> list[Accepted]:
        accepted = []
        for sample in make_samples(setup.signing, self._clock.now(), self._run):
            answer = await self._post(sender, sample.kind, sample.post)
            self._check_answer(sample, answer)
            if answer.status_code == httpx.codes.OK:
                accepted.append(Accepted(sample.title, sample.kind, answer.json()["submission_id"]))
                await self._check_twin(sender, sample, answer)
        unknown = await sender.post(f"{self._urls['ingest']}/v1/sources/nobody-knows-it/submissions", content=b"{}")
        if unknown.status_code != httpx.codes.NOT_FOUND:
            self._problems.append(f"an unknown source is answered {unknown.status_code}, not 404")
        return accepted

    def _check_answer(self, sample: Sample, answer: httpx.Response) -> None:
        if answer.status_code != sample.status:
            self._problems.append(
                f"{sample.title}: answered {answer.status_code}, not {sample.status}: {answer.text[:200]}"
            )
        elif sample.nature is not None:
            natures = {record["nature"] for record in answer.json()["records"]}
            if sample.nature not in natures:
                self._problems.append(f"{sample.title}: became {sorted(natures)}, not {sample.nature}")

    async def _check_twin(self, sender: httpx.AsyncClient, sample: Sample, first: httpx.Response) -> None:
        """A sender that got no answer posts again: the same ids, and nothing new."""
        if sample.kind == "web_form":  # a plain form has no identifier of its own
            return
        again = await self._post(sender, sample.kind, sample.post)
        if again.json().get("submission_id") != first.json()["submission_id"]:
            self._problems.append(f"{sample.title}: the same delivery twice is two submissions")

    async def _post_leads(self, sender: httpx.AsyncClient, setup: Setup) -> list[Accepted]:
        gate = asyncio.Semaphore(AT_ONCE)

        start = asyncio.get_running_loop().time()

        async def one(number: int) -> Accepted | None:
            # At the pace of a busy site, so that the table shows what a lead takes and not how long a queue is.
            await asyncio.sleep(start + number / LEADS_PER_SECOND - asyncio.get_running_loop().time())
            kind = KINDS[number % len(KINDS)]
            person = make_person(number, population=f"{self._run}-")
            async with gate:
                answer = await self._post(sender, kind, SENDERS[kind](person, setup.signing[kind], self._clock.now()))
            if answer.status_code != httpx.codes.OK:
                self._problems.append(f"lead {number} from {kind}: answered {answer.status_code}: {answer.text[:200]}")
                return None
            return Accepted(f"lead {number}", kind, answer.json()["submission_id"])

        posted = await asyncio.gather(*map(one, range(LEADS)))
        return [item for item in posted if item is not None]

    async def _post(self, sender: httpx.AsyncClient, kind: str, post: Post) -> httpx.Response:
        return await sender.post(self._urls["ingest"] + submissions_path(kind), content=post.body, headers=post.headers)

    async def _settle(self, client: httpx.AsyncClient, crm: Crm, submissions: int) -> None:
        """Wait until nothing is in flight and no callback of this run is pending."""
        deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
        with self._console.status(f"{submissions} submissions on their way"):
            while True:
                ledger = await self._ledger(client)
                pending = await self._pending_callbacks(client)
                if ledger["balanced"] and not ledger["in_flight"] and not pending:
                    return
                if asyncio.get_running_loop().time() > deadline:
                    raise StackError(
                        f"After {SETTLE_SECONDS:.0f} s {ledger['in_flight']} records are in flight, {pending} callbacks"
                        f" are pending and the CRM has {len(crm.callbacks)}; the services' logs say why."
                    )
                await asyncio.sleep(POLL_SECONDS)

    async def _pending_callbacks(self, client: httpx.AsyncClient) -> int:
        answer = await client.get(f"{self._urls['routing']}/v1/callbacks", params={"state": "pending", "limit": 200})
        answer.raise_for_status()
        return len(answer.json()["items"])

    async def _ledger(self, client: httpx.AsyncClient, *, verify: bool = False) -> Mapping[str, Any]:
        answer = await client.get(f"{self._urls['ingest']}/v1/ledger", params={"verify": verify})
        answer.raise_for_status()
        ledger: Mapping[str, Any] = answer.json()
        return ledger
