-- Replace a line of one ACTIVE cart, and return the cart whole.
\set id random(1, :carts)
\set product random(1, :lines)
\set quantity random(1, 1000000)
WITH bumped AS (
	UPDATE cart SET version = version + 1, updated_at = now() WHERE id = :id AND status = 1 RETURNING *),
put AS (
	INSERT INTO cart_item (cart_id, product_id, name, price, quantity)
	SELECT id, :product, 'Product ' || :product, 4.90, :quantity FROM bumped
	ON CONFLICT (cart_id, product_id) DO UPDATE SET name = excluded.name, price = excluded.price, quantity = excluded.quantity
	RETURNING *)
SELECT c.id, c.company_id, c.user_id, c.cookie, c.status, c.version, c.created_at, c.updated_at, l.product_ids, l.names, l.prices, l.quantities
FROM bumped c CROSS JOIN LATERAL (
	SELECT array_agg(i.product_id) AS product_ids, array_agg(i.name) AS names, array_agg(i.price) AS prices, array_agg(i.quantity) AS quantities
	FROM (
		SELECT * FROM put
		UNION ALL
		SELECT * FROM cart_item WHERE cart_id = c.id AND product_id <> :product
		ORDER BY id) i) l;
