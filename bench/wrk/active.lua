-- The ACTIVE cart of a user. Carts are filled such that a user has the number of the cart.
local common = require "common"

function request()
  return common.request("GET", "/api/v1/cart/active?company_id=1&user_id=" .. common.cart())
end
