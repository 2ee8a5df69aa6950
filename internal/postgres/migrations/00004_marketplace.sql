-- Attributes, payments' references, locks that end by themselves, and receipts of requests with idempotency keys. New
-- columns are null and rewrite nothing.

-- +goose Up
SET LOCAL lock_timeout = '200ms';

ALTER TABLE cart
    ADD COLUMN attributes jsonb,
    ADD COLUMN locked_until timestamptz,
    ADD COLUMN reference varchar(255);

ALTER TABLE cart_item ADD COLUMN attributes jsonb;

-- Programs that do not know these columns leave them as they are. A lock must not end by the lease of an earlier one.
-- +goose StatementBegin
CREATE FUNCTION sellio_cart_unlocked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.locked_until := NULL;
    IF NEW.status = 1 THEN
        NEW.reference := NULL;
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER sellio_cart_unlocked BEFORE UPDATE OF status ON cart FOR EACH ROW
    WHEN (OLD.status = 2 AND NEW.status <> 2 AND (OLD.locked_until IS NOT NULL OR OLD.reference IS NOT NULL))
    EXECUTE FUNCTION sellio_cart_unlocked();

-- There is no foreign key: a receipt outlives its cart.
CREATE TABLE cart_request (
    key             bytea PRIMARY KEY,
    fingerprint     bytea NOT NULL,
    owner           bytea,
    cart_id         bigint,
    company_id      bigint,
    version         bigint,
    cart_created_at timestamptz,
    at              timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX ix_cart_request_at ON cart_request (at);

-- +goose Down
SET LOCAL lock_timeout = '200ms';

DROP TABLE cart_request;
DROP TRIGGER sellio_cart_unlocked ON cart;
DROP FUNCTION sellio_cart_unlocked();
ALTER TABLE cart_item DROP COLUMN attributes;
ALTER TABLE cart
    DROP COLUMN attributes,
    DROP COLUMN locked_until,
    DROP COLUMN reference;
