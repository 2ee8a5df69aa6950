package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/postgres"
	storetest "github.com/sellio/sellio-cart/internal/test/store"
)

func TestCommandsOneByOne(t *testing.T) {
	t.Parallel()
	storetest.RunCommands(t, suiteDatabase(newDatabase, func(_ testing.TB, s *postgres.Store) cart.Service {
		return storetest.OneByOne{Store: s}
	}))
}

func TestCommandsThroughGroupCommit(t *testing.T) {
	t.Parallel()
	storetest.RunCommands(t, suiteDatabase(newDatabase, func(t testing.TB, s *postgres.Store) cart.Service {
		return service(t, s)
	}))
}

// suiteDatabase returns a function that creates databases, on which the suites open stores wrapped by wrap.
func suiteDatabase[T any](newDatabase func(testing.TB) string, wrap func(testing.TB, *postgres.Store) T) func(testing.TB) storetest.Database[T] {
	return func(t testing.TB) storetest.Database[T] {
		url := newDatabase(t)
		return storetest.Database[T]{
			Open:   func(t testing.TB) T { return wrap(t, open(t, url)) },
			Insert: func(t testing.TB, c cart.Cart) int64 { return insert(t, withOption(url, "client_encoding=utf8"), c) },
		}
	}
}

func withOption(url, option string) string {
	if option == "" {
		return url
	}
	return url + "&" + option
}

// insert writes a cart without checking the rules.
func insert(t testing.TB, url string, c cart.Cart) (id int64) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	err = pgx.BeginFunc(context.Background(), conn, func(tx pgx.Tx) error {
		err := tx.QueryRow(context.Background(),
			`INSERT INTO cart (company_id, user_id, cookie, status) VALUES ($1, $2, $3, $4) RETURNING id`,
			c.CompanyID, c.UserID, c.Cookie, c.Status).Scan(&id)
		if err != nil {
			return err
		}
		for _, i := range c.Items {
			_, err := tx.Exec(context.Background(), `INSERT INTO cart_item (cart_id, product_id, name, price, quantity)
				VALUES ($1, $2, $3, $4::text::numeric, $5)`, id, i.ProductID, i.Name, i.Price.String(), i.Quantity)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}
