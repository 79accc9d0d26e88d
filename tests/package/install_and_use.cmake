# What tests/package/CMakeLists.txt runs: BUILD is our build folder, WORK a scratch folder.
function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/installed)
run(${CMAKE_COMMAND} -S ${CONSUMER} -B ${WORK}/build -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER}
    -DCMAKE_PREFIX_PATH=${WORK}/installed)
run(${CMAKE_COMMAND} --build ${WORK}/build)
# The README's examples, word for word; the first hears the sample.
file(READ ${CONSUMER}/../../../README.md readme)
foreach(name transcribe conversation)
  file(READ ${CONSUMER}/${name}.cpp example)
  string(FIND "${readme}" "${example}" place)
  if(place EQUAL -1)
    message(FATAL_ERROR "README.md does not show tests/package/consumer/${name}.cpp as it is")
  endif()
endforeach()
set(data ${CONSUMER}/../../../data)
execute_process(COMMAND ${WORK}/build/app ${data}/models/parley-mini-en ${data}/audio/sample.flac
                OUTPUT_VARIABLE heard COMMAND_ERROR_IS_FATAL ANY)
if(NOT heard MATCHES "^[0-9.]+ to [0-9.]+ s: [A-Z]")
  message(FATAL_ERROR "the example heard: ${heard}")
endif()
run(${WORK}/installed/bin/transcribe --version)
run(${WORK}/installed/bin/parley --version)
run(${WORK}/installed/bin/transcribe ${data}/audio/sample.flac)  # by the embedded model
file(REMOVE_RECURSE ${WORK})
