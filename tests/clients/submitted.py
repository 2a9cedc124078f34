"""A workflow that is submitted: arvados-cwl-runner itself runs in a container, and starts a container for each step.

It needs the images busybox:latest and arvados/jobs:VERSION on the site, VERSION being that of the client.
Prints PASS at the end. Environment: ARVADOS_API_HOST, ARVADOS_API_TOKEN, SSL_CERT_FILE.
"""

import json
import pathlib
import subprocess
import tempfile

import arvados

TOOL = """
cwlVersion: v1.2
class: CommandLineTool
hints: {DockerRequirement: {dockerPull: "busybox:latest"}, ResourceRequirement: {coresMin: 1, ramMin: 64, tmpdirMin: 8, outdirMin: 8}}
"""
UPPER = TOOL + """
inputs: {text: {type: File}}
stdin: $(inputs.text.path)
stdout: upper.txt
arguments: [tr, a-z, A-Z]
outputs: {upper: stdout}
"""
COUNT = TOOL + """
requirements: {InlineJavascriptRequirement: {}}
inputs: {text: {type: File}}
stdin: $(inputs.text.path)
stdout: count.txt
arguments: [wc, -w]
outputs: {count: {type: int, outputBinding: {glob: count.txt, loadContents: true, outputEval: "$(parseInt(self[0].contents) * 10)"}}}
"""
WORKFLOW = """
cwlVersion: v1.2
class: Workflow
inputs: {text: File}
outputs: {upper: {type: File, outputSource: upper/upper}, count: {type: int, outputSource: count/count}}
steps:
  upper: {run: upper.cwl, in: {text: text}, out: [upper]}
  count: {run: count.cwl, in: {text: upper/upper}, out: [count]}
"""


FILES = {"upper.cwl": UPPER, "count.cwl": COUNT, "workflow.cwl": WORKFLOW, "words.txt": "one two three\n",
         "job.json": json.dumps({"text": {"class": "File", "path": "words.txt"}})}

work = pathlib.Path(tempfile.mkdtemp())
for file, text in FILES.items():
    (work / file).write_text(text)
done = subprocess.run(["arvados-cwl-runner", "--disable-color", "--name", "counting", "workflow.cwl", "job.json"],
                      cwd=work, capture_output=True, text=True)
assert done.returncode == 0, done.stderr
output = json.loads(done.stdout)
assert output["count"] == 30, output

api = arvados.api("v1")
requests = api.container_requests()
[runner] = requests.list(filters=[["name", "=", "counting"]]).execute()["items"]
assert runner["state"] == "Final" and runner["output_uuid"], runner
steps = requests.list(filters=[["requesting_container_uuid", "=", runner["container_uuid"]]]).execute()["items"]
assert sorted(step["name"] for step in steps) == ["count", "upper"], steps
with arvados.collection.Collection(runner["output_uuid"]).open("upper.txt") as file:
    assert file.read() == "ONE TWO THREE\n"
print("PASS")
