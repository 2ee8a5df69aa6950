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
	go test -race -timeout 20m ./...

test-postgres: ## Run the tests that touch PostgreSQL on each version, VERSIONS="14 15 16 17 18"
	VERSIONS="$(VERSIONS)" scripts/on-postgres go test ./internal/postgres ./internal/app ./internal/test/...

test-postgres: VERSIONS = 14 15 16 17 18

check: lint verify test ## All that CI runs on one PostgreSQL: lint first, then all else

lint: ## Check format, vet and lint
	$(call tool,lint) golangci-lint fmt --diff
	go vet ./...
	$(call tool,lint) golangci-lint run

verify: check-static observability bench-test bench-once fuzz # all of check but lint and the tests

check-static: generate-check delivery browser-test ## Check generated code, delivery files and documentation

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
	go tool -modfile=checks/delivery/go.mod helm lint helm --values checks/delivery/testdata/everything.yaml

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
	bin/bench full

bench-quick: bin/bench ## Measure the core in under two minutes
	bin/bench quick

bench-overload: bin/bench ## Ask for ten times as much as the service can do
	bin/bench overload

bench-against: bin/bench ## Compare with the service of REVISION (HEAD), in ROUNDS (24) of 13 seconds
	bin/bench against -rounds $(ROUNDS) "$(REVISION)"

bench-report: bin/bench ## Write BENCHMARKS.md again, from the last bench and bench-against
	bin/bench report

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
ROUNDS ?= 24
FUZZTIME ?= 200000x
verify: FUZZTIME = 10000x

fuzz: ## Run each fuzz target FUZZTIME (200000x) times
	FUZZTIME=$(FUZZTIME) scripts/fuzz

chaos: ## Let every fault strike 30 times, which is 270 crashes (about 12 minutes); VERSIONS=18 chooses PostgreSQL
	VERSIONS="$(VERSIONS)" CHAOS_ROUNDS=30 scripts/on-postgres go test -count=1 -timeout 1h -v -run 'TestPostgreSQL|TestSQLite' ./internal/test/chaos

.PHONY: bench-against help dev run build test test-postgres check verify check-static lint generate proto-gen generate-check delivery observability vulncheck migrate bench bench-quick bench-micro bench-once bench-report bench-test bin/bench docker-build compose-up compose-down fuzz chaos browser-test bench-overload
