"""Ingest's repository: one per transaction, cheap to make."""

from ingest.repository_intake import IntakeRepository
from ingest.repository_leads import LeadRepository
from ingest.repository_ledger import LedgerRepository
from ingest.repository_quarantine import QuarantineRepository
from ingest.repository_sources import SourceRepository
from shared.db import Sql


class IngestRepository:
    """The statements of one transaction, by subject."""

    __slots__ = ("intake", "leads", "ledger", "quarantine", "sources", "sql")

    def __init__(self, sql: Sql) -> None:
        self.sql = sql
        self.intake = IntakeRepository(sql)
        self.leads = LeadRepository(sql)
        self.ledger = LedgerRepository(sql)
        self.quarantine = QuarantineRepository(sql)
        self.sources = SourceRepository(sql)
