-- Plays prepared requests: the file named by REQUESTS holds one a line, METHOD \t PATH \t BODY \t name=value \1 name=value.
-- MODE cycle: all of them, again and again. MODE once: each at most once; a request too many is refused, so it is an
-- error. MODE refresh: each line's body is a refresh token; the answer's next token takes its place behind the others.
-- Ends with one line that begins with RESULT and is JSON.
local requests, position, threads, mode = {}, 0, 0, os.getenv("MODE") or "cycle"
local first, last = 1, 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

local function headers_of(named)
  local headers = {}
  for header in named:gmatch("[^\1]+") do
    local name, value = header:match("^([^=]+)=(.*)$")
    headers[name] = value
  end
  return headers
end

function init(arguments)
  local read = 0
  for line in io.lines(os.getenv("REQUESTS")) do
    read = read + 1
    if mode == "cycle" or read % 2 == number then
      local method, path, body, named = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$")
      if body == "" then body = nil end
      last = last + 1
      requests[last] = mode == "refresh" and body or wrk.format(method, path, headers_of(named), body)
    end
  end
  if mode == "cycle" then position = math.floor(number * #requests / 2) end
end

if mode == "refresh" then
  local headers = { ["Content-Type"] = "application/json" }

  function request()
    local token = requests[first]
    requests[first] = nil
    first = first + 1
    return wrk.format("POST", "/auth/v1/token?grant_type=refresh_token", headers, '{"refresh_token":"' .. token .. '"}')
  end

  function response(status, headers, body)
    last = last + 1
    requests[last] = body:match('"refresh_token":%s*"([^"]+)"')
  end
elseif mode == "once" then
  function request()
    position = position + 1
    return requests[position] or requests[1]
  end
else
  function request()
    position = position % #requests + 1
    return requests[position]
  end
end

function done(summary, latency, _)
  local e = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "seconds": %.3f, "p50_ms": %.3f, "p99_ms": %.3f, "bytes": %d, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    summary.bytes, e.connect + e.read + e.write + e.timeout + e.status))
end
