-- Adding a column with a constant default rewrites nothing and takes moments at any size. updated_at of
-- an old cart stays null, which reads as created_at: when it last changed is not known.

-- +goose Up
SET LOCAL lock_timeout = '200ms';

ALTER TABLE cart
    ADD COLUMN version bigint NOT NULL DEFAULT 1,
    ADD COLUMN updated_at timestamptz;

ALTER TABLE cart ALTER COLUMN updated_at SET DEFAULT now();

-- +goose Down
SET LOCAL lock_timeout = '200ms';

ALTER TABLE cart
    DROP COLUMN version,
    DROP COLUMN updated_at;
