#!/bin/sh
# From a guest's first click to the order, over REST, at two companies: docs/marketplace.md explains each step.
# Start a service first, for example with `make dev`. CART names another one.
set -eu

CART=${CART:-http://localhost:8080}
USER_ID=${USER_ID:-$(date +%s)}
PAYMENT=pay_$USER_ID
jar=$(mktemp)
trap 'rm -f "$jar"' EXIT

# call METHOD PATH [BODY] [CURL-OPTION...] prints the answer, and fails for any status but 2xx.
call() {
	method=$1 path=$2 body=${3:-}
	shift 2
	[ $# -eq 0 ] || shift
	if [ -n "$body" ]; then
		set -- -H 'Content-Type: application/json' -d "$body" "$@"
	fi
	curl --silent --show-error --fail-with-body --retry 5 --retry-connrefused --retry-all-errors --max-time 10 \
		--cookie "$jar" --cookie-jar "$jar" -X "$method" "$CART/api/v1$path" "$@"
	echo
}

# number FIELD reads the first number of that field from an answer.
number() { sed "s/.*\"$1\":\([0-9]*\).*/\1/"; }

echo '1. The storefront asks for the basket, and so gets the guest a cookie.'
call GET /basket

echo '2. The guest clicks twice on one product and once on another. Each click has a key of its own, and may be repeated.'
call POST /cart/add-item '{"company_id":1,"product_id":11,"name":"Green tea, 100 g","price":"4.90","quantity":1,"if_present":"add"}' \
	-H "Idempotency-Key: click-1-$USER_ID"
call POST /cart/add-item '{"company_id":1,"product_id":11,"name":"Green tea, 100 g","price":"4.90","quantity":1,"if_present":"add"}' \
	-H "Idempotency-Key: click-2-$USER_ID"
call POST /cart/add-item '{"company_id":2,"product_id":21,"name":"Cup","price":"7.50","quantity":2,"if_present":"add"}' \
	-H "Idempotency-Key: click-3-$USER_ID"

echo '3. The guest signs in, and the carts become those of the user.'
merged=$(call POST /carts/merge "{\"user_id\":$USER_ID}")
echo "$merged"

echo '4. The checkout locks the carts of both companies for a payment, for 15 minutes.'
tea=$(call GET "/cart/active?company_id=1&user_id=$USER_ID" | sed 's/,"company_id.*//' | number id)
cup=$(call GET "/cart/active?company_id=2&user_id=$USER_ID" | sed 's/,"company_id.*//' | number id)
carts="[{\"id\":$tea},{\"id\":$cup}]"
call PUT /carts/status "{\"status\":2,\"carts\":$carts,\"lock_seconds\":900,\"reference\":\"$PAYMENT\"}" -H "Idempotency-Key: lock-$USER_ID"

echo '5. The payment succeeds, and the carts become orders. It is safe to repeat this too.'
call PUT /carts/status "{\"status\":3,\"carts\":$carts,\"reference\":\"$PAYMENT\"}" -H "Idempotency-Key: order-$USER_ID"

echo "The carts $tea and $cup are CHECKED_OUT."
