package sqlite_test

import (
	"path/filepath"
	"testing"

	storetest "github.com/sellio/sellio-cart/internal/test/store"
)

func BenchmarkStore(b *testing.B) {
	storetest.Benchmark(b, open(b, filepath.Join(b.TempDir(), "cart.db")))
}
