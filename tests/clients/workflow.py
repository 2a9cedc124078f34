"""A workflow of one tool by Arvados's own runner, in an image that somebody else brought. Prints PASS."""

import json
import pathlib
import subprocess

TOOL = """
cwlVersion: v1.2
class: CommandLineTool
requirements:
  DockerRequirement: {dockerPull: "busybox:latest"}
  ResourceRequirement: {ramMin: 64, coresMin: 1}
baseCommand: [sh, -c, "echo from the image"]
stdout: said.txt
inputs: []
outputs:
  said: stdout
"""
pathlib.Path("tool.cwl").write_text(TOOL)
command = ["arvados-cwl-runner", "--local", "--disable-validate", "tool.cwl"]
done = subprocess.run(command, capture_output=True, text=True)
assert done.returncode == 0, done.stderr
output = json.loads(done.stdout)
assert output["said"]["size"] == len("from the image\n"), done.stdout
print("PASS")
