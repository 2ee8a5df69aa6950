// Sellio-cart is the shopping-cart service of a marketplace of many vendors.
package main

import (
	"context"
	"os"

	"github.com/sellio/sellio-cart/internal/app"
)

// version is set by the linker.
var version = "dev"

func main() {
	os.Exit(app.Run(context.Background(), version, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}
