-- A database as the Python service left it: the schema of its Alembic revision 0001_init, and carts of
-- every kind that it let in.

CREATE TABLE alembic_version (
    version_num varchar(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES ('0001_init');

CREATE TABLE cart (
    id         bigserial NOT NULL,
    user_id    bigint,
    company_id bigint NOT NULL,
    cookie     varchar(255),
    status     smallint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX uq_cart_company_user_active ON cart (company_id, user_id) WHERE status = 1 AND user_id IS NOT NULL;
CREATE UNIQUE INDEX uq_cart_company_cookie_active ON cart (company_id, cookie) WHERE status = 1 AND cookie IS NOT NULL;

CREATE TABLE cart_item (
    id         bigserial NOT NULL,
    cart_id    bigint NOT NULL,
    product_id bigint NOT NULL,
    name       varchar(255) NOT NULL,
    price      numeric(10, 2) NOT NULL,
    quantity   integer NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT ck_cart_item_quantity_positive CHECK (quantity > 0),
    FOREIGN KEY (cart_id) REFERENCES cart (id) ON DELETE CASCADE
);
CREATE INDEX ix_cart_item_cart_id ON cart_item (cart_id);
CREATE UNIQUE INDEX uq_cart_item_cart_product ON cart_item (cart_id, product_id);

INSERT INTO cart (id, user_id, company_id, cookie, status, created_at) VALUES
    (1,  7,    10, NULL,        1, '2024-01-01 10:00:00.123456+00'), -- a user's, ACTIVE
    (2,  7,    11, NULL,        2, '2024-01-02 10:00:00+02'),        -- LOCKED
    (3,  7,    10, NULL,        3, '2024-01-03 10:00:00+00'),        -- CHECKED_OUT
    (4,  7,    12, NULL,        4, '2024-01-04 10:00:00+00'),        -- CANCELLED
    (5,  NULL, 10, 'guest-5',   1, '2024-01-05 10:00:00+00'),        -- a guest's, ACTIVE
    (6,  NULL, 10, 'guest-5',   3, '2024-01-06 10:00:00+00'),        -- the same guest's, CHECKED_OUT
    (7,  NULL, 10, NULL,        1, '2024-01-07 10:00:00+00'),        -- nobody's
    (8,  8,    10, 'relic-8',   1, '2024-01-08 10:00:00+00'),        -- a user's, with a cookie too
    (9,  9,    10, NULL,        1, '2024-01-09 10:00:00+00'),        -- without lines
    (10, 10,   10, NULL,        1, '2024-01-10 10:00:00+00'),        -- a negative price
    (11, 11,   10, NULL,        1, '2024-01-11 10:00:00+00'),        -- 1,200 lines
    (12, 12,   10, NULL,        1, '2024-01-12 10:00:00+00'),        -- a total beyond 64 bits
    (13, NULL, 10, '',          1, '2024-01-13 10:00:00+00'),        -- an empty cookie: nobody's
    (14, 7,    13, NULL,        2, '2024-01-14 10:00:00+00'),        -- LOCKED, beside an ACTIVE one
    (15, 7,    13, NULL,        1, '2024-01-15 10:00:00+00');

INSERT INTO cart_item (cart_id, product_id, name, price, quantity) VALUES
    (1, 30, 'third by number, first by time', 0.01, 1),
    (1, 10, 'Ünïcode – ☕ "quoted"', 19.99, 3),
    (1, 20, 'x', 99999999.99, 1000000),
    (2, 1, 'locked', 5, 2), (3, 1, 'ordered', 5.5, 2), (4, 1, 'given up', 5.55, 2),
    (5, 1, 'guest', 1.10, 1), (6, 1, 'guest', 1.10, 1), (7, 1, 'nobody', 1, 1), (8, 1, 'relic', 1, 1),
    (10, 1, 'voucher', -15.05, 2), (10, 2, 'book', 10.01, 1),
    (12, 1, 'a', 99999999.99, 2147483647), (12, 2, 'b', 99999999.99, 2147483647),
    (13, 1, 'empty cookie', 1, 1), (14, 1, 'l', 1, 1), (15, 1, 'a', 1, 1);

INSERT INTO cart_item (cart_id, product_id, name, price, quantity)
SELECT 11, n, 'line ' || n, n * 0.01, n FROM generate_series(1, 1200) n;

SELECT setval('cart_id_seq', 15);
