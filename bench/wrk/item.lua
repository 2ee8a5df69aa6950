-- Replace a line of a cart.
local common = require "common"

function request()
  return common.request("POST", "/api/v1/cart/" .. common.cart() .. "/item", "{" .. common.line())
end
