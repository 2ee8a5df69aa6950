-- The ACTIVE cart of a user. In the filled database, cart n belongs to user n.
local common = require "common"

function request()
  return common.request("GET", "/api/v1/cart/active?company_id=1&user_id=" .. common.cart())
end
