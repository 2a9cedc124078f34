#!/usr/bin/env -S wharf cwl run
# A service that two steps use, and that ends with the last of them: `wharf cwl run service-step.cwl --words one --words two`
cwlVersion: v1.2
$namespaces:
  arv: "http://arvados.org/cwl#"
  svc: "urn:wharf:cwl#"
$graph:
  - id: main
    class: Workflow
    requirements:
      ScatterFeatureRequirement: {}
    inputs:
      words: string[]
    outputs:
      answers: {type: "File[]", outputSource: ask/answer}
      log: {type: File, outputSource: serve/log}
    steps:
      serve: {run: "#server", in: {}, out: [url, log]}
      ask: {run: "#client", scatter: word, in: {url: serve/url, word: words}, out: [answer]}
  - id: server
    class: CommandLineTool
    label: Greetings
    requirements:
      DockerRequirement: {dockerPull: "busybox:latest"}
      InitialWorkDirRequirement:
        listing:
          - entryname: www/cgi-bin/greet
            entry: |
              #!/bin/sh
              printf 'Content-Type: text/plain\n\nHello %s\n' "$QUERY_STRING"
    hints:
      arv:PublishPorts:
        publishPorts:
          "8080": {serviceAccess: private, label: Greetings}
      svc:Service:
        endpoints:
          url: {port: "8080", path: /cgi-bin/greet}
        lifetime: consumers
    baseCommand: [sh, -c]
    arguments:
      - chmod +x www/cgi-bin/greet; exec httpd -vv -f -p 8080 -h www 2> log.txt
    inputs: {}
    outputs:
      url: string?
      log: {type: File, outputBinding: {glob: log.txt}}
  - id: client
    class: CommandLineTool
    requirements:
      DockerRequirement: {dockerPull: "busybox:latest"}
    baseCommand: [sh, -c, 'wget -q -O - "$0?$1"']
    inputs:
      url: {type: string, inputBinding: {position: 1}}
      word: {type: string, inputBinding: {position: 2}}
    stdout: answer.txt
    outputs:
      answer: stdout
