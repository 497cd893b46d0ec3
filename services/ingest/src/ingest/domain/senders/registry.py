"""All kinds of senders. A new one is a module here and a line below."""

from ingest.domain.senders import cloudevents, generic_json, hubspot, standard_webhooks, typeform, web_form, zoom
from ingest.domain.senders.sender import Sender

SENDERS: dict[str, Sender] = {
    sender.kind: sender
    for sender in (
        web_form.SENDER,
        zoom.SENDER,
        typeform.SENDER,
        hubspot.SENDER,
        standard_webhooks.SENDER,
        cloudevents.SENDER,
        generic_json.SENDER,
    )
}
STAND_IN = standard_webhooks.SENDER
"""What a request for an unknown source is verified as, so that its answer takes the usual time."""
