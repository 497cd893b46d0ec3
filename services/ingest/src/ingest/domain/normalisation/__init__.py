"""What a sender typed, as the rest of the pipeline may rely on it: normalised where certain, unset with a reason where not."""

from ingest.domain.normalisation.email import delivery_email, fold_email
from ingest.domain.normalisation.enrich import EnrichSettings, enrich
from ingest.domain.normalisation.phone import fold_phone

__all__ = ["EnrichSettings", "delivery_email", "enrich", "fold_email", "fold_phone"]
