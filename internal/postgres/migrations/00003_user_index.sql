-- For the carts of a user, newest first. Built without blocking writes; a build that failed half-way
-- leaves an invalid index behind, so that goes first.

-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS ix_cart_user_id;
CREATE INDEX CONCURRENTLY ix_cart_user_id ON cart (user_id, id DESC) WHERE user_id IS NOT NULL;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS ix_cart_user_id;
