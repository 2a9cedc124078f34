"""Files there and back through Arvados's command-line clients: arv-put, arv-ls, arv-get.

Prints PASS at the end. Environment: ARVADOS_API_HOST, ARVADOS_API_TOKEN, SSL_CERT_FILE.
"""

import filecmp
import hashlib
import os
import pathlib
import subprocess
import tempfile


def run(*words):
    done = subprocess.run(words, capture_output=True, timeout=120)
    assert done.returncode == 0, (words, done.stderr.decode())
    return done.stdout


work = pathlib.Path(tempfile.mkdtemp())
files = work / "in"
(files / "sub dir").mkdir(parents=True)
(files / "one.txt").write_text("one\n")
(files / "empty").touch()
(files / "sub dir" / "a:b.bin").write_bytes(os.urandom(3_000_000))

uuid = run("arv-put", "--no-progress", "--no-resume", "--name", "files", f"{files}/").decode().strip()
assert uuid[5:12] == "-4zz18-", uuid
names = sorted(run("arv-ls", uuid).decode().splitlines())
assert names == ["./empty", "./one.txt", "./sub dir/a:b.bin"], names
(work / "out").mkdir()
run("arv-get", f"{uuid}/", f"{work}/out/")
for name in names:
    assert filecmp.cmp(files / name, work / "out" / name, shallow=False), name

# The name of the content is the digest of its manifest without permissions.
bare = run("arv-get", "--strip-manifest", uuid)
content = f"{hashlib.md5(bare).hexdigest()}+{len(bare)}"
assert run("arv-get", f"{content}/one.txt", "-") == b"one\n"
again = run("arv-put", "--no-progress", "--no-cache", "--portable-data-hash", f"{files}/")
assert again.decode().strip() == content, (again, content)

(work / "more.txt").write_text("more\n")
run("arv-put", "--no-progress", "--update-collection", uuid, f"{work}/more.txt")
assert "./more.txt" in run("arv-ls", uuid).decode().splitlines()
print("PASS")
