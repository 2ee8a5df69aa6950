-- Shared by all workloads: the arguments, the requests, and the report as one line of JSON.
-- Arguments after the URL: the number of carts under load, lines in a cart, and a number unique to the run, from which
-- the ids of new users are made.

local common = {}

local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("id", threads)
end

function init(args)
  common.carts, common.lines, common.run = tonumber(args[1]), tonumber(args[2]), args[3]
  math.randomseed(tonumber(common.run) + 7919 * id)
end

-- request returns the text of a request. wrk.format would take more CPU from the service.
function common.request(method, path, body)
  if body == nil then
    return method .. " " .. path .. " HTTP/1.1\r\nHost: localhost\r\n\r\n"
  end
  return method .. " " .. path .. " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
    .. #body .. "\r\n\r\n" .. body
end

function common.cart()
  return math.random(1, common.carts)
end

-- line is a line of the cart with another quantity: each write changes something.
function common.line()
  local product = math.random(1, common.lines)
  return '"product_id":' .. product .. ',"name":"Product ' .. product
    .. '","price":"4.90","quantity":' .. math.random(1, 1000000) .. "}"
end

local users = 0

-- newcomer returns a user without a cart.
function common.newcomer()
  users = users + 1
  return common.run .. string.format("%02d%07d", id, users)
end

-- Latencies come in microseconds.
function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"microseconds":%d,"p50":%d,"p90":%d,"p99":%d,"p999":%d,"max":%d,"failed":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(90), latency:percentile(99),
    latency:percentile(99.9), latency.max, e.connect + e.read + e.write + e.status + e.timeout))
end

return common
