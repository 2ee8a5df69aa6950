.DEFAULT_GOAL := help
SHELL := /bin/sh

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
IMAGE   ?= ghcr.io/sellio/sellio-cart

# Tools are pinned in go.mod files of their own, so that they never touch what the service is built from; but
# protoc-gen-go is in go.mod, with the runtime that it must fit.
tool = go tool -modfile=tools/$(1)/go.mod

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

dev: ## Run the service from source, on a SQLite file in this folder
	go run ./cmd/sellio-cart

run: build ## Build the static binary and run it
	bin/sellio-cart

build: ## Build the static binary, bin/sellio-cart
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/sellio-cart ./cmd/sellio-cart

test: ## Run all tests with the race detector, on a PostgreSQL they start themselves
	@scripts/test-deps
	go test -race ./...

check: check-static test ## All that CI runs: format, vet, lint, generated code, delivery files, benchmarks once, tests

check-static: lint generate-check delivery observability browser-test bench-test bench-once fuzz

lint: ## Check format, vet and lint
	go vet ./...
	$(call tool,lint) golangci-lint fmt --diff
	$(call tool,lint) golangci-lint run

generate: proto-gen ## Make all generated code again
	@mkdir -p bin
	sed '/# checked by hand$$/d' api/openapi.yaml >bin/openapi.yaml
	$(call tool,ogen) ogen --config api/ogen.yml --target internal/rest/oas --package oas --clean bin/openapi.yaml

proto-gen: ## Make the gRPC code again from api/sellio/cart/v1/cart.proto
	$(call tool,proto) buf lint api
	$(call tool,proto) buf generate api --template api/buf.gen.yaml -o api

generate-check: generate # fails when generated code is not what is committed
	git diff --exit-code -- api internal/rest/oas
	@test -z "$$(git status --porcelain -- api internal/rest/oas)" || { git status --short -- api internal/rest/oas; exit 1; }

delivery: # tests the Dockerfile, compose.yaml and the chart
	cd checks/delivery && go vet ./... && go test -count=1 ./... # the cache does not see files outside of the module
	go tool -modfile=checks/delivery/go.mod helm lint helm

observability: # tests the Prometheus rules and the Grafana dashboard against the real service
	@scripts/test-deps
	cd checks/observability && go vet ./... && go test -count=1 ./... # as above

vulncheck: ## Look for known vulnerabilities in what the service is built from (needs vuln.go.dev)
	$(call tool,vulncheck) govulncheck ./...

browser-test: ## Try the documentation's pages in a headless browser
	@scripts/test-deps browser
	cd checks/browser && go vet ./... && go test -count=1 ./... # the cache does not see files outside of the module

migrate: ## Migrate the database of DATABASE_URL to the newest schema
	go run ./cmd/sellio-cart migrate up

bench: bin/bench ## Measure everything (about 20 minutes), and write BENCHMARKS.md
	bin/bench

bench-quick: bin/bench ## Measure the core in under two minutes
	bin/bench -quick

bench-overload: bin/bench ## Ask for ten times as much as the service can do
	bin/bench -overload

bench-against: bin/bench ## Compare with the service of another revision, REVISION=HEAD~1 (about 4 minutes)
	bin/bench -against "$(REVISION)"

bin/bench: # Go knows what has changed
	go build -C bench -o ../bin/bench .

bench-micro: ## Run the micro-benchmarks
	go test -run '^$$' -bench . -benchmem ./internal/...

bench-test: # tests the benchmark itself
	cd bench && go vet ./... && go test ./...

bench-once: # every benchmark still runs
	@scripts/test-deps
	go test -run '^$$' -bench . -benchtime 1x ./internal/...

docker-build: ## Build the container image
	docker build --build-arg VERSION=$(VERSION) -t $(IMAGE):$(VERSION) .

compose-up: ## Start the service and PostgreSQL in containers
	docker compose up --build --detach --wait

compose-down: ## Stop the containers; the data stays
	docker compose down

REVISION ?= HEAD
FUZZTIME ?= 20s
check-static: FUZZTIME = 3s

fuzz: ## Run each fuzz target for FUZZTIME (20s)
	FUZZTIME=$(FUZZTIME) scripts/fuzz

chaos: ## Let every fault strike 30 times, which is 240 crashes (about 5 minutes)
	@scripts/test-deps
	CHAOS_ROUNDS=30 go test -count=1 -timeout 30m -v -run 'TestPostgreSQL|TestSQLite' ./internal/test/chaos

.PHONY: bench-against help dev run build test check check-static lint generate proto-gen generate-check delivery observability vulncheck migrate bench bench-quick bench-micro bench-once bench-test bin/bench docker-build compose-up compose-down fuzz chaos browser-test bench-overload
