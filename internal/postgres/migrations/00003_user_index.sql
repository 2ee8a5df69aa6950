-- For the carts of a user, newest first. Built without blocking writes; a build that failed half-way
-- leaves an invalid index behind, so that goes first. Both wait for the transactions that use the table, as
-- long as those take, and hold nobody up meanwhile.

-- +goose NO TRANSACTION
-- +goose Up
SET lock_timeout = 0;
SET statement_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS ix_cart_user_id;
CREATE INDEX CONCURRENTLY ix_cart_user_id ON cart (user_id, id DESC) WHERE user_id IS NOT NULL;

-- +goose Down
SET lock_timeout = 0;
SET statement_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS ix_cart_user_id;
