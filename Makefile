# Everything one does with Headwater from a checkout. `make` prints the list.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help deps build run test check format fixtures fuzz torture sanitize bench bench-quick bench-plugins bench-transcode clean

SECONDS ?= 60
VIDEO ?=

help: ## print this list
	@echo "Headwater: a media origin server"
	@echo
	@sed -nE 's/^([a-z-]+):.*## (.*)$$/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-12s %s\n", $$1, $$2 }'

deps:
	@scripts/install-deps.sh build

# Swift's own libraries are linked in, so that the program runs where no Swift is installed. lld, because ld.gold warns
# of a function that nothing here calls.
# Two programs: the server never links libav, headwater-media does, and import finds it beside the server.
build: deps ## build the programs, optimised: .build/release/headwater, headwater-media
	swift build -c release --product headwater --static-swift-stdlib -Xswiftc -use-ld=lld
	swift build -c release --product headwater-media --static-swift-stdlib -Xswiftc -use-ld=lld

run: ## install what is missing, build, import a demo clip (or VIDEO=film.mp4), serve, say what to open
	@scripts/install-deps.sh build $(if $(VIDEO),,test)
	@$(MAKE) --no-print-directory build
	@scripts/run-demo.sh "$(VIDEO)"

test: ## all tests: units, then the real program driven by curl, ffmpeg, a browser
	@scripts/install-deps.sh build test
	swift build
	scripts/test.sh $(TEST_OPTIONS)

check: ## format, import arrows, house rules, and a build without warnings
	@scripts/check.sh

format: ## format all Swift files
	swift format --in-place --recursive --parallel Sources Plugins Tests Package.swift

fixtures: ## make the test media in Tests/Fixtures/media
	@scripts/make-fixtures.sh

fuzz: ## feed every parser with mutated input for SECONDS=60 each
	@scripts/install-deps.sh build fuzz
	scripts/fuzz.sh HTTP $(SECONDS)
	scripts/fuzz.sh Packaging $(SECONDS)
	scripts/fuzz.sh Signing $(SECONDS)

torture: ## the long forms: kill -9, failing disks, power cuts, restarts under load, thousands of clients, 2,000 damaged files
	@scripts/install-deps.sh build test
	@scripts/make-fixtures.sh
	@$(MAKE) --no-print-directory build
	HEADWATER_BINARY=$(CURDIR)/.build/release/headwater python3 Tests/Torture/torture.py
	swift build
	HEADWATER_TORTURE=1 HEADWATER_CRASH_ROUNDS=100 swift test --disable-xctest \
	  --filter 'EndToEnd.*(PlaybackTests|PlayerTests|RestartTests|CrashTests|FaultTests|PowerCutTests|DamageTests|FullDisk|ClockTests|MemoryTests|IndexDamageTests)|StoreTests.*(ReadersUnderWrites|ManyProcesses)'
	HEADWATER_MUTATED_FILES=2000 swift test --disable-xctest --filter MutatedImportTests

# Leaks are not looked for: TOMLKit never frees a document that it has parsed, some kilobytes at a start or reload.
sanitize: ## black-box checks of HTTP/1.1 and HTTP/2 against a program with the address sanitizer
	@scripts/install-deps.sh build test
	swift build --sanitize=address --scratch-path .build/sanitize --product headwater
	swift build --build-tests
	ASAN_OPTIONS=detect_leaks=0 HEADWATER_BINARY=$(CURDIR)/.build/sanitize/debug/headwater swift test --skip-build --disable-xctest \
	  --filter 'EndToEnd.*(/ConformanceTests|HostileTests|HTTP2ConformanceTests|HTTP2AbuseTests)'

bench: ## measure beside nginx, median of five; writes docs/PERFORMANCE.md (12 minutes)
	@scripts/install-deps.sh build bench
	@$(MAKE) --no-print-directory build
	python3 scripts/bench.py --write

bench-quick: ## the same with two short rounds, printed only (3 minutes)
	@scripts/install-deps.sh build bench
	@$(MAKE) --no-print-directory build
	python3 scripts/bench.py --quick

bench-plugins: ## measure what all plugins cost, and media while Redis fails; writes docs/PERFORMANCE.md (18 minutes)
	@scripts/install-deps.sh build test bench
	@$(MAKE) --no-print-directory build
	python3 scripts/bench-plugins.py --write

bench-transcode: ## measure transcoding beside ffmpeg, 10 min of 1080p; writes docs/TRANSCODING.md (an hour and a half)
	@scripts/install-deps.sh build bench
	@$(MAKE) --no-print-directory build
	python3 scripts/bench-transcode.py --write

clean: ## remove what was built and made; storage/ stays
	rm -rf .build .run Tests/Fixtures/media
