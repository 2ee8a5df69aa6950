-- The first line of a new user, which creates the cart.
local common = require "common"

function request()
  return common.request("POST", "/api/v1/cart/add-item",
    '{"company_id":1,"user_id":' .. common.newcomer() .. "," .. common.line())
end
