# make help says what there is. Nothing but Go, Debian's apt and npm is needed:
# programs are installed as Debian packages, and servers and tools are built on
# first use, by name and version, into the user's caches.

SHELL       := /usr/bin/env bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

export GOTOOLCHAIN := local
export GOWORK      := off

FUZZTIME   ?= 100000x
E2EFLAGS   ?=
BENCHFLAGS ?=

# Every module of the repository, the main one first.
MODULES := . $(patsubst ./%/go.mod,%,$(sort $(shell find ./test ./packaging -name go.mod -not -path '*/node_modules/*')))

.PHONY: help
help: ## what there is
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## the daemon, into ./tokend
	@# The go command writes version and commit into it, from the tags of git.
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o tokend ./cmd/tokend

.PHONY: packages
packages: ## binaries, debs and rpms with what is in them and checksums, into ./dist
	packaging/build.sh

.PHONY: check
check: lint test-unit ## what to run before a commit: format, vet, lint, unit tests

.PHONY: lint
lint: format vet ## gofmt, go vet, golangci-lint
	@lint="$$(go -C test/tools tool -n golangci-lint)" && "$$lint" run ./... && for module in test/bench test/prometheus; do (cd "$$module" && "$$lint" run ./...); done

.PHONY: format
format:
	@bad="$$(git ls-files -co --exclude-standard '*.go' | xargs -r gofmt -l)"; \
	if [ -n "$$bad" ]; then echo "not formatted, run gofmt -w:"; echo "$$bad"; exit 1; fi

.PHONY: vet
vet:
	go vet ./...
	go -C test/bench vet ./...
	go -C test/prometheus vet ./...

.PHONY: test
test: test-unit test-faults fuzz-short test-bench test-servers test-machine test-e2e ## everything: unit tests with -race, a short fuzz, tests against real servers

# Packages whose tests start a kube-apiserver with its etcd, or a server around
# Vault's core; both are built on first use, which takes some minutes.
SERVERS := /(test/(testbed|places|replicas|manifests|image)|internal/(kube|ha|vault|sinks/kubernetes|sinks/vault|state/kubernetes|state/vault))(/|$$)
# Packages whose tests need programs of Debian's.
MACHINE := /test/(page|systemd|package)(/|$$)

.PHONY: test-unit
test-unit: need-cc need-git ## unit tests, with the race detector
	go test -race $$(go list ./... | grep -vE '/test/(e2e|faults)$$|$(SERVERS)|$(MACHINE)')

.PHONY: test-faults
test-faults: need-cc ## what the daemon does about faults of the world, with the race detector
	go test -race -timeout=20m ./test/faults

.PHONY: test-bench
test-bench: ## the benchmark's own tests
	go -C test/bench test ./...

.PHONY: test-servers
test-servers: need-cc servers ## Kubernetes, Vault and replicas, against real servers, with the race detector
	go test -race -count=1 -timeout=30m -p 2 $$(go list ./... | grep -E '$(SERVERS)')

.PHONY: test-machine
test-machine: need-npm need-programs ## the status page in a browser, the unit, the packages, the alerts in Prometheus
	go test -count=1 -timeout=20m $$(go list ./... | grep -E '$(MACHINE)')
	go -C test/prometheus test -count=1 -timeout=20m ./...

.PHONY: test-e2e
test-e2e: need-cc need-npm ## end-to-end tests against Ory Hydra and oidc-provider
	go test -count=1 -timeout=20m -parallel=4 -v $(E2EFLAGS) ./test/e2e

# Built before the tests, whose time limit is for testing.
.PHONY: servers
servers: ## the servers that tests run against, into the user's cache
	go run ./test/testbed/build

# Counts, not durations: at the end of a duration Go's coordinator can take its
# own deadline for a failure (go.dev/issue/75804).
.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (100000x: so many inputs)
	@grep -rlE '^func Fuzz' --include='*_test.go' cmd internal | sort | while read -r file; do \
		for target in $$(grep -oE '^func Fuzz[A-Za-z0-9_]*' "$$file" | cut -d' ' -f2); do \
			echo "fuzz: $$target in $$(dirname "$$file")"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 200x "./$$(dirname "$$file")" < /dev/null; \
		done; \
	done

.PHONY: fuzz-short
fuzz-short:
	@$(MAKE) --no-print-directory fuzz FUZZTIME=10000x

.PHONY: bench
bench: ## tokend beside a plain loop, or what BENCHFLAGS asks for (-quick for a first look); then bench-remote
	go -C test/bench run . $(BENCHFLAGS)
	@if [ -z "$(BENCHFLAGS)" ]; then $(MAKE) --no-print-directory bench-remote; fi

.PHONY: bench-remote
bench-remote: servers ## the sinks in Kubernetes and Vault beside the bare clients
	go test -run '^$$' -bench . -benchtime 1x -timeout 30m ./test/remotebench

.PHONY: tidy
tidy: ## every go.mod as its imports want it
	@for module in $(MODULES); do echo "tidy: $$module"; go -C "$$module" mod tidy; done

.PHONY: clean
clean: ## what make build and the tests leave in the tree
	rm -rf tokend dist bench.out tokend-dev
	find . -name '*.test' -o -name '*.prof' | xargs -r rm -f

.PHONY: need-cc need-git need-npm need-programs
need-cc:
	@test/need "$${CC:-gcc}" gcc libc6-dev

need-git:
	@test/need git git

need-npm:
	@test/need npm nodejs npm
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || { echo "Node.js 20 or later is needed, this is $$(node --version)" >&2; exit 1; }

need-programs:
	@test/need chromium chromium fonts-dejavu-core
	@test/need systemd-analyze systemd
	@test/need mmdebstrap mmdebstrap
	@test/need lintian lintian
	@test/need rpm rpm
