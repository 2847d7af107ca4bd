# make test   everything that must hold, in under ten minutes; installs the peers that it needs
# make soak   long fuzzing and load
# make lint   formatting, vet, staticcheck
# make bench  measurements against real peers
# make build  the binary, ./jackfield
# make deb    a Debian package in build/, with man pages and completions; GOARCH says for which machine
# make image  the file system of a container image in build/

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS   = -s -w -X jackfield/internal/cli.version=$(VERSION)
TARGETS   = linux/amd64 linux/arm64 darwin/arm64 windows/amd64
FUZZTIME ?= 10m
PEERS     = .cache/peers
BUILD     = build
FLAGS     = -trimpath

.PHONY: test soak lint bench build cross peers generate man completions packed third-party deb image

# The long ones come first, beside the others. More at a time would not be done sooner, only have each wait for the processor; lint has
# vetted already; and the race detector need not sleep a second whenever a program ends.
test: peers lint cross
	JACKFIELD_PEERS=$(abspath $(PEERS)) GORACE=atexit_sleep_ms=0 $(GO) test -race -vet=off -p 3 -parallel 6 -timeout 9m \
		$$($(GO) list ./test/... ./... | grep -v '^jackfield/bench')
	JACKFIELD_PEERS=$(abspath $(PEERS)) CGO_ENABLED=0 $(GO) test -vet=off -timeout 8m ./bench/...   # what measures is not slowed by -race

lint:
	@unformatted=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$unformatted" ]; then echo "gofmt -w is wanted for: $$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o jackfield ./cmd/jackfield

# The date of what is packed is that of the last change, not today's.
man deb image: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

# This machine's program writes the pages and completions, whatever machine the package is for.
HOST = GOOS= GOARCH= CGO_ENABLED=0 $(GO) run $(FLAGS) -ldflags '$(LDFLAGS)' ./cmd/jackfield

man:
	rm -rf $(BUILD)/man
	$(HOST) man $(BUILD)/man
	install -m 644 packaging/man/jackfield.hcl.5 $(BUILD)/man/

completions:
	mkdir -p $(BUILD)/completions
	$(HOST) completion bash >$(BUILD)/completions/jackfield.bash
	$(HOST) completion zsh >$(BUILD)/completions/_jackfield
	$(HOST) completion fish >$(BUILD)/completions/jackfield.fish

third-party:
	mkdir -p $(BUILD)
	packaging/third-party.sh >$(BUILD)/third-party.txt

packed:
	GOOS=linux CGO_ENABLED=0 $(GO) build $(FLAGS) -ldflags '$(LDFLAGS)' -o $(BUILD)/jackfield ./cmd/jackfield

deb: packed man completions third-party
	packaging/deb.sh $(BUILD) $(VERSION)

image: packed third-party
	packaging/rootfs.sh $(BUILD)

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
	JACKFIELD_PEERS=$(abspath $(PEERS)) $(GO) run ./bench agent
	$(GO) run ./bench store
	$(GO) run ./bench connect
