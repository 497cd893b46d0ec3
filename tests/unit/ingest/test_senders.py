"""What each sender's payload turns into."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from ingest.domain.records import (
    ActivityRecord,
    ConsentRecord,
    IgnoredRecord,
    LeadRecord,
    Record,
    UnmappableRecord,
)
from ingest.domain.refusal import RefusedBody
from ingest.domain.senders import cloudevents, generic_json, standard_webhooks, typeform, web_form, zoom
from ingest.domain.senders.registry import SENDERS
from ingest.domain.source import ConsentNotice, Inbound, SourceDefaults

MakeInbound = Callable[..., Inbound]
Webhook = Callable[[str], Any]
NOTICE = ConsentNotice(field="agree", notice_version="2026-01", text_shown="Call me", purposes=("sales_contact",))
WITH_NOTICE = {"defaults": SourceDefaults(consent=NOTICE)}


def only(records: tuple[Record, ...]) -> Any:
    [record] = records
    return record


def test_a_form_maps_what_people_call_their_fields(make_inbound: MakeInbound):
    form = {
        "Your-Email": "jill@example.com", "Full Name": "Jill van Chill", "Company_Size": "51-200", "Tel.": "+1 650",
        "utm_source": "google", "gclid": "abc", "favourite colour": "teal", "Message": "Hello\r\nthere",
    }  # fmt: skip
    record = only(web_form.map_delivery(make_inbound(form, "web_form", is_form=True)))
    assert record.lead.email == "jill@example.com"
    assert (record.lead.first_name, record.lead.last_name) == ("Jill", "van Chill")
    assert (record.lead.employees, record.lead.message) == (51, "Hello\nthere")
    assert record.lead.custom == {"favourite colour": "teal", "employees_as_sent": "51-200"}
    assert (record.touch.utm_source, record.touch.click_id) == ("google", "abc")


@pytest.mark.parametrize(
    ("value", "state"), [("on", "given"), ("true", "given"), ("false", "refused"), ("0", "refused")]
)
def test_a_consent_box_is_evidence_with_the_notice_of_its_source(make_inbound: MakeInbound, value: str, state: str):
    inbound = make_inbound({"email": "a@b.de", "agree": value}, "web_form", WITH_NOTICE, is_form=True)
    [signal] = only(web_form.map_delivery(inbound)).consent
    assert (signal.state, signal.notice_version, signal.text_shown) == (state, "2026-01", "Call me")


def test_an_unticked_box_is_not_sent_and_means_no(make_inbound: MakeInbound):
    inbound = make_inbound({"email": "a@b.de"}, "web_form", WITH_NOTICE, is_form=True)
    assert only(web_form.map_delivery(inbound)).consent[0].state == "refused"


def test_json_without_the_box_says_nothing_about_consent(make_inbound: MakeInbound):
    assert only(web_form.map_delivery(make_inbound({"email": "a@b.de"}, "web_form", WITH_NOTICE))).consent == ()


def test_a_tick_beside_an_unknown_text_is_no_proof(make_inbound: MakeInbound):
    [signal] = only(web_form.map_delivery(make_inbound({"email": "a@b.de", "consent": True}, "web_form"))).consent
    assert (signal.state, signal.notice_version) == ("given", None)


def test_a_filled_honeypot_is_a_bot_until_a_person_says_otherwise(make_inbound: MakeInbound):
    form = {"email": "a@b.de", "lr_confirm": "http://spam"}
    assert only(web_form.map_delivery(make_inbound(form, "web_form"))) == UnmappableRecord(reason="honeypot")
    reviewed = only(web_form.map_delivery(make_inbound(form, "web_form", is_reviewed=True)))
    assert (reviewed.lead.email, reviewed.lead.custom) == ("a@b.de", {})


def test_the_page_tells_the_campaign_if_the_form_does_not(make_inbound: MakeInbound):
    headers = {b"referer": b"https://acme.example/demo?utm_source=li&utm_campaign=q4"}
    record = only(web_form.map_delivery(make_inbound({"email": "a@b.de"}, "web_form", is_form=True, headers=headers)))
    assert (record.touch.utm_source, record.touch.utm_campaign) == ("li", "q4")


def test_a_demo_form_proves_a_demo_request(make_inbound: MakeInbound):
    source = {"defaults": SourceDefaults(activities=("demo_request",), country="DE", campaign="autumn")}
    record = only(web_form.map_delivery(make_inbound({"email": "a@b.de"}, "web_form", source)))
    assert (record.activities, record.lead.country, record.touch.utm_campaign) == (("demo_request",), "DE", "autumn")


def test_a_source_may_name_its_fields_itself(make_inbound: MakeInbound):
    source = {"field_mapping": {"q1": "email", "q2": "persona"}}
    record = only(web_form.map_delivery(make_inbound({"q1": "a@b.de", "q2": "CFO"}, "web_form", source)))
    assert (record.lead.email, record.lead.custom) == ("a@b.de", {"persona": "CFO"})


def test_nothing_that_breaks_a_header_or_a_crm_field_gets_through(make_inbound: MakeInbound):
    form = {"email": "a@b.de", "company": "Acme\r\nBcc: x\x00", "title": "\u202eCEO" + "x" * 500}
    lead = only(web_form.map_delivery(make_inbound(form, "web_form"))).lead
    assert lead.company == "Acme Bcc: x"
    assert lead.title.startswith("CEO")
    assert len(lead.title) <= 300


def test_nested_objects_are_looked_into(make_inbound: MakeInbound):
    payload = {"contact": {"email": "a@b.de", "address": {"city": "Bonn"}}, "company": {"name": "Acme"}}
    lead = only(web_form.map_delivery(make_inbound(payload, "web_form"))).lead
    assert (lead.email, lead.city, lead.company) == ("a@b.de", "Bonn", "Acme")


def test_a_zoom_registration_is_a_lead_that_registered(make_inbound: MakeInbound, webhook: Webhook):
    record = only(zoom.map_delivery(make_inbound(webhook("zoom/webinar.registration_created.json"), "zoom")))
    assert isinstance(record, LeadRecord)
    assert (record.lead.email, record.lead.company, record.lead.title) == ("jchill@example.com", "Cooking Org", "Chef")
    assert (record.lead.employees, record.lead.region, record.activities) == (1, "CA", ("webinar_registration",))
    assert record.external_id == "zoom:iFxeBPYun6SAiWUzBcEkX"
    assert "What do you hope to learn from this meeting?" not in record.lead.custom
    assert len([name for name in record.lead.custom if name.startswith("What do you hope")]) == 1


def test_joining_is_an_activity_of_the_registrant(make_inbound: MakeInbound, webhook: Webhook):
    record = only(zoom.map_delivery(make_inbound(webhook("zoom/webinar.participant_joined.json"), "zoom")))
    assert isinstance(record, ActivityRecord)
    assert (record.kind, record.lead.email) == ("webinar_attendance", "jchill@example.com")
    assert (record.lead.first_name, record.lead.last_name) == ("Jill", "Chill")
    assert record.occurred_at.isoformat() == "2021-07-13T21:44:51+00:00"


def test_the_meeting_id_may_be_a_number_or_a_text(make_inbound: MakeInbound, webhook: Webhook):
    payload = webhook("zoom/webinar.participant_joined.json")
    details = []
    for meeting_id in ("1234567890", 1234567890):
        payload["payload"]["object"]["id"] = meeting_id
        details.append(only(zoom.map_delivery(make_inbound(payload, "zoom"))).detail)
    assert details[0] == details[1] == {"webinar_id": "1234567890"}


def test_a_zoom_delivery_repeats_by_event_account_time_meeting_and_person(make_inbound: MakeInbound, webhook: Webhook):
    payload = webhook("zoom/webinar.registration_created.json")
    keys = [only(zoom.map_delivery(make_inbound(payload, "zoom"))).dedupe_key for _ in range(2)]
    payload["payload"]["object"]["registrant"]["id"] = "another"
    keys.append(only(zoom.map_delivery(make_inbound(payload, "zoom"))).dedupe_key)
    assert keys[0] == keys[1] != keys[2]


def test_a_guest_without_a_name_tag_is_ignored(make_inbound: MakeInbound, webhook: Webhook):
    payload = webhook("zoom/webinar.participant_joined.json")
    payload["payload"]["object"]["participant"] |= {"email": "", "registrant_id": ""}
    assert only(zoom.map_delivery(make_inbound(payload, "zoom"))).reason == "anonymous_participant"


def test_the_zoom_handshake_is_answered_with_the_proven_secret(make_inbound: MakeInbound, webhook: Webhook):
    expected = webhook("zoom/vectors.json")["url_validation"]
    payload = {"event": "endpoint.url_validation", "payload": {"plainToken": expected["plainToken"]}}
    inbound = make_inbound(payload, "zoom", proof=expected["secret"].encode())
    answer = zoom.answer(inbound)
    assert answer is not None
    assert expected["encryptedToken"].encode() in answer.body
    assert only(zoom.map_delivery(inbound)) == IgnoredRecord(reason="handshake")


@pytest.mark.parametrize("token", ["", "v0:1:{}", "a" * 129, 'x"', "tok en", "token\n", None, 5, {"a": 1}])
def test_the_zoom_handshake_is_no_signing_oracle(make_inbound: MakeInbound, token: Any):
    payload = {"event": "endpoint.url_validation", "payload": {"plainToken": token}}
    with pytest.raises(RefusedBody) as refused:
        zoom.answer(make_inbound(payload, "zoom", proof=b"secret"))
    assert refused.value.refusals[0].pointer == "/payload/plainToken"


def typeform_answer(kind: str, value: Any, **field: Any) -> dict[str, Any]:
    return {"type": kind, kind: value, "field": {"id": "f1", "type": "short_text", **field}}


def test_typeform_answers_are_typed_and_named_by_their_questions(make_inbound: MakeInbound, webhook: Webhook):
    payload = webhook("typeform/form_response.activepieces.json")
    response = payload["form_response"]
    response["definition"]["fields"] += [
        {"id": "n1", "title": "What's your first name?"},
        {"id": "c1", "title": "Which company do you work for?"},
    ]
    response["answers"] += [
        typeform_answer("email", "jill@example.com", id="e1", type="email"),
        typeform_answer("phone_number", "+16505550100", id="p1"),
        typeform_answer("text", "Jill", id="n1"),
        typeform_answer("text", "Cooking Org", id="c1"),
        typeform_answer("choices", {"labels": ["CRM", "Ads"], "other": "Mail"}, id="m1", ref="interests"),
        typeform_answer("boolean", True, id="l1", type="legal"),
    ]
    response["hidden"] = {"utm_source": "newsletter", "plan": "pro"}
    record = only(typeform.map_delivery(make_inbound(payload, "typeform", WITH_NOTICE)))
    assert (record.lead.email, record.lead.phone) == ("jill@example.com", "+16505550100")
    assert (record.lead.first_name, record.lead.company) == ("Jill", "Cooking Org")
    assert record.lead.custom == {"...": "Choice 1", "interests": "CRM, Ads, Mail", "plan": "pro"}
    assert (record.touch.utm_source, record.consent[0].state) == ("newsletter", "given")
    assert record.dedupe_key == "typeform:9q3v9bp5alonta6239q3q1rfly2c2ukh"


def test_partial_typeform_responses_are_ignored(make_inbound: MakeInbound):
    payload = {"event_type": "form_response_partial", "form_response": {"token": "t"}}
    assert only(typeform.map_delivery(make_inbound(payload, "typeform"))).reason == "event_type"


@pytest.mark.parametrize(
    ("event_type", "data", "expected"),
    [
        ("lead.created", {"email": "a@b.de"}, LeadRecord),
        ("contact.updated", {"person": {"email": "a@b.de"}}, LeadRecord),
        ("activity.recorded", {"email": "a@b.de", "kind": "trial_usage", "detail": {"seats": 5}}, ActivityRecord),
        ("activity.recorded", {"email": "a@b.de", "kind": "moon_landing"}, UnmappableRecord),
        ("contact.unsubscribed", {"email": "a@b.de"}, ConsentRecord),
        ("webhook.test", {}, IgnoredRecord),
        ("invoice.paid", {"amount": 5}, IgnoredRecord),
        ("lead.created", "text", UnmappableRecord),
    ],
)
def test_the_words_of_an_event_type_tell_its_nature(
    make_inbound: MakeInbound, event_type: str, data: Any, expected: type
):
    payload = {"type": event_type, "timestamp": "2026-11-24T10:00:00Z", "data": data}
    record = only(standard_webhooks.map_delivery(make_inbound(payload, headers={b"webhook-id": b"msg_1"})))
    assert (type(record), record.dedupe_key) == (expected, "webhook:msg_1")


def test_a_source_may_say_what_an_event_type_means(make_inbound: MakeInbound):
    source = {"defaults": SourceDefaults(event_natures={"com.example.someevent": "lead"})}
    payload = {"type": "com.example.someevent", "data": {"email": "a@b.de"}}
    assert isinstance(only(standard_webhooks.map_delivery(make_inbound(payload, source=source))), LeadRecord)


def test_an_activity_never_happens_in_the_future(make_inbound: MakeInbound):
    payload = {
        "type": "activity",
        "data": {"email": "a@b.de", "kind": "meeting", "occurred_at": "2999-01-01T00:00:00Z"},
    }
    inbound = make_inbound(payload)
    assert only(standard_webhooks.map_delivery(inbound)).occurred_at == inbound.received_at


CE = {"specversion": "1.0", "type": "com.acme.lead.created", "source": "/crm", "id": "1"}
STRUCTURED = {b"content-type": b"application/cloudevents+json; charset=utf-8"}


def test_the_three_modes_of_cloudevents_say_the_same(make_inbound: MakeInbound):
    data = {"email": "a@b.de"}
    binary = {b"content-type": b"application/json"} | {
        f"ce-{name}".encode(): value.encode() for name, value in CE.items()
    }
    inbounds = [
        make_inbound(data, headers=binary),
        make_inbound({**CE, "data": data}, headers=STRUCTURED),
        make_inbound([{**CE, "data": data}], headers={b"content-type": b"application/cloudevents-batch+json"}),
        make_inbound({**CE, "data_base64": base64.b64encode(b'{"email":"a@b.de"}').decode()}, headers=STRUCTURED),
    ]
    records = [only(cloudevents.map_delivery(inbound)) for inbound in inbounds]
    assert {(type(record), record.lead.email, record.dedupe_key) for record in records} == {
        (LeadRecord, "a@b.de", "ce:/crm:1")
    }


def test_the_recorded_batch_goes_where_it_belongs(make_inbound: MakeInbound, webhook: Webhook):
    headers = {b"content-type": b"application/cloudevents-batch+json"}
    thrift, some = cloudevents.map_delivery(make_inbound(webhook("cloudevents/batch.json"), headers=headers))
    assert (thrift, some) == (
        UnmappableRecord(reason="data_not_json", dedupe_key="ce:/mycontext/4:B234-1234-1234"),
        IgnoredRecord(reason="event_type", dedupe_key="ce:/mycontext/9:C234-1234-1234"),
    )


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({**CE, "id": ""}, "attribute_missing"),
        ({**CE, "specversion": "0.3"}, "specversion"),
        ({**CE, "data_base64": "!"}, "data_not_json"),
        ({**CE, "data_base64": "e30=", "datacontenttype": "text/plain"}, "data_not_json"),
        ([], "not_an_object"),
    ],
)
def test_broken_cloudevents_wait_for_a_person(make_inbound: MakeInbound, event: Any, reason: str):
    assert only(cloudevents.map_delivery(make_inbound(event, headers=STRUCTURED))).reason == reason


def test_the_cloudevents_handshake_is_granted_within_our_rate(make_inbound: MakeInbound):
    source = make_inbound({}).source
    headers = {b"webhook-request-origin": b"eventemitter.example.com", b"webhook-request-rate": b"120"}
    answer = cloudevents.answer_options(source, headers)
    assert answer is not None
    assert dict(answer.headers) == {
        "Allow": "POST", "WebHook-Allowed-Origin": "eventemitter.example.com", "WebHook-Allowed-Rate": "120",
    }  # fmt: skip


def test_a_list_of_persons_is_a_record_each(make_inbound: MakeInbound):
    records = generic_json.map_delivery(make_inbound([{"email": "a@b.de"}, {"email": "c@d.de"}, "x"]))
    assert [type(record) for record in records] == [LeadRecord, LeadRecord, UnmappableRecord]


ODD: list[Any] = [
    None, True, 0, "", "text", [], {}, [None], [[]], {"event": None}, {"event": []}, {"form_response": 5},
    {"event": "webinar.registration_created"}, {"event": "webinar.registration_created", "payload": {"object": []}},
    {"event": "webinar.participant_joined", "payload": {"object": {"participant": 5}}},
    {"event_type": "form_response", "form_response": {"answers": [5, {"type": "x"}, {"type": "choice"}], "hidden": []}},
    {"event_type": "form_response", "form_response": {"definition": {"fields": [5, {}]}, "answers": [{"field": 5}]}},
    {"type": ["x"], "data": {"email": ["a", {"b": 1}]}}, [{"portalId": {}, "objectId": [], "subscriptionType": 5}],
    [{"portalId": 1, "objectId": 2, "subscriptionType": "contact.propertyChange", "occurredAt": "x"}],
    {"email": {"a": {"b": [[{}]]}}}, {"employees": "no number"}, {"employees": 10**30}, {"page": "http://[bad?utm_x=1"},
]  # fmt: skip


@pytest.mark.parametrize("kind", sorted(SENDERS))
@pytest.mark.parametrize("payload", ODD, ids=lambda payload: str(payload)[:40])
@pytest.mark.parametrize("content_type", [b"application/json", b"application/cloudevents+json"])
def test_no_payload_whatever_breaks_a_mapping(make_inbound: MakeInbound, kind: str, payload: Any, content_type: bytes):
    headers = {b"content-type": content_type}
    records = SENDERS[kind].map_delivery(make_inbound(payload, kind, headers=headers, is_form=False))
    assert all(record is not None for record in records)


@pytest.mark.parametrize("event_type", ["consent.granted", "com.acme.consent.given", "contact.consent.opted_in"])
def test_a_grant_by_event_is_neither_a_proof_nor_a_withdrawal(make_inbound: MakeInbound, event_type: str):
    payload = {"type": event_type, "data": {"email": "dana@example.com"}}
    record = only(standard_webhooks.map_delivery(make_inbound(payload, "standard_webhooks")))
    assert isinstance(record, UnmappableRecord)
    assert record.reason == "consent_grant"


@pytest.mark.parametrize("event_type", ["consent.withdrawn", "contact.unsubscribed", "consent.opted_out"])
def test_a_no_by_event_is_a_withdrawal(make_inbound: MakeInbound, event_type: str):
    payload = {"type": event_type, "data": {"email": "dana@example.com"}}
    record = only(standard_webhooks.map_delivery(make_inbound(payload, "standard_webhooks")))
    assert isinstance(record, ConsentRecord)
    assert record.signal.state == "withdrawn"
