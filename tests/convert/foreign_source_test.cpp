// What people give to `parley convert` by mistake: each gets a sentence that says what it is and
// what to give instead, or the model that was meant.
#include "parley/convert/foreign_source.h"

#include <gtest/gtest.h>
#include <zip.h>

#include <fstream>

#include "parley/convert/convert.h"
#include "parley/core/base/file.h"
#include "parley/core/model/model.h"
#include "parley/tests/support.h"

namespace parley::stage {
namespace {

namespace fs = std::filesystem;

fs::path golden(const std::string& name) {
  return test::source_path("tests/convert/golden/" + name);
}

constexpr const char* kPointer =
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    "size 12345\n";

class ForeignSource : public testing::Test {
 protected:
  fs::path folder(const std::string& name) {
    fs::create_directories(root_.path() / name);
    return root_.path() / name;
  }
  // The golden Hugging Face folder.
  fs::path checkpoint(const std::string& name) {
    fs::create_directories((root_.path() / name).parent_path());
    fs::copy(golden("huggingface"), root_.path() / name, fs::copy_options::recursive);
    return root_.path() / name;
  }
  static void write(const fs::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }
  Model model(const fs::path& source, const ConvertOptions& options = {}) {
    const fs::path path = root_.path() / ("model-" + std::to_string(count_++));
    convert(source, path, options);
    return Model::open(path);
  }
  std::string error_of(const fs::path& source, const ConvertOptions& options = {}) {
    return test::error_of([&] { model(source, options); });
  }
  // The message says all of this.
  void expect(const fs::path& source, const std::vector<std::string>& parts) {
    const std::string message = error_of(source);
    for (const std::string& part : parts)
      EXPECT_NE(message.find(part), std::string::npos) << message << "\nlacks: " << part;
  }

