# make bench: the tables of README.md, in one go. What is not there is left out, and named.
#
# Published weights, in the forms of our tests: PARLEY_PUBLISHED/hf/{tiny.en,base}, and for faster-whisper ct2/{tiny.en,base}. Without them random
# weights of the same sizes are timed, and nothing is heard.
PARLEY_PUBLISHED ?=
# Folders with a manifest.tsv: what the recording of ten minutes is made of, and utterances that are heard one by one.
BENCH_CORPUS ?= $(wildcard ../shared/corpus/librispeech_dev_clean_mp3)
BENCH_UTTERANCES ?= $(wildcard ../shared/corpus/librispeech_test_other_100)
# The peers: a folder of whisper.cpp with its programs in build/bin (whisper-stream: built with WHISPER_SDL2), the same weights for it as
# WHISPER_CPP_MODELS/{tiny.en,base}/ggml-model-q8_0.bin, and a PYTHON that has faster-whisper, torch, transformers, onnxruntime.
WHISPER_CPP ?= $(wildcard ../whisper.cpp)
WHISPER_CPP_MODELS ?=
# Instruction sets that ours is held to beside the processor's own (AMX off; AVX-512 off).
BENCH_ISA ?= vnni avx2

BENCH_SIZES = tiny.en base
WHISPER_BENCH = $(wildcard $(WHISPER_CPP:%=%/build/bin/whisper-bench))
WHISPER_CLI = $(wildcard $(WHISPER_CPP:%=%/build/bin/whisper-cli))
WHISPER_STREAM = $(wildcard $(WHISPER_CPP:%=%/build/bin/whisper-stream))
# $(call ggml,SIZE)
ggml = $(wildcard $(WHISPER_CPP_MODELS:%=%/$(1)/ggml-model-q8_0.bin))

.PHONY: bench bench-layers bench-stages bench-files bench-live bench-voices bench-storages
bench: bench-layers bench-stages bench-files bench-live bench-voices bench-storages

ifeq ($(PARLEY_PUBLISHED),)
bench-models/%.parley/model.json:
	$(PYTHON) bench/random_whisper.py $* bench-models/$*
	$(BUILD)/parley convert bench-models/$* -o $(@D)
else
bench-models/%.parley/model.json: $(PARLEY_PUBLISHED)/hf/%
	$(BUILD)/parley convert $< -o $(@D)
endif

bench-models/hifigan-%.parley/model.json:
	$(PYTHON) bench/random_hifigan.py $* bench-models/hifigan-$*
	$(BUILD)/parley convert bench-models/hifigan-$* -o $(@D)

bench-models/speecht5.parley/model.json: bench-models/hifigan-speecht5.parley/model.json
	$(PYTHON) bench/random_speecht5.py bench-models/speecht5
	$(BUILD)/parley convert bench-models/speecht5 --vocoder bench-models/hifigan-speecht5 --voices bench-models/speecht5/voices -o $(@D)

bench-models/ten.wav:
	@mkdir -p $(@D)
	$(PYTHON) bench/make_recording.py $(BENCH_CORPUS) --minutes 10 -o $@

bench-models/two.wav:
	@mkdir -p $(@D)
	$(PYTHON) bench/make_recording.py $(BENCH_CORPUS) --minutes 2 --pauses 0.5 2 -o $@

bench-models/utterances: bench/make_recording.py
	$(PYTHON) bench/make_recording.py $(BENCH_UTTERANCES) --apart 20 -o $@

# What counts words (bench/score.py).
bench-models/score:
	@mkdir -p $(@D)
	$(PYTHON) -m venv $@
	$@/bin/pip install -q jiwer whisper-normalizer numpy || { rm -rf $@; exit 1; }

# Every kind of layer beside what the processor can do, at all its instruction sets.
BENCH_LAYERS = $(PYTHON) bench/layers.py --build $(BUILD) --runs 2
bench-layers: setup-bench build $(BENCH_SIZES:%=bench-models/%.parley/model.json)
	@for size in $(BENCH_SIZES); do $(BENCH_LAYERS) bench-models/$$size.parley data/audio/sample.flac || exit 1; done
	@$(BENCH_LAYERS) data/models/parley-mini-voice bench/sentence.txt

