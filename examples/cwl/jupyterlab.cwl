#!/usr/bin/env -S wharf cwl run
# JupyterLab as a service: `wharf cwl run jupyterlab.cwl --open`
cwlVersion: v1.2
class: CommandLineTool
label: JupyterLab
$namespaces:
  arv: "http://arvados.org/cwl#"
hints:
  arv:PublishPorts:
    publishPorts:
      "8888":
        serviceAccess: private
        label: JupyterLab
        initialPath: /lab
  DockerRequirement:
    dockerPull: jupyterlab
  ResourceRequirement:
    ramMin: 1024
baseCommand: [jupyter, lab]
arguments:
  - --ip=127.0.0.1
  - --port=8888
  - --no-browser
  # Wharf asks who is there before a request reaches the container.
  - --IdentityProvider.token=
  - --ServerApp.allow_remote_access=True
  - prefix: --ServerApp.root_dir=
    separate: false
    valueFrom: $(runtime.outdir)
inputs: {}
outputs:
  notebooks:
    type: File[]
    outputBinding: {glob: "*.ipynb"}
