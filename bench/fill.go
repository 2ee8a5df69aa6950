//go:build unix

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"

	_ "modernc.org/sqlite" // the service's driver
)

// fillPostgres makes a database with carts 1 to carts, of users with the same numbers at company 1, and products 1 to
// lines in each cart. It leaves the database vacuumed, analyzed and checkpointed.
func fillPostgres(ctx context.Context, p postgres, binary, dir, database string, carts, lines int) error {
	if err := p.exec(ctx, "postgres", "CREATE DATABASE "+database); err != nil {
		return err
	}
	if err := migrate(ctx, binary, dir, p.url(database)); err != nil {
		return err
	}
	return p.exec(ctx, database,
		// The rows below refer to carts that exist: skip the foreign-key checks.
		"SET session_replication_role = replica",
		fmt.Sprintf("INSERT INTO cart (company_id, user_id) SELECT 1, n FROM generate_series(1, %d) n", carts),
		fmt.Sprintf(`INSERT INTO cart_item (cart_id, product_id, name, price, quantity)
			SELECT c, p, 'Product ' || p, p * 1.01, 1 + c %% 9
			FROM generate_series(1, %d) c, generate_series(1, %d) p ORDER BY c, p`, carts, lines),
		"VACUUM (ANALYZE)",
		"CHECKPOINT")
}

// fillSQLite makes a file with the same carts and returns its URL.
func fillSQLite(ctx context.Context, binary, dir string, carts, lines int) (url string, err error) {
	path := filepath.Join(dir, "bench.db")
	url = "sqlite:" + path
	if err := migrate(ctx, binary, dir, url); err != nil {
		return "", err
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	const series = `WITH RECURSIVE
		c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?1),
		p (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM p WHERE n < ?2) `
	const now = "unixepoch() * 1000000"
	for _, statement := range []string{
		"INSERT INTO cart (company_id, user_id, created_at, updated_at) " + series +
			"SELECT 1, n, " + now + ", " + now + " FROM c WHERE ?2 > 0",
		"INSERT INTO cart_item (cart_id, product_id, name, price, quantity) " + series +
			"SELECT c.n, p.n, 'Product ' || p.n, p.n * 101, 1 + c.n % 9 FROM c, p ORDER BY c.n, p.n",
	} {
		if _, err := db.ExecContext(ctx, statement, carts, lines); err != nil {
			return "", fmt.Errorf("%s: %w", statement, err)
		}
	}
	_, err = db.ExecContext(ctx, "ANALYZE")
	return url, err
}
