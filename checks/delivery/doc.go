// Package delivery tests the files that build, run and deploy Sellio Cart: the Dockerfile, compose.yaml,
// the Helm chart and the CI workflow. Dockerfile, compose.yaml and chart are read by the libraries of the
// tools that they are written for.
//
// It is a module of its own, so that those libraries are not among the service's dependencies. Run it with
//
//	go test -count=1 ./...
//
// because go test does not notice changes to files outside the module, and would repeat its last answer.
package delivery
