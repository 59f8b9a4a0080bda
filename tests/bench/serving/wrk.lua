-- Sends the ready-made requests of the files named in REQUESTS (separated by spaces), in turn; counts statuses.
local requests, turn = {}, 0
for path in string.gmatch(os.getenv("REQUESTS"), "%S+") do
  local file = assert(io.open(path, "rb"))
  requests[#requests + 1] = file:read("*a")
  file:close()
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency, _)
  io.write(string.format('{"requests": %d, "microseconds": %d, "p50": %f, "p99": %f, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