bench-stages: setup-bench build $(BENCH_SIZES:%=bench-models/%.parley/model.json)
	@$(foreach size,$(BENCH_SIZES),$(PYTHON) bench/compare.py bench-models/$(size).parley --program $(BUILD)/bench_stt --max-isa $(BENCH_ISA) --runs 2 \
	  $(if $(and $(WHISPER_BENCH),$(call ggml,$(size))),--whisper-bench $(WHISPER_BENCH) --peer q8_0=$(call ggml,$(size))) &&) true

# Every program as it is by default, but for five beams; ours also by the published algorithm, and held to AVX2.
COMPARE_FILES = bench-models/score/bin/python bench/compare_files.py --program $(BUILD)/transcribe --python $(PYTHON) --as-they-are --runs 1
# $(call compare_files,SIZE,FILES,OPTIONS)
compare_files = $(COMPARE_FILES) bench-models/$(1).parley $(2) --max-isa avx2 $(3) \
  $(if $(wildcard $(PARLEY_PUBLISHED)/ct2/$(1)),--ctranslate2 $(PARLEY_PUBLISHED)/ct2/$(1)) \
  $(if $(and $(WHISPER_CLI),$(call ggml,$(1))),--whisper-cli $(WHISPER_CLI) --ggml q8_0=$(call ggml,$(1)))
bench-files: setup-bench build
ifeq ($(and $(PARLEY_PUBLISHED),$(BENCH_CORPUS),$(BENCH_UTTERANCES)),)
	@echo 'Whole files are left out: they need PARLEY_PUBLISHED (weights), BENCH_CORPUS and BENCH_UTTERANCES (folders with a manifest.tsv)'
else
	@$(MAKE) --no-print-directory bench-models/score bench-models/ten.wav bench-models/utterances $(BENCH_SIZES:%=bench-models/%.parley/model.json)
	@$(foreach size,$(BENCH_SIZES),$(call compare_files,$(size),bench-models/ten.wav,--strategy windows sequential) &&) true
	@$(call compare_files,base,bench-models/utterances/*.wav,)
endif

# At its own speed: two minutes for each program.
bench-live: setup-bench build
ifeq ($(and $(PARLEY_PUBLISHED),$(BENCH_CORPUS)),)
	@echo 'Live is left out: it needs PARLEY_PUBLISHED (weights) and BENCH_CORPUS (a folder with a manifest.tsv)'
else
	@$(MAKE) --no-print-directory bench-models/two.wav bench-models/tiny.en.parley/model.json
	@$(BUILD)/bench_live bench-models/tiny.en.parley bench-models/two.wav
ifneq ($(and $(WHISPER_STREAM),$(call ggml,tiny.en)),)
	@$(PYTHON) bench/compare_live.py bench-models/tiny.en.parley bench-models/two.wav --program $(BUILD)/transcribe \
	  --whisper-stream $(WHISPER_STREAM) --ggml $(call ggml,tiny.en)
endif
endif

BENCH_VOICES = $(PYTHON) bench/compare_tts.py --program $(BUILD)/bench_tts --speak $(BUILD)/speak --precision auto f32
bench-voices: setup-bench build bench-models/speecht5.parley/model.json bench-models/hifigan-v1.parley/model.json
	@$(BENCH_VOICES) --speecht5 bench-models/speecht5 --vocoder bench-models/hifigan-speecht5 --model bench-models/speecht5.parley
	@$(BENCH_VOICES) --vocoder bench-models/hifigan-v1 --model bench-models/hifigan-v1.parley

# What compression costs and gains.
bench-storages: setup-bench build bench-models/base.parley/model.json
	@$(PYTHON) bench/storages.py --build $(BUILD) --speed bench-models/base.parley --limit 25 \
	  $(if $(and $(PARLEY_PUBLISHED),$(BENCH_UTTERANCES)),--words bench-models/base.parley --manifest $(BENCH_UTTERANCES)/manifest.tsv)
