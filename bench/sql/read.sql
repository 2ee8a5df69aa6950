-- One cart, whole: the header and its lines.
\set id random(1, :carts)
SELECT c.id, c.company_id, c.user_id, c.cookie, c.status, c.version, c.created_at, c.updated_at, l.product_ids, l.names, l.prices, l.quantities
FROM cart c CROSS JOIN LATERAL (
	SELECT array_agg(i.product_id) AS product_ids, array_agg(i.name) AS names, array_agg(i.price) AS prices, array_agg(i.quantity) AS quantities
	FROM (SELECT * FROM cart_item WHERE cart_id = c.id ORDER BY id) i) l
WHERE c.id = :id;
