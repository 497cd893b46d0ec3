"""What a sender typed, as the pipeline may rely on it: normalised where certain, unset with a reason where not."""

from ingest.domain.normalisation.email import delivery_email, fold_email
from ingest.domain.normalisation.employees import read_employees
from ingest.domain.normalisation.enrich import EnrichSettings, enrich, load_tables
from ingest.domain.normalisation.name import read_name
from ingest.domain.normalisation.phone import fold_phone

__all__ = [
    "EnrichSettings",
    "delivery_email",
    "enrich",
    "fold_email",
    "fold_phone",
    "load_tables",
    "read_employees",
    "read_name",
]
