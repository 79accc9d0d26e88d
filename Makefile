# make demo    everything that is missing, the programs, a first transcript, and a first spoken sentence
# make test    the same set-up, then every test
# make help    the other targets

BUILD ?= build
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60

# Debian 12. To build the programs and the tests:
PACKAGES = g++ cmake ninja-build ccache pkg-config nlohmann-json3-dev libavcodec-dev libavformat-dev libcli11-dev libcurl4-openssl-dev libdnnl-dev \
  libexpat1-dev libfftw3-dev libhwy-dev libicu-dev libpcre2-dev libsentencepiece-dev libsndfile1-dev \
  libsoundtouch-dev libssl-dev libswresample-dev libwebrtc-audio-processing-dev libzip-dev portaudio19-dev zlib1g-dev \
  libgtest-dev ffmpeg
# For the sanitizers, the fuzzers, the formatter, and counting instructions:
CHECK_PACKAGES = clang-14 libclang-rt-14-dev libomp-14-dev clang-format-14 clang-tidy-14 valgrind python3
# For the benchmarks:
BENCH_PACKAGES = python3 python3-numpy python3-venv
PYTHON ?= /usr/bin/python3

LIBRARY_FOLDERS = core text dsp encoder decoder vocoder pipeline convert store
FIND_SOURCES = find $(LIBRARY_FOLDERS) cli bench tests

.NOTPARALLEL:
.PHONY: all build programs demo test check check-asan check-tsan check-fuzz check-format check-work check-tidy fuzz format install setup \
  setup-check setup-bench clean help

all: build

help:
	@echo 'make demo                  set up, build, transcribe a sample, and speak a sentence'
	@echo 'make test                  set up, build, and run every test'
	@echo 'make programs              $(BUILD)/transcribe, $(BUILD)/speak and $(BUILD)/parley'
	@echo 'make build                 the programs, the tests and the benchmarks'
	@echo 'make install PREFIX=DIR    programs, library and CMake package  [$(PREFIX)]'
	@echo 'make check                 formatting, instruction counts, brief fuzzing, the tests under sanitizers; CI: make check && make test'
	@echo 'make check-work            fails when loading, hearing or speaking takes 10 % more instructions than it did'
	@echo 'make check-tidy            clang-tidy on all sources (minutes)'
	@echo 'make bench                 every table of README.md: layers, stages, whole files, live, voices, storages (bench/README.md)'
	@echo 'make fuzz FUZZ_SECONDS=60  every fuzz target for that long'
	@echo 'make format                clang-format on all sources'
	@echo 'make setup                 install the Debian packages that are missing'
	@echo 'make clean                 remove the build folders'

# $(call install_missing,PACKAGES): asks for rights only when something is missing.
define install_missing
	@command -v dpkg-query > /dev/null && command -v apt-get > /dev/null || \
	  { echo 'This is not Debian: CMake will say which library it does not find. Debian calls them:' $(1) >&2; exit 0; }; \
	present=" $$(dpkg-query -W -f='$${db:Status-Status}:$${Package} ' $(1) 2> /dev/null)"; missing=; \
	for package in $(1); do case "$$present" in *" installed:$$package "*) ;; *) missing="$$missing $$package";; esac; done; \
	test -n "$$missing" || exit 0; \
	if test "$$(id -u)" = 0; then as_root=env; elif command -v sudo > /dev/null; then as_root='sudo env'; else \
	  echo "Packages are missing, and installing them needs root. As root: apt-get install$$missing" >&2; exit 1; fi; \
	echo "Installing$$missing"; \
	$$as_root DEBIAN_FRONTEND=noninteractive apt-get update -q && \
	$$as_root DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing
endef

setup:
	$(call install_missing,$(PACKAGES))

setup-check:
	$(call install_missing,$(PACKAGES) $(CHECK_PACKAGES))

setup-bench:
	$(call install_missing,$(PACKAGES) $(BENCH_PACKAGES))

$(BUILD)/build.ninja: CMakePresets.json | setup
	cmake --preset release -B $(BUILD)

build: setup $(BUILD)/build.ninja
	cmake --build $(BUILD) --parallel $(JOBS)

programs: setup $(BUILD)/build.ninja
	cmake --build $(BUILD) --parallel $(JOBS) --target transcribe speak parley

test: build
	ctest --test-dir $(BUILD) --output-on-failure --parallel $(JOBS)

demo: programs
	$(BUILD)/transcribe -m data/models/parley-mini-en data/audio/sample.flac
	@mkdir -p $(BUILD)/demo
	$(BUILD)/speak -m data/models/parley-mini-voice -o $(BUILD)/demo/spoken.wav 'Good morning. It is 7:30, and the coffee costs $$2.50.'

# With make test all that CI runs.
check: check-format check-work check-fuzz check-tsan check-asan

# Instructions, which nothing else on the machine changes, beside those of bench/work_baseline.json.
check-work: setup-check $(BUILD)/build.ninja
	cmake --build $(BUILD) --parallel $(JOBS) --target count_work
	$(PYTHON) bench/work_gate.py --program $(BUILD)/count_work

check-asan: setup-check
	cmake --preset asan-ubsan
	cmake --build --preset asan-ubsan --parallel $(JOBS)
	ctest --preset asan-ubsan -LE 'package|published' --parallel $(JOBS)

check-tsan: setup-check
	cmake --preset tsan
	cmake --build --preset tsan --parallel $(JOBS)
	ctest --preset tsan --parallel $(JOBS)

check-fuzz: FUZZ_SECONDS = 10
check-fuzz: fuzz

fuzz: setup-check
	cmake --preset fuzz
	cmake --build --preset fuzz --parallel $(JOBS) --target fuzz_targets
	FUZZ_SECONDS=$(FUZZ_SECONDS) ctest --test-dir build-fuzz -L fuzz --output-on-failure --parallel $(JOBS)

check-format: setup-check
	$(FIND_SOURCES) -name '*.h' -print0 -o -name '*.cpp' -print0 | xargs -0 clang-format-14 --dry-run --Werror

format: setup-check
	$(FIND_SOURCES) -name '*.h' -print0 -o -name '*.cpp' -print0 | xargs -0 clang-format-14 -i

check-tidy: setup-check $(BUILD)/build.ninja
	find $(LIBRARY_FOLDERS) cli -name '*.cpp' -print0 | xargs -0 -n 1 -P $(JOBS) clang-tidy-14 --quiet -p $(BUILD)

include bench/bench.mk

install: build
	cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	rm -rf $(BUILD) build-debug build-asan build-tsan build-fuzz bench-models
