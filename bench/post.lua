-- SPDX-License-Identifier: Apache-2.0
-- wrk script: sends each request of a file once, counts an answer only when it is 200 (201) and long enough.
-- SCEP answers failures with 200 too, so the status alone says nothing. Environment: MESSAGES (file of
-- 4-octet lengths and bodies, or of paths when METHOD=GET), FIRST, COUNT, CYCLE=1 to begin again at the end,
-- METHOD, URL_PATH, CONTENT_TYPE, AUTHORIZATION, MINIMUM (octets).
local method = os.getenv("METHOD") or "POST"
local path = os.getenv("URL_PATH")
local minimum = tonumber(os.getenv("MINIMUM"))
local cycle = os.getenv("CYCLE") == "1"
local requests, sent = {}, 0
local threads = {}
good, bad = 0, 0

function setup(thread)
  table.insert(threads, thread)
end

local function octets(handle, count)
  local text = handle:read(count)
  return text
end

function init()
  local handle = assert(io.open(os.getenv("MESSAGES"), "rb"))
  local first, count = tonumber(os.getenv("FIRST")), tonumber(os.getenv("COUNT"))
  local headers = { ["Content-Type"] = os.getenv("CONTENT_TYPE") }
  if os.getenv("AUTHORIZATION") then
    headers["Authorization"] = os.getenv("AUTHORIZATION")
  end
  for index = 1, first + count do
    local a, b, c, d = octets(handle, 4):byte(1, 4)
    local body = octets(handle, ((a * 256 + b) * 256 + c) * 256 + d)
    if index > first then
      if method == "POST" then
        requests[#requests + 1] = wrk.format("POST", path, headers, body)
      else
        requests[#requests + 1] = wrk.format("GET", path .. body)
      end
    end
  end
  handle:close()
end

-- One answer may be on its way for each connection when the messages run out: those are not sent twice.
function request()
  sent = sent + 1
  if cycle then
    return requests[(sent - 1) % #requests + 1]
  end
  if sent > #requests then
    wrk.thread:stop()
    return requests[#requests]
  end
  return requests[sent]
end

function response(status, headers, body)
  if (status == 200 or status == 201) and #body >= minimum then
    good = good + 1
  else
    bad = bad + 1
  end
end

function done(summary, latency, _)
  local all_good, all_bad = 0, 0
  for _, thread in ipairs(threads) do
    all_good = all_good + thread:get("good")
    all_bad = all_bad + thread:get("bad")
  end
  local broken = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format("RESULT %d %d %d %d %d %d\n", all_good, all_bad, broken, summary.duration,
    latency:percentile(50), latency:percentile(99)))
end
