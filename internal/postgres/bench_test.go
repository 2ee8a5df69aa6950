package postgres_test

import (
	"testing"

	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
	storetest "github.com/sellio/sellio-cart/internal/test/store"
)

// BenchmarkStore measures a server of its own, which keeps what it commits, as in production.
func BenchmarkStore(b *testing.B) {
	server := pgtest.Start(b)
	if err := migrate(b.Context(), server.URL()); err != nil {
		b.Fatal(err)
	}
	storetest.Benchmark(b, open(b, server.URL()))
}
