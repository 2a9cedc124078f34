cwlVersion: v1.0
class: CommandLineTool
requirements: [{class: SchemaDefRequirement, types: [{name: R, type: record, fields: {n: {type: 'int?'}}}]}]
baseCommand: [a]
inputs: {r: R, f: {type: File, secondaryFiles: ['^.b?'], default: {class: File, path: x}}}
outputs: []
arguments: [{valueFrom: $(inputs.f.path), position: 1}]
