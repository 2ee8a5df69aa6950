package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/sellio/sellio-cart/internal/storetest"
)

func BenchmarkStore(b *testing.B) {
	storetest.Benchmark(b, open(b, filepath.Join(b.TempDir(), "cart.db")))
}
