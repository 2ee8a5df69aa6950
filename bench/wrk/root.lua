-- What the server can do without a database: the ceiling of HTTP.
local common = require "common"

function request()
  return common.request("GET", "/")
end
