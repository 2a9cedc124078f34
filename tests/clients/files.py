"""Blocks, collections, versions and files by WebDAV, with Arvados's own SDK. Prints PASS."""

import os
import ssl
import urllib.request

import arvados
import arvados.collection
import arvados.errors

api = arvados.api("v1", num_retries=0)

# Blocks: the default of two copies, and one.
for copies in (2, 1):
    data = b"copies: %d" % copies
    locator = api.keep.put(data, copies=copies, num_retries=0)
    assert api.keep.get(locator) == data
    assert api.keep.head(locator)

# A file of two blocks, names that have to be escaped.
large = os.urandom(1 << 20) * 65
collection = arvados.collection.Collection(api_client=api)
with collection.open("a dir/large:file.bin", "wb") as file:
    file.write(large)
with collection.open("small.txt", "w") as file:
    file.write("small\n")
collection.save_new(name="clients", ensure_unique_name=True)
uuid = collection.manifest_locator()
record = api.collections().get(uuid=uuid).execute()
assert record["portable_data_hash"] == collection.portable_data_hash()
assert (record["file_count"], record["file_size_total"]) == (2, len(large) + 6), record

# As somebody else's program would read it: from the API, without our cache of blocks.
api.keep = arvados.KeepClient(api_client=api, block_cache=arvados.keep.KeepBlockCache())
reader = arvados.collection.CollectionReader(record["portable_data_hash"], api_client=api,
                                             keep_client=api.keep)
with reader.open("a dir/large:file.bin", "rb") as file:
    assert file.read() == large

# A change that keeps the version before it.
again = arvados.collection.Collection(uuid, api_client=api)
again.remove("small.txt")
again.save(preserve_version=True)
versions = api.collections().list(
    include_old_versions=True, filters=[["current_version_uuid", "=", uuid]]).execute()
assert versions["items_available"] == 2, versions

# Small blocks are replaced by one that holds both, in one step.
small = [api.keep.put(data, copies=1, num_retries=0) for data in (b"ab", b"cde")]
both = api.keep.put(b"abcde", copies=1, num_retries=0)
manifest = f". {small[0]} {small[1]} 0:2:a.txt 2:3:b.txt\n"
packed = api.collections().create(body={"collection": {"manifest_text": manifest}}).execute()
api.collections().update(uuid=packed["uuid"], body={}, replace_segments={
    f"{small[0]} 0 2": f"{both} 0 2", f"{small[1]} 0 3": f"{both} 2 3"}).execute()
reader = arvados.collection.CollectionReader(packed["uuid"], api_client=api, keep_client=api.keep)
assert [reader.open(name, "rb").read() for name in ("a.txt", "b.txt")] == [b"ab", b"cde"]
assert len(reader.manifest_text(strip=True).split()) == 4, reader.manifest_text(strip=True)

# Where it came from: from nowhere but itself.
history = api.collections().provenance(uuid=packed["uuid"]).execute()
assert list(history) == [reader.portable_data_hash()], history

# The trash and back.
api.collections().trash(uuid=uuid).execute()
try:
    api.collections().get(uuid=uuid).execute()
    raise SystemExit("what is in the trash was given out")
except arvados.errors.ApiError as error:
    assert error.resp.status == 404, error
api.collections().untrash(uuid=uuid).execute()

# A part of a file by WebDAV.
request = urllib.request.Request(
    f"https://{os.environ['ARVADOS_API_HOST']}/c={uuid}/a%20dir/large%3Afile.bin",
    headers={
        "Authorization": f"Bearer {os.environ['ARVADOS_API_TOKEN']}",
        "Range": f"bytes={(64 << 20) - 5}-{(64 << 20) + 4}",
    })
context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
with urllib.request.urlopen(request, context=context) as answer:
    assert answer.status == 206
    assert answer.read() == large[(64 << 20) - 5:(64 << 20) + 5]

print("PASS")
