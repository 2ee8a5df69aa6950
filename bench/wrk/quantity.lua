-- Change the quantity of a line.
local common = require "common"

function request()
  return common.request("PUT",
    "/api/v1/cart/" .. common.cart() .. "/item/" .. math.random(1, common.lines) .. "/quantity",
    '{"quantity":' .. math.random(1, 1000000) .. "}")
end
