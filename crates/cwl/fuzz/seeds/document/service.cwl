cwlVersion: v1.2
class: CommandLineTool
$namespaces: {arv: 'http://arvados.org/cwl#', svc: 'urn:wharf:cwl#', cwltool: 'http://commonwl.org/cwltool#'}
hints:
  cwltool:Secrets: {secrets: [pw]}
  arv:PublishPorts: {publishPorts: {'8080': {serviceAccess: private, label: W}}}
  svc:Service: {endpoints: {url: {port: '8080', path: /v1, as: url}}, ready: {port: 8080, httpGet: /up, exec: [a], logLine: '^(a|b)*$'}, onExit: {restart: {max: 5}}, stop: {grace: 1e1}}
baseCommand: serve
inputs: {pw: string?}
outputs: {url: string?}
