-- wrk's figures as one line of JSON. With the variable HOSTS set to the name of a file, each request
-- goes to the next of the host names in it, one a line, from a random one on. With the variable BODY set, each request
-- posts this JSON.

local hosts, body = os.getenv("HOSTS"), os.getenv("BODY")

if body then
  wrk.method, wrk.body = "POST", body
  wrk.headers["Content-Type"] = "application/json"
end

if hosts then
  local requests, at

  function init()
    requests = {}
    local headers = {}
    for name, value in pairs(wrk.headers) do headers[name] = value end
    for host in io.lines(hosts) do
      headers["Host"] = host
      requests[#requests + 1] = wrk.format("GET", wrk.path, headers)
    end
    math.randomseed(os.time())
    at = math.random(#requests)
  end

  function request()
    at = at % #requests + 1
    return requests[at]
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "bytes": %d, "p50_us": %d, "p99_us": %d, "not_200": %d, "broken": %d, "late": %d}\n',
    summary.requests, summary.bytes, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write, errors.timeout))
end