 private:
  test::TemporaryFolder root_;
  int count_ = 0;
};

TEST_F(ForeignSource, AnAdapterNamesItsBaseModel) {
  const fs::path source = folder("adapter");
  write(source / "adapter_config.json",
        R"({"peft_type": "LORA", "base_model_name_or_path": "openai/whisper-tiny.en", "r": 4})");
  expect(source, {"adapter (LORA)", "'openai/whisper-tiny.en'", "merge_and_unload"});
  write(source / "adapter_model.safetensors", "x");
  expect(source, {"adapter (LORA)"});
  write(source / "adapter_config.json", "{}");
  expect(source, {"adapter (PEFT) of another model"});
}

TEST_F(ForeignSource, PrefixesOfWrappersAreTakenOff) {
  const std::string expected = model(golden("huggingface")).digest();
  const Safetensors original(golden("huggingface/model.safetensors"));
  const fs::path source = checkpoint("wrapped");
  const auto rewrite = [&](const std::string& prefix, const std::string& odd_prefix) {
    std::vector<TensorInfo> tensors;
    for (const std::string& name : original.names()) {
      const std::string& before = name == original.names().back() ? odd_prefix : prefix;
      tensors.push_back({before + name, nn::DType::kF16, original.shape(name)});
    }
    SafetensorsWriter writer(source / "model.safetensors", tensors);
    for (size_t i = 0; i < tensors.size(); ++i)
      writer.write(tensors[i].name, original.bytes(original.names()[i]));
    writer.commit();
  };
  for (const std::string prefix : {"base_model.model.", "module.", "_orig_mod.", "model.",
                                   "module._orig_mod.", "model.model."}) {
    rewrite(prefix, prefix);
    EXPECT_EQ(model(source).digest(), expected) << prefix;
  }
  rewrite("module.", "");
  EXPECT_NE(error_of(source), "");
}

TEST_F(ForeignSource, TheOutputMatrixServesAsTheEmbedding) {
  const Safetensors original(golden("huggingface/model.safetensors"));
  const fs::path source = checkpoint("tied");
  std::vector<TensorInfo> tensors;
  for (std::string name : original.names()) {
    const nn::Shape shape = original.shape(name);
    if (name == "model.decoder.embed_tokens.weight") name = "proj_out.weight";
    tensors.push_back({name, nn::DType::kF16, shape});
  }
  SafetensorsWriter writer(source / "model.safetensors", tensors);
  for (size_t i = 0; i < tensors.size(); ++i)
    writer.write(tensors[i].name, original.bytes(original.names()[i]));
  writer.commit();
  EXPECT_EQ(model(source).digest(), model(golden("huggingface")).digest());
}

TEST_F(ForeignSource, GitLfsPointersAreNamed) {
  for (const char* file :
       {"config.json", "generation_config.json", "tokenizer.json", "model.safetensors"}) {
    const fs::path source = checkpoint(std::string("lfs-") + file);
    write(source / file, kPointer);
    expect(source, {file, "Git LFS pointer", "12345 bytes", "git lfs pull"});
  }
  for (const char* file : {"pytorch_model.bin", "model.bin"}) {
    const fs::path source = checkpoint(std::string("lfs-") + file);
    fs::remove(source / "model.safetensors");
    write(source / file, kPointer);
    expect(source, {file, "Git LFS pointer"});
  }
  for (const char* file : {"ggml-base.bin", "whisper.gguf", "base.pt"}) {
    const fs::path source = folder("files") / file;
    write(source, kPointer);
    expect(source, {file, "Git LFS pointer"});
    EXPECT_NE(error_of(golden("openai.pt"), {.tokenizer = source}).find("Git LFS"),
              std::string::npos);
  }
}

TEST_F(ForeignSource, CutFilesSayHowMuchIsMissing) {
  const auto cut = [&](const fs::path& from, const fs::path& to, size_t missing) {
    const std::string whole = read_file(from, 1 << 20);
    write(to, whole.substr(0, whole.size() - missing));
  };
  const fs::path source = checkpoint("cut");
  cut(golden("huggingface/model.safetensors"), source / "model.safetensors", 1000);
  expect(source,
         {"model.safetensors", "is cut short: 1000 of its", "bytes of weights are missing"});
  write(source / "model.safetensors",
        read_file(golden("huggingface/model.safetensors"), 1 << 20).substr(0, 100));
  expect(source, {"is cut short: at least"});

  const fs::path files = folder("cut-files");
  cut(golden("whisper-openai.gguf"), files / "x.gguf", 4096);
  expect(files / "x.gguf", {"is cut short: ", "bytes of weights are missing"});
  cut(golden("ggml-q8.bin"), files / "ggml-x.bin", 30);
  expect(files / "ggml-x.bin", {"is cut short: at least 30 bytes are missing"});
  cut(golden("openai.pt"), files / "x.pt", 50000);
  expect(files / "x.pt", {"is cut short: at least", "bytes are missing"});
  cut(golden("openai.pt"), files / "x.pt", 200);
  expect(files / "x.pt", {"the index at its end is missing"});
}

TEST_F(ForeignSource, FoldersWithoutWeightsSayWhatTheyHold) {
  expect(folder("empty"), {"is an empty folder"});
  const fs::path bare = folder("bare");
  write(bare / ".gitattributes", "*.bin filter=lfs");
  write(bare / "README.md", "# Whisper");
  expect(bare, {"holds no weights, only .gitattributes, README.md", "git lfs pull"});

  const fs::path onnx = folder("onnx-export");
  fs::copy(golden("huggingface/config.json"), onnx / "config.json");
  write(onnx / "encoder_model.onnx", "x");
  expect(onnx, {"export for ONNX (encoder_model.onnx)", "made from"});
  const fs::path deeper = folder("onnx-deeper");
  fs::create_directories(deeper / "onnx");
  expect(deeper, {"export for ONNX"});

  const fs::path keras = folder("keras");
  fs::copy(golden("huggingface/config.json"), keras / "config.json");
  write(keras / "tf_model.h5", "x");
  expect(keras, {"TensorFlow only", "from_tf=True"});
  const fs::path flax = folder("flax");
  write(flax / "flax_model.msgpack", "x");
  expect(flax, {"Flax only", "from_flax=True"});
  const fs::path mlx = folder("mlx");
  write(mlx / "weights.npz", "x");
  expect(mlx, {"MLX"});

  const fs::path bare_weights = checkpoint("no-config");
  fs::remove(bare_weights / "config.json");
  expect(bare_weights, {"not their config.json"});
}

TEST_F(ForeignSource, QuantizedCheckpointsAreNamed) {
  const fs::path source = checkpoint("quantized");
  nlohmann::json config = read_json(source / "config.json");
  config["quantization_config"] = {{"quant_method", "bitsandbytes"}, {"load_in_8bit", true}};
  write(source / "config.json", config.dump());
  expect(source, {"quantized by bitsandbytes", "parley compress"});
}

TEST_F(ForeignSource, TheFolderInsideIsNamed) {
  const fs::path run = folder("run");
  write(run / "trainer_state.json", "{}");
  for (const char* step : {"checkpoint-500", "checkpoint-1000", "checkpoint-90"})
    checkpoint(std::string("run/") + step);
  expect(run, {"holds no weights itself, but 3 folders that do",
               "the last step of the training is ", "checkpoint-1000)"});
  model(run / "checkpoint-1000");

  checkpoint("models--x--y/snapshots/0123abcd");
  expect(folder("models--x--y"), {"but a folder that does", "snapshots/0123abcd"});

  const fs::path files = folder("single");
  fs::copy(golden("ggml-q8.bin"), files / "ggml-base.bin");
  expect(files, {"one file each", "single/ggml-base.bin"});
}

TEST_F(ForeignSource, WithoutATokenizerOneIsAskedFor) {
  const fs::path source = checkpoint("training/checkpoint-10");
  fs::remove(source / "tokenizer.json");
  expect(source, {"has no tokenizer", "--tokenizer"});
  EXPECT_EQ(model(source, {.tokenizer = golden("huggingface")}).digest(),
            model(golden("huggingface")).digest());
  fs::copy(golden("huggingface/tokenizer.json"), folder("training") / "tokenizer.json");
  expect(source, {"the folder around it has one: --tokenizer ", "training"});
}

TEST_F(ForeignSource, ArchivesAndPartsAreNotCheckpoints) {
  const fs::path files = folder("archives");
  const auto file = [&](const std::string& name, const std::string& bytes) {
    write(files / name, bytes);
    return files / name;
  };
  expect(file("a.tar", std::string(257, '\0') + "ustar" + std::string(250, '\0')),
         {"tar archive", "unpack it"});
  expect(file("a.tar.gz", "\x1f\x8b\x08"), {"gzip archive", "unpack it"});
  expect(file("a.7z", "7z\xbc\xaf\x27\x1c"), {"7z archive"});
  expect(file("tf_model.h5", "\x89HDF\r\n"), {"TensorFlow"});
  expect(file("model.onnx", "\x08\x07"), {"ONNX"});
  expect(file("empty.bin", ""), {"is an empty file"});
  expect(golden("huggingface/config.json"), {"one file of a checkpoint", "give the folder"});
  expect(golden("huggingface/model.safetensors"), {"give the folder"});

  const fs::path zipped = files / "a.zip";
  zip_t* zip = zip_open(zipped.c_str(), ZIP_CREATE, nullptr);
  zip_file_add(zip, "whisper/config.json", zip_source_buffer(zip, "{}", 2, 0), 0);
  ASSERT_EQ(zip_close(zip), 0);
  expect(zipped, {"zip archive", "unpack it"});
}

TEST_F(ForeignSource, CasesThatPeopleReported) {
  const auto adapter = test::shared_path("cases/adapter");
  const auto pointer = test::shared_path("cases/lfs_pointer");
  if (!adapter || !pointer) GTEST_SKIP() << test::kNoShared;
  expect(*adapter, {"openai/whisper-tiny.en"});
  expect(*pointer, {"git lfs pull"});
}

}  // namespace
}  // namespace parley::stage
