"""Events through Arvados's Python SDK, over a WebSocket and by polling the log.

Prints PASS at the end. Environment: ARVADOS_API_HOST, ARVADOS_API_TOKEN, SSL_CERT_FILE.
"""

import os
import threading

import arvados
import arvados.config
import arvados.events

api = arvados.api("v1", num_retries=0)


def hears(kind, **options):
    """Changes are heard by a subscriber of this kind: all three of one record, in order."""
    heard, changed = [], threading.Condition()

    def hear(event):
        with changed:
            heard.append(event)
            changed.notify()

    def wait_for(event_type, uuid=None):
        def is_there():
            return any(
                event.get("event_type") == event_type and uuid in (None, event["object_uuid"])
                for event in heard)
        with changed:
            assert changed.wait_for(is_there, timeout=30), (kind, event_type, heard)

    filters = [["event_type", "in", ["create", "update", "delete"]]]
    client = arvados.events.subscribe(api, filters, hear, **options)
    assert type(client).__name__ == kind, client
    try:
        # A poller begins where the log stands at its first look: make changes until it hears some.
        for _ in range(30):
            api.workflows().create(body={"name": "noise"}).execute()
            with changed:
                if changed.wait_for(lambda: any("object_uuid" in e for e in heard), timeout=1):
                    break
        made = api.workflows().create(body={"name": "heard"}).execute()["uuid"]
        wait_for("create", made)
        api.workflows().update(uuid=made, body={"name": "again"}).execute()
        wait_for("update", made)
        api.workflows().delete(uuid=made).execute()
        wait_for("delete", made)
    finally:
        client.close(timeout=10)
    about = [event for event in heard if event.get("object_uuid") == made]
    assert [event["event_type"] for event in about] == ["create", "update", "delete"], about
    assert about[1]["properties"]["old_attributes"]["name"] == "heard", about[1]
    assert about[1]["properties"]["new_attributes"]["name"] == "again", about[1]


hears("EventClient")
os.environ["ARVADOS_DISABLE_WEBSOCKETS"] = "1"
arvados.config.settings()["ARVADOS_DISABLE_WEBSOCKETS"] = "1"
hears("PollClient", poll_fallback=1)
print("PASS")
