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
BENCH_PACKAGES = python3 python3-numpy
PYTHON ?= /usr/bin/python3

LIBRARY_FOLDERS = $(wildcard base nn text stage dsp encoder decoder vocoder pipeline)
FIND_SOURCES = find $(LIBRARY_FOLDERS) cli bench tests

.NOTPARALLEL:
.PHONY: all build programs demo test check check-asan check-tsan check-fuzz check-format check-work check-tidy bench fuzz format install setup \
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
	@echo 'make bench                 times of the stages; beside whisper.cpp with WHISPER_CPP_BENCH=.../whisper-bench'
	@echo 'make storages              size, times and word error rates of compressed models: the table in README.md'
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

# Random weights of Whisper's sizes: speed does not depend on what they say.
BENCH_SIZES = tiny.en base.en small.en
BENCH_ISA = vnni avx2
# whisper.cpp's whisper-bench, built by you from its repository; without it only our numbers are printed.
WHISPER_CPP_BENCH ?= $(wildcard ../whisper.cpp/build/bin/whisper-bench)

# Whole files: recordings of a corpus whose words are known, and the developers' pilot checkpoint, which knows some.
BENCH_CORPORA ?= $(wildcard ../shared/corpus/commands ../shared/corpus/an4)
BENCH_PILOT ?= $(wildcard ../shared/models/pilot-en)
WHISPER_CPP_CLI ?= $(wildcard ../whisper.cpp/build/bin/whisper-cli)
# Built with WHISPER_SDL2.
WHISPER_CPP_STREAM ?= $(wildcard ../whisper.cpp/build/bin/whisper-stream)
SHORT_FILES = $(foreach i,$(shell seq 20),bench-models/short-$(i).wav)
# $(call compare_files,NAME,HUGGING_FACE_FOLDER,GGML,FILES)
compare_files = $(PYTHON) bench/compare_files.py bench-models/$(1).parley $(4) --program $(BUILD)/transcribe --python $(PYTHON) \
  --hugging-face $(2) $(if $(WHISPER_CPP_CLI),--whisper-cli $(WHISPER_CPP_CLI) --ggml $(3))

bench-models/ten.wav:
	$(PYTHON) bench/make_recording.py $(BENCH_CORPORA) --minutes 10 -o $@

bench-models/short-%.wav:
	$(PYTHON) bench/make_recording.py $(BENCH_CORPORA) --minutes 0.03 --seed $* -o $@

bench-models/pilot-en.parley/model.json:
	$(BUILD)/parley convert $(BENCH_PILOT) -o $(@D)

bench-models/%.parley/model.json:
	$(PYTHON) bench/random_whisper.py $* bench-models/$*
	$(BUILD)/parley convert bench-models/$* -o $(@D)

bench-models/hifigan-%.parley/model.json:
	$(PYTHON) bench/random_hifigan.py $* bench-models/hifigan-$*
	$(BUILD)/parley convert bench-models/hifigan-$* -o $(@D)

bench-models/speecht5.parley/model.json: bench-models/hifigan-speecht5.parley/model.json
	$(PYTHON) bench/random_speecht5.py bench-models/speecht5
	$(BUILD)/parley convert bench-models/speecht5 --vocoder bench-models/hifigan-speecht5 --voices bench-models/speecht5/voices -o $(@D)

bench: bench-files bench-live bench-stt bench-tts

.PHONY: bench-stt bench-tts
bench-stt: setup-bench build $(BENCH_SIZES:%=bench-models/%.parley/model.json)
	@for size in $(BENCH_SIZES); do \
	  $(PYTHON) bench/compare.py bench-models/$$size.parley --program $(BUILD)/bench_stt --max-isa $(BENCH_ISA) \
	    $(if $(WHISPER_CPP_BENCH),--whisper-bench $(WHISPER_CPP_BENCH) --peer f16=bench-models/$$size/ggml-model-f16.bin) || exit 1; \
	done

BENCH_TTS = $(PYTHON) bench/compare_tts.py --program $(BUILD)/bench_tts --speak $(BUILD)/speak --precision auto f32
bench-tts: setup-bench build bench-models/speecht5.parley/model.json bench-models/hifigan-v1.parley/model.json
	@$(BENCH_TTS) --speecht5 bench-models/speecht5 --vocoder bench-models/hifigan-speecht5 --model bench-models/speecht5.parley
	@$(BENCH_TTS) --vocoder bench-models/hifigan-v1 --model bench-models/hifigan-v1.parley

.PHONY: bench-files
bench-files: setup-bench build
ifeq ($(and $(BENCH_CORPORA),$(BENCH_PILOT)),)
	@echo 'Whole files are left out: they need BENCH_CORPORA (folders with a manifest.tsv) and BENCH_PILOT (a checkpoint)'
else
	@$(MAKE) --no-print-directory bench-models/ten.wav $(SHORT_FILES) bench-models/pilot-en.parley/model.json \
	  bench-models/base.en.parley/model.json
	@$(call compare_files,pilot-en,$(BENCH_PILOT),$(BENCH_PILOT)/ggml-model-q8_0.bin,bench-models/ten.wav)
	@$(call compare_files,pilot-en,$(BENCH_PILOT),$(BENCH_PILOT)/ggml-model-q8_0.bin,$(SHORT_FILES))
	@$(call compare_files,base.en,bench-models/base.en,bench-models/base.en/ggml-model-f16.bin,bench-models/ten.wav) --runs 1
endif

bench-models/two.wav:
	$(PYTHON) bench/make_recording.py $(firstword $(BENCH_CORPORA)) --minutes 2 -o $@

# At its own speed: two minutes for each program.
.PHONY: bench-live
bench-live: setup-bench build
ifeq ($(and $(BENCH_CORPORA),$(BENCH_PILOT)),)
	@echo 'Live is left out: it needs BENCH_CORPORA (folders with a manifest.tsv) and BENCH_PILOT (a checkpoint)'
else
	@$(MAKE) --no-print-directory bench-models/two.wav bench-models/pilot-en.parley/model.json
	@$(BUILD)/bench_live bench-models/pilot-en.parley bench-models/two.wav --beam 1
	@$(PYTHON) bench/compare_live.py bench-models/pilot-en.parley bench-models/two.wav --program $(BUILD)/transcribe \
	  $(if $(WHISPER_CPP_STREAM),--whisper-stream $(WHISPER_CPP_STREAM) --ggml $(BENCH_PILOT)/ggml-model-q8_0.bin)
endif

# What compression costs and gains: the README's table.
.PHONY: storages
storages: setup-bench build bench-models/base.en.parley/model.json $(BENCH_PILOT:%=bench-models/pilot-en.parley/model.json)
	$(PYTHON) bench/storages.py --build $(BUILD) --speed bench-models/base.en.parley \
	  $(if $(and $(BENCH_CORPORA),$(BENCH_PILOT)),--words bench-models/pilot-en.parley $(BENCH_CORPORA:%=--manifest %/manifest.tsv))

install: build
	cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	rm -rf $(BUILD) build-debug build-asan build-tsan build-fuzz
