-- Two roles for Sellio Cart. sellio_cart_owner owns the tables and migrates them; sellio_cart_service serves: it reads
-- and writes carts, and cannot change the schema. docs/operations.md says how to use them.
--
-- Run this in the database of the carts, as a superuser or as the administrator of a managed server:
--
--     psql --set=ON_ERROR_STOP=1 --single-transaction --file=deploy/postgres/roles.sql "$ADMIN_DATABASE_URL"
--
-- It may be run at any time, and repeatedly. Run it again after the first migration of a new database: until then the
-- service could write to goose_db_version, which records the migrations. It sets no passwords: use \password in psql.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sellio_cart_owner') THEN
        CREATE ROLE sellio_cart_owner LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sellio_cart_service') THEN
        CREATE ROLE sellio_cart_service LOGIN;
    END IF;
END
$$;

-- Only a member of a role, or a superuser, can give tables to it.
GRANT sellio_cart_owner TO CURRENT_USER;

-- Before PostgreSQL 15 every role may create tables here, and only the owner of the schema, a superuser unless that was
-- changed, can revoke it.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO sellio_cart_owner;
GRANT USAGE ON SCHEMA public TO sellio_cart_service;

-- Tables that migrations make from now on.
ALTER DEFAULT PRIVILEGES FOR ROLE sellio_cart_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO sellio_cart_service;
ALTER DEFAULT PRIVILEGES FOR ROLE sellio_cart_owner IN SCHEMA public
    GRANT USAGE ON SEQUENCES TO sellio_cart_service;

-- Tables that exist. Their sequences change hands with them.
DO $$
DECLARE
    existing record;
BEGIN
    FOR existing IN
        SELECT to_regclass(name) AS name, rights, pg_get_serial_sequence(name, counted) AS sequence
        FROM (VALUES
            ('public.cart', 'SELECT, INSERT, UPDATE, DELETE', 'id'),
            ('public.cart_item', 'SELECT, INSERT, UPDATE, DELETE', 'id'),
            ('public.cart_request', 'SELECT, INSERT, UPDATE, DELETE', NULL),
            ('public.goose_db_version', 'SELECT', 'id')) AS t (name, rights, counted)
        WHERE to_regclass(name) IS NOT NULL
    LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO sellio_cart_owner', existing.name);
        EXECUTE format('REVOKE ALL ON %s FROM sellio_cart_service', existing.name);
        EXECUTE format('GRANT %s ON %s TO sellio_cart_service', existing.rights, existing.name);
        IF existing.sequence IS NOT NULL THEN
            EXECUTE format('GRANT USAGE ON SEQUENCE %s TO sellio_cart_service', existing.sequence);
        END IF;
    END LOOP;
END
$$;
