// Package observability tests the Prometheus rules and the Grafana dashboard: Prometheus' own parsers accept every
// query, the service really exports every metric and label that a query names, alerts fire when they should, and
// docs/operations.md explains each metric and each alert.
//
// It is a module of its own, so that Prometheus is not among the service's dependencies. Run it with
//
//	go test -count=1 ./...
//
// because go test does not notice changes to files outside the module, and would repeat its last answer.
package observability
