-- For the carts of a guest, and for locks that have ended. Built as 00003_user_index.sql is.

-- +goose NO TRANSACTION
-- +goose Up
SET lock_timeout = 0;
SET statement_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS ix_cart_cookie;
CREATE INDEX CONCURRENTLY ix_cart_cookie ON cart (cookie) WHERE status IN (1, 2) AND cookie IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS ix_cart_locked_until;
CREATE INDEX CONCURRENTLY ix_cart_locked_until ON cart (locked_until) WHERE status = 2 AND locked_until IS NOT NULL;

-- +goose Down
SET lock_timeout = 0;
SET statement_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS ix_cart_locked_until;
DROP INDEX CONCURRENTLY IF EXISTS ix_cart_cookie;
