-- 70 % reads, 25 % changed lines, 5 % new carts.
local common = require "common"

function request()
  local dice = math.random()
  if dice < 0.70 then
    return common.request("GET", "/api/v1/cart/" .. common.cart())
  elseif dice < 0.95 then
    return common.request("POST", "/api/v1/cart/" .. common.cart() .. "/item", "{" .. common.line())
  end
  return common.request("POST", "/api/v1/cart/add-item",
    '{"company_id":1,"user_id":' .. common.newcomer() .. "," .. common.line())
end
