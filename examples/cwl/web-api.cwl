#!/usr/bin/env -S wharf cwl run
# A small web API over a file: `wharf cwl run web-api.cwl --file hello.json`, then GET /data
cwlVersion: v1.2
class: CommandLineTool
label: Web API
$namespaces:
  arv: "http://arvados.org/cwl#"
hints:
  arv:PublishPorts:
    publishPorts:
      - servicePort: "8080"
        serviceAccess: public
        label: Web API
        initialPath: /data
requirements:
  DockerRequirement:
    dockerPull: busybox:latest
  InitialWorkDirRequirement:
    listing:
      - entryname: data
        entry: $(inputs.file)
baseCommand: [httpd, -f, -p, "8080", -h, .]
inputs:
  file: File
outputs: {}
