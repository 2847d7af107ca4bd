# make test   everything that must hold, in under ten minutes; installs the peers that it needs
# make soak   long fuzzing and load
# make lint   formatting, vet, staticcheck
# make bench  measurements against real peers
# make build  the binary, ./jackfield

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS   = -s -w -X jackfield/internal/cli.version=$(VERSION)
TARGETS   = linux/amd64 linux/arm64 darwin/arm64 windows/amd64
FUZZTIME ?= 10m
PEERS     = .cache/peers

.PHONY: test soak lint bench build cross peers generate

# Tests wait, most of the time, so many of them run at a time; lint has vetted already; and the race detector need not sleep a
# second whenever a program ends.
test: peers lint cross
	JACKFIELD_PEERS=$(abspath $(PEERS)) GORACE=atexit_sleep_ms=0 $(GO) test -race -vet=off -p 3 -parallel 8 -timeout 8m \
		$$($(GO) list ./... | grep -v '^jackfield/bench')
	JACKFIELD_PEERS=$(abspath $(PEERS)) CGO_ENABLED=0 $(GO) test -vet=off -timeout 8m ./bench/...   # what measures is not slowed by -race

lint:
	@unformatted=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$unformatted" ]; then echo "gofmt -w is wanted for: $$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o jackfield ./cmd/jackfield

cross:
	@for target in $(TARGETS); do \
		echo "build $$target"; \
		CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) build -ldflags '$(LDFLAGS)' -o /dev/null ./cmd/jackfield || exit 1; \
	done

peers:
	test/peers/install.sh $(PEERS)
	bench/peers.sh || sudo bench/peers.sh

generate:
	$(GO) generate ./...

soak:
	test/soak.sh $(FUZZTIME)

bench: peers
	$(GO) run ./bench relay
	JACKFIELD_PEERS=$(abspath $(PEERS)) $(GO) run ./bench tcpmux
	JACKFIELD_PEERS=$(abspath $(PEERS)) $(GO) run ./bench mapper
	JACKFIELD_PEERS=$(abspath $(PEERS)) $(GO) run ./bench tunnel
	$(GO) run ./bench store
