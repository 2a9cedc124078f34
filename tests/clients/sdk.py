"""Records through Arvados's Python SDK: whatever its clients build themselves from, and calls of every kind.

Prints PASS at the end. Environment: ARVADOS_API_HOST, ARVADOS_API_TOKEN, SSL_CERT_FILE.
"""

import json
import os

import arvados
import arvados.errors
import arvados.util

api = arvados.api("v1", num_retries=0)


def refused(status, call):
    """The errors of a call that must be refused so."""
    try:
        call.execute()
    except arvados.errors.ApiError as error:
        assert error.resp.status == status, error
        body = json.loads(error.content)
        assert body["error_token"] and all("(req-" in text for text in body["errors"]), body
        return "; ".join(body["errors"])
    raise AssertionError(f"was not refused with {status}")


def site():
    me = api.users().current().execute()
    assert me["uuid"][5:12] == "-tpzed-" and me["is_active"], me
    token = api.api_client_authorizations().current().execute()
    assert token["uuid"] == os.environ["ARVADOS_API_TOKEN"].split("/")[1], token
    config = api.config()
    assert config["ClusterID"] == api._rootDesc["uuidPrefix"], config
    assert api._rootDesc["rootUrl"] == f"https://{os.environ['ARVADOS_API_HOST']}/"
    assert api.vocabulary() == {"strict_tags": False, "tags": {}}
    return me


def workflows():
    made = api.workflows().create(body={"workflow": {"name": "one", "definition": "{}"}}).execute()
    assert made["uuid"][5:12] == "-7fd4e-" and made["definition"] == "{}", made
    bare = api.workflows().create(body={"name": "two", "definition": "{}"}).execute()
    both = [made["uuid"], bare["uuid"]]
    changed = api.workflows().update(uuid=made["uuid"], body={"description": "words"}).execute()
    assert (changed["name"], changed["description"]) == ("one", "words"), changed
    # Too long for an address: sent as a form, with the method in a header.
    many = both + [f"zzzzz-7fd4e-{n:015}" for n in range(200)]
    listed = api.workflows().list(filters=[["uuid", "in", many]], order="name desc").execute()
    assert [item["name"] for item in listed["items"]] == ["two", "one"], listed
    assert listed["items_available"] == 2, listed
    paged = arvados.util.keyset_list_all(
        api.workflows().list, filters=[["uuid", "in", both]], select=["uuid", "created_at"])
    assert [item["uuid"] for item in paged] == both
    assert api.workflows().list(filters=[["uuid", "in", []]]).execute()["items"] == []
    assert "nme" in refused(422, api.workflows().create(body={"nme": "x"}))
    for uuid in both:
        api.workflows().delete(uuid=uuid).execute()
    refused(404, api.workflows().get(uuid=both[0]))


def requests():
    body = {
        "name": "sdk", "command": ["true"], "container_image": "x", "cwd": "/out",
        "output_path": "/out", "mounts": {"/out": {"kind": "tmp", "capacity": 1 << 20}},
        "runtime_constraints": {"vcpus": 1, "ram": 1 << 20}, "priority": 1,
    }
    made = api.container_requests().create(body=body).execute()
    assert made["state"] == "Uncommitted" and made["container_uuid"] is None, made
    changed = api.container_requests().update(
        uuid=made["uuid"], body={"container_request": {"properties": {"k": "v"}}}).execute()
    assert changed["properties"] == {"k": "v"}, changed
    found = api.container_requests().list(
        filters=[["properties.k", "=", "v"]], count="none", select=["uuid"]).execute()
    assert [item["uuid"] for item in found["items"]] == [made["uuid"]], found
    assert "items_available" not in found and "name" not in found["items"][0], found
    refused(422, api.container_requests().create(body=dict(body, priority=1001)))
    refused(404, api.containers().current())
    api.container_requests().delete(uuid=made["uuid"]).execute()


def logs(me):
    entry = api.logs().create(body={"log": {
        "event_type": "note", "object_uuid": me["uuid"], "properties": {"text": "hi"}}}).execute()
    assert isinstance(entry["id"], int) and entry["event_at"], entry
    later = api.logs().list(
        filters=[["id", ">", str(entry["id"] - 1)]], order="id asc", limit=1).execute()
    assert later["items"][0]["uuid"] == entry["uuid"], later


def nobody():
    stranger = arvados.api(
        "v1", host=os.environ["ARVADOS_API_HOST"], token="bogus", num_retries=0, cache=False)
    refused(401, stranger.users().current())


user = site()
workflows()
requests()
logs(user)
nobody()
print("PASS")
