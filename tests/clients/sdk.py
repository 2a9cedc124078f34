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


def signed_in(token):
    return arvados.api("v1", host=os.environ["ARVADOS_API_HOST"], cache=False, num_retries=0,
                       token=f"v2/{token['uuid']}/{token['api_token']}")


def accounts():
    tokens = api.api_client_authorizations()
    users = [api.users().create(body={"user": {"username": name}}).execute()["uuid"]
             for name in ("before", "after")]
    made = [tokens.create(body={"api_client_authorization": {"owner_uuid": user}}).execute()
            for user in users]
    (old, new), (before, after) = users, map(signed_in, made)
    project = before.groups().create(
        body={"group": {"group_class": "project", "name": "Lab"}}).execute()["uuid"]
    # What each may do, page by page behind the last entry.
    levels = {row["target_uuid"]: row["perm_level"] for row in arvados.util.iter_computed_permissions(
        api.computed_permissions().list, filters=[["user_uuid", "=", old]])}
    assert levels[project] == levels[old] == "can_manage" and new not in levels, levels
    refused(403, before.computed_permissions().list())
    # A second token of theirs may read users from now on, and then nothing.
    second = before.api_client_authorizations().create(body={}).execute()
    narrow = {"api_client_authorization": {"scopes": ["GET /arvados/v1/users/"]}}
    narrowed = before.api_client_authorizations().update(uuid=second["uuid"], body=narrow).execute()
    assert narrowed["scopes"] == ["GET /arvados/v1/users/"] and not narrowed["api_token"], narrowed
    scoped = signed_in(second)
    assert scoped.users().get(uuid=old).execute()["username"] == "before"
    refused(403, scoped.groups().list())
    ended = {"api_client_authorization": {"expires_at": "2001-01-01T00:00:00Z"}}
    before.api_client_authorizations().update(uuid=second["uuid"], body=ended).execute()
    refused(401, scoped.users().get(uuid=old))
    # The two accounts become one.
    merged = before.users().merge(
        new_owner_uuid=new, new_user_token=f"v2/{made[1]['uuid']}/{made[1]['api_token']}",
        redirect_to_new_user=True).execute()
    assert merged["uuid"] == old and not merged["is_active"], merged
    assert after.groups().get(uuid=project).execute()["owner_uuid"] == new
    assert before.users().current().execute()["uuid"] == new
    refused(403, after.users().merge(
        new_owner_uuid=new, old_user_uuid=user["uuid"], new_user_uuid=new))


def nobody():
    stranger = arvados.api(
        "v1", host=os.environ["ARVADOS_API_HOST"], token="bogus", num_retries=0, cache=False)
    refused(401, stranger.users().current())


user = site()
workflows()
requests()
logs(user)
accounts()
nobody()
print("PASS")
