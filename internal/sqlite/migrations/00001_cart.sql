-- The tables have the shape of those in PostgreSQL. Times are microseconds since 1970 (UTC), prices are
-- minor units: both whole numbers, so nothing is ever rounded.

-- +goose Up
CREATE TABLE cart (
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- an id is never given twice: orders refer to it
    user_id    INTEGER,
    company_id INTEGER NOT NULL,
    cookie     TEXT,
    status     INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL,
    version    INTEGER NOT NULL DEFAULT 1,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX uq_cart_company_user_active
    ON cart (company_id, user_id) WHERE status = 1 AND user_id IS NOT NULL;

CREATE UNIQUE INDEX uq_cart_company_cookie_active
    ON cart (company_id, cookie) WHERE status = 1 AND cookie IS NOT NULL;

CREATE INDEX ix_cart_user_id ON cart (user_id) WHERE user_id IS NOT NULL;

-- The order of a cart's lines is that of their ids.
CREATE TABLE cart_item (
    id         INTEGER PRIMARY KEY,
    cart_id    INTEGER NOT NULL REFERENCES cart (id) ON DELETE CASCADE,
    product_id INTEGER NOT NULL,
    name       TEXT NOT NULL,
    price      INTEGER NOT NULL,
    quantity   INTEGER NOT NULL,
    CONSTRAINT ck_cart_item_quantity_positive CHECK (quantity > 0)
) STRICT;

-- Holds the ids too, so it gives a cart's lines in their order.
CREATE INDEX ix_cart_item_cart_id ON cart_item (cart_id);

CREATE UNIQUE INDEX uq_cart_item_cart_product ON cart_item (cart_id, product_id);

-- +goose Down
-- Going back from here would lose every cart, so it is refused while there are any.
CREATE TEMP TABLE guard (
    carts INTEGER CONSTRAINT "the tables hold carts and are not dropped" CHECK (carts = 0)
);
INSERT INTO guard SELECT count(*) FROM cart;
DROP TABLE guard;
DROP TABLE cart_item;
DROP TABLE cart;
