-- The tables of the Python service, as its Alembic revision 0001_init made them. Where they exist they
-- are adopted as they are.

-- +goose Up
SET LOCAL lock_timeout = '200ms';

CREATE TABLE IF NOT EXISTS cart (
    id         bigserial PRIMARY KEY,
    user_id    bigint,
    company_id bigint NOT NULL,
    cookie     varchar(255),
    status     smallint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX IF NOT EXISTS uq_cart_company_user_active
    ON cart (company_id, user_id) WHERE status = 1 AND user_id IS NOT NULL;

CREATE UNIQUE INDEX IF NOT EXISTS uq_cart_company_cookie_active
    ON cart (company_id, cookie) WHERE status = 1 AND cookie IS NOT NULL;

CREATE TABLE IF NOT EXISTS cart_item (
    id         bigserial PRIMARY KEY,
    cart_id    bigint NOT NULL REFERENCES cart (id) ON DELETE CASCADE,
    product_id bigint NOT NULL,
    name       varchar(255) NOT NULL,
    price      numeric(10, 2) NOT NULL,
    quantity   integer NOT NULL,
    CONSTRAINT ck_cart_item_quantity_positive CHECK (quantity > 0)
);

CREATE INDEX IF NOT EXISTS ix_cart_item_cart_id ON cart_item (cart_id);

CREATE UNIQUE INDEX IF NOT EXISTS uq_cart_item_cart_product ON cart_item (cart_id, product_id);

-- +goose Down
SET LOCAL lock_timeout = '200ms';

-- Going back from here would lose every cart, and tables that Alembic made are not ours to drop.
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM cart) OR to_regclass('alembic_version') IS NOT NULL THEN
        RAISE EXCEPTION 'the tables hold carts or belong to the Python service, and are not dropped';
    END IF;
END
$$;
-- +goose StatementEnd
DROP TABLE cart_item;
DROP TABLE cart;
