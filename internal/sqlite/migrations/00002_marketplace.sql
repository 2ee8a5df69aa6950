-- Attributes, payments' references, locks that end by themselves, and receipts of requests with idempotency keys. See the
-- migrations of PostgreSQL. Attributes are JSON objects.

-- +goose Up
ALTER TABLE cart ADD COLUMN attributes TEXT;
ALTER TABLE cart ADD COLUMN locked_until INTEGER;
ALTER TABLE cart ADD COLUMN reference TEXT;
ALTER TABLE cart_item ADD COLUMN attributes TEXT;

-- Programs that do not know these columns leave them as they are. A lock must not end by the lease of an earlier one.
-- +goose StatementBegin
CREATE TRIGGER sellio_cart_unlocked AFTER UPDATE OF status ON cart
    WHEN OLD.status = 2 AND NEW.status <> 2 AND (NEW.locked_until IS NOT NULL OR NEW.status = 1 AND NEW.reference IS NOT NULL)
BEGIN
    UPDATE cart SET locked_until = NULL, reference = CASE WHEN NEW.status <> 1 THEN reference END WHERE id = NEW.id;
END;
-- +goose StatementEnd

CREATE INDEX ix_cart_cookie ON cart (cookie) WHERE status IN (1, 2) AND cookie IS NOT NULL;

CREATE INDEX ix_cart_locked_until ON cart (locked_until) WHERE status = 2 AND locked_until IS NOT NULL;

-- There is no foreign key: a receipt outlives its cart.
CREATE TABLE cart_request (
    key             BLOB PRIMARY KEY,
    fingerprint     BLOB NOT NULL,
    owner           BLOB,
    cart_id         INTEGER,
    company_id      INTEGER,
    version         INTEGER,
    cart_created_at INTEGER,
    at              INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX ix_cart_request_at ON cart_request (at);

-- +goose Down
DROP TABLE cart_request;
DROP INDEX ix_cart_locked_until;
DROP INDEX ix_cart_cookie;
DROP TRIGGER sellio_cart_unlocked;
ALTER TABLE cart_item DROP COLUMN attributes;
ALTER TABLE cart DROP COLUMN reference;
ALTER TABLE cart DROP COLUMN locked_until;
ALTER TABLE cart DROP COLUMN attributes;
