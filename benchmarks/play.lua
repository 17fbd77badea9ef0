-- Plays prepared requests: the file named by REQUESTS holds one a line, METHOD \t PATH \t BODY \t name=value \1 name=value.
-- MODE cycle: all of them, again and again. MODE once: each at most once; a request too many is refused, so it is an
-- error. MODE refresh: each line's body is a refresh token; the answer's next token takes its place behind the others.
-- With SECONDS nothing is asked after them, and what is under way is waited for: no work is left uncounted, or to the
-- server while another one is measured. A thread with nothing under way on its CONNECTIONS says DRAINED; then wrk may
-- be interrupted. Otherwise it plays until wrk ends.
-- Ends with one line that begins with RESULT and is JSON; its "latency" counts requests by microseconds, in buckets.
local ffi = require("ffi")
ffi.cdef("struct moment { long seconds, nanoseconds; }; int clock_gettime(int clock, struct moment *now);")
local clock, MONOTONIC = ffi.new("struct moment"), ffi.os == "OSX" and 6 or 1
local requests, position, threads, mode = {}, 0, {}, os.getenv("MODE") or "cycle"
local first, last = 1, 0
local seconds, connections = tonumber(os.getenv("SECONDS") or "") or math.huge, tonumber(os.getenv("CONNECTIONS") or "")
-- A bucket is so much wider than the one before.
local WIDER = math.log(1.01)
local is_tried, idle = false, 0
-- Of this thread; `done` gets them.
began, ended = nil, nil

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

local function now()
  ffi.C.clock_gettime(MONOTONIC, clock)
  return tonumber(clock.seconds) + tonumber(clock.nanoseconds) / 1e9
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
  -- The threads are half of them apart, and no two slices begin alike: who answers few would be asked the first alone.
  if mode == "cycle" then position = math.floor(number * #requests / 2 + now() * 1000) % #requests end
end

local following

if mode == "refresh" then
  local headers = { ["Content-Type"] = "application/json" }

  function following()
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
  function following()
    position = position + 1
    return requests[position] or requests[1]
  end
else
  function following()
    position = position % #requests + 1
    return requests[position]
  end
end

function request()
  if number == 0 and not is_tried then
    -- Before it begins wrk takes one request of its first thread to look at, and does not send it.
    is_tried = true
    return following()
  end
  local moment = now()
  began = began or moment
  if moment - began < seconds then return following() end
  -- Nothing is written, so nothing is answered, and this connection asks no more.
  idle, ended = idle + 1, moment
  if idle == connections then
    io.write("DRAINED\n")
    io.flush()
    wrk.thread:stop()
  end
  return ""
end

local function lasted(summary)
  local from, to = math.huge, 0
  for _, thread in ipairs(threads) do
    if not thread:get("ended") then return summary.duration / 1e6 end
    from, to = math.min(from, thread:get("began")), math.max(to, thread:get("ended"))
  end
  return to - from
end

local function counted(latency)
  local counts, written = {}, {}
  for each = 1, #latency do
    local microseconds, count = latency(each)
    local bucket = math.floor(math.log(math.max(microseconds, 1)) / WIDER)
    counts[bucket] = (counts[bucket] or 0) + count
  end
  for bucket, count in pairs(counts) do
    table.insert(written, string.format('"%.1f": %d', math.exp((bucket + 0.5) * WIDER), count))
  end
  return table.concat(written, ", ")
end

function done(summary, latency, _)
  local e = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "seconds": %.4f, "bytes": %d, "errors": %d, "latency": {%s}}\n',
    summary.requests, lasted(summary), summary.bytes, e.connect + e.read + e.write + e.timeout + e.status,
    counted(latency)))
end
