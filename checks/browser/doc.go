// Package browser tests the documentation's pages the way a person uses them: in a browser, against the program as it
// is delivered.
//
// It is a module of its own, so that the driver of the browser is not among the service's dependencies. It needs
// Chromium or Chrome. Run it with
//
//	go test -count=1 ./...
//
// because go test does not notice changes to files outside the module, and would repeat its last answer.
package browser
