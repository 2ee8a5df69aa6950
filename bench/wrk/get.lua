-- A cart by its id.
local common = require "common"

function request()
  return common.request("GET", "/api/v1/cart/" .. common.cart())
end
