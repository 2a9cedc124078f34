cwlVersion: v1.2
class: CommandLineTool
baseCommand: echo
inputs: {a: {type: 'string?', inputBinding: {position: 1, prefix: -a}}}
outputs: {o: stdout}
stdout: $(inputs.a).txt
